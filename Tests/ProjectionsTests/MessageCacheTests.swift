// The parse cache: it gives what the messages give, parses nothing twice, and can be thrown away.
import EventStore
import MIME
import MailCore
import MailEngine
import MailTypes
import Projections
import Testing

extension Site {
    /// The rows of a mailbox, in the order of UIDs.
    fileprivate func rows(_ name: String = "INBOX") throws -> [MessageRow] {
        var rows: [MessageRow] = []
        let mailbox = try mailbox(name)
        try engine.read { state in
            try state.messages(account, mailbox, from: UID(1)) { _, row in
                rows.append(row)
                return true
            }
        }
        return rows
    }

    fileprivate var cacheDirectory: String { directory.path + "/cache" }

    fileprivate func cache(octetsMax: Int = 4 << 20) throws -> MessageCache {
        try MessageCache(directory: cacheDirectory, octetsMax: octetsMax)
    }
}

private func letter(_ subject: String) -> String {
    "Subject: \(subject)\r\nFrom: ada@example.test\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\n\r\nHello \(subject)\r\n"
}

private func subject(_ summary: PackedSummary?) -> String? {
    summary?.envelope?.subject.map { String(decoding: $0, as: UTF8.self) }
}

@Suite("Parse cache")
struct MessageCacheTests {
    @Test("listing twice parses nothing twice, also after a restart")
    func twice() throws {
        let site = try Site()
        for number in 1...5 { try site.deliver(letter("\(number)")) }
        let rows = try site.rows()
        var cache: MessageCache? = try site.cache()
        for round in 0..<3 {
            if round == 2 {
                cache?.close()
                cache = nil
                cache = try site.cache()
            }
            let found = try cache?.summaries(site.account, rows, in: site.engine) ?? []
            #expect(found.map { subject($0) } == ["1", "2", "3", "4", "5"])
            #expect(found.allSatisfy { $0?.sentDate?.time.seconds == 880_127_706 })
            let statistics = try #require(cache?.statistics)
            // What is new waits for others to be written with it, and is known meanwhile.
            #expect(statistics.misses == (round == 2 ? 0 : 5), "round \(round)")
            #expect(statistics.rowsWritten == 0)
        }
        // Some known, some new, in any order.
        try site.deliver(letter("6"))
        let mixed = Array(try site.rows().reversed())
        #expect(
            try cache?.summaries(site.account, mixed, in: site.engine).map { subject($0) } == [
                "6", "5", "4", "3", "2", "1",
            ])
        #expect(cache?.statistics.misses == 1)
        #expect(cache?.known(site.account, mixed.map(\.email)).allSatisfy { $0 != nil } == true)
    }

    @Test("copies in other mailboxes share a row")
    func copies() throws {
        let site = try Site()
        try site.create("Other")
        try site.deliver(letter("one"))
        let cache = try site.cache()
        _ = try cache.summaries(site.account, try site.rows(), in: site.engine)
        let copy = CopyMessages(
            source: try site.mailbox("INBOX"), destination: try site.mailbox("Other"), uids: UIDSet(UID(1)))
        try site.run(.copy(copy))
        let copies = try site.rows("Other")
        #expect(copies.count == 1)
        #expect(cache.known(site.account, copies.map(\.email)).allSatisfy { $0 != nil })
    }

    @Test("without room, each question reads the message")
    func disabled() throws {
        let site = try Site()
        try site.deliver(letter("one"))
        for cache in [MessageCache(), try site.cache(octetsMax: 0)] {
            for _ in 0..<2 {
                #expect(
                    try cache.summaries(site.account, try site.rows(), in: site.engine).map { subject($0) } == ["one"])
            }
            #expect(cache.known(site.account, try site.rows().map(\.email)) == [nil])
            #expect(cache.statistics == CacheStatistics())
            cache.removeAll()
            cache.remove(site.account)
            cache.close()
        }
    }

    @Test("previews are kept; a lazy question reads nothing")
    func previews() throws {
        let site = try Site()
        try site.deliver(letter("one"))
        let row = try #require(try site.rows().first)
        let cache = try site.cache()
        func preview(_ lazily: Bool, _ handle: @autoclosure () throws -> any BodyHandle) throws -> String? {
            try cache.preview(site.account, row.email, lazily: lazily, try handle()).map {
                String(decoding: $0, as: UTF8.self)
            }
        }
        #expect(try preview(true, try site.engine.openBody(row.blob)) == nil)
        #expect(try preview(false, try site.engine.openBody(row.blob)) == "Hello one")
        struct NotOpened: Error {}
        #expect(try preview(true, { () throws -> any BodyHandle in throw NotOpened() }()) == "Hello one")
        #expect(try preview(false, { () throws -> any BodyHandle in throw NotOpened() }()) == "Hello one")
    }

    @Test("many new messages are written as they come; little is read ahead where that is asked")
    func many() throws {
        let site = try Site()
        for number in 0..<300 { try site.deliver(letter("\(number)")) }
        let rows = try site.rows()
        var cache = try site.cache()
        for row in rows {
            #expect(try subject(cache.summary(site.account, row.email, site.engine.openBody(row.blob))) != nil)
        }
        #expect(cache.known(site.account, rows.map(\.email)).allSatisfy { $0 != nil })
        cache.close()
        #expect(cache.statistics.rowsWritten == 300)
        cache = try site.cache()
        #expect(cache.known(site.account, rows.map(\.email)).allSatisfy { $0 != nil })
        cache.removeAll()
        #expect(cache.known(site.account, rows.map(\.email)).allSatisfy { $0 == nil })
        let some = try cache.summaries(site.account, rows, in: site.engine, octetsMax: 10 * Int(rows[0].size))
        #expect((8...10).contains(some.count { $0 != nil }))
    }

    @Test("a check reads every message, and names the first row that differs")
    func check() throws {
        let site = try Site()
        for number in 1...3 { try site.deliver(letter("\(number)")) }
        let rows = try site.rows()
        let cache = try site.cache()
        #expect(try cache.check(in: site.engine).rows == 0)
        _ = try cache.summaries(site.account, Array(rows.prefix(2)), in: site.engine)
        let good = try cache.check(in: site.engine)
        #expect(good.messages == 3 && good.rows == 2 && good.difference == nil)
        let other = try #require(cache.known(site.account, [rows[0].email])[0])
        cache.keep(other, site.account, rows[2].email)
        #expect(try cache.check(in: site.engine).difference?.hasSuffix("UID 3") == true)
        cache.removeAll()
        #expect(try cache.check(in: site.engine).rows == 0)
    }

    @Test("a message of many pieces is read like one of one piece")
    func large() throws {
        let site = try Site()
        let line = String(repeating: "x", count: 70) + "\r\n"
        let text =
            "Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
            + String(repeating: line, count: 5000) + "--b\r\nContent-Type: image/png\r\n\r\n\r\n--b--\r\n"
        try site.deliver(text)
        let found = try site.cache().summaries(site.account, try site.rows(), in: site.engine)[0]
        #expect(found?.summary == Array(text.utf8).withUnsafeBytes { MessageSummary(scanning: $0) })
        #expect(found?.structure?.parts.count == 3)
    }
}
