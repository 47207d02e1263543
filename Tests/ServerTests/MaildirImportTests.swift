// Maildir trees of Dovecot's and Courier's making into a store, again after a run that was broken off, and out again as
// Maildir and as mbox: what comes along, and that nothing comes twice.
import Foundation
import MailCore
import MailTypes
import Testing

@testable import Server

@Suite struct MaildirImportTests {
    /// A tree to fill with files.
    private struct Tree {
        let path: String

        init(_ path: String) throws {
            self.path = path
            try folder("")
        }

        func folder(_ name: String) throws {
            for part in ["cur", "new", "tmp"] {
                try FileManager.default.createDirectory(
                    atPath: path + "/" + name + "/" + part, withIntermediateDirectories: true)
            }
        }

        func file(_ name: String, _ text: String, seconds: Double = 1_700_000_000) throws {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + name))
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSince1970: seconds)], ofItemAtPath: path + "/" + name)
        }
    }

    /// As Dovecot 2.3 leaves it: folders, a name with a dot, keywords, a message no list knows.
    private func dovecot(_ path: String) throws -> Tree {
        let tree = try Tree(path)
        for name in [".Sent", ".Lists.a\\2eb&AOQ-"] { try tree.folder(name) }
        try tree.file("cur/1.a,S=20:2,FS", "Subject: one\n\nbody\n")
        try tree.file("cur/2.b:2,RTab", "Subject: two\r\n\r\nbody\r\n", seconds: 1_600_000_000)
        try tree.file("new/3.c", "Subject: three\n\nbody\n")
        try tree.file("cur/4.d:2,S", "Subject: late\n\nbody\n")
        try tree.file(
            "dovecot-uidlist", "3 V1500000000 N12 G00\n3 P00000003 S20 :1.a,S=20\n7 Pa:b :2.b\n11 :3.c\n9 :expunged\n")
        try tree.file("dovecot-keywords", "0 $Label1\n1 work\n")
        try tree.file("subscriptions", "V\t2\n\nSent\nLists\ta.b\\c3\\a4\n")
        try tree.file(".Sent/cur/1.x:2,S", "Subject: sent\n\nbody\n")
        try tree.file(".Sent/dovecot-uidlist", "3 V1500000001 N60\n5 :1.x\n")
        try tree.file(".Lists.a\\2eb&AOQ-/cur/1.y:2,", "Subject: list\n\nFrom here\n>From there\n")
        return tree
    }

    private func courier(_ path: String) throws -> Tree {
        let tree = try Tree(path)
        try tree.folder(".Sent")
        try FileManager.default.createDirectory(
            atPath: path + "/courierimapkeywords", withIntermediateDirectories: true)
        try tree.file("cur/1.a:2,S", "Subject: one\n\nbody\n")
        try tree.file("cur/2.b:2,", "Subject: two\n\nbody\n")
        try tree.file("courierimapuiddb", "1 1400000000 9\n4 1.a\n8 2.b\n")
        try tree.file(
            "courierpop3dsizelist",
            "/3 9 1400000007\n1.a:2,S 22 3:1400000007:0\n2.b 22 4:0:0\nodd\n3 4\n gone 1 5:6:0\n2.c 22 -1:2:0\n")
        try tree.file("courierimapkeywords/:list", "work\n$Label2\n\n2.b:0 1\n")
        try tree.file("courierimapsubscribed", "INBOX.Sent\n")
        return tree
    }

    private struct Row: Hashable {
        var uid: UInt32
        var flags: SystemFlags
        var keywords: [String]
        var seconds: Int64
        var subject: String
    }

    private func uidNext(_ backend: LocalBackend, _ mailbox: String) throws -> UInt32? {
        let (account, id) = try backend.place("alice@example.test", MailboxName(mailbox)!)
        return try backend.engine.read { try $0.mailbox(account, id)?.uidNext }
    }

    private func uidls(_ backend: LocalBackend) throws -> [UID: String]? {
        let (account, _) = try backend.place("alice@example.test", .inbox)
        return try backend.engine.maildrop(account)?.uidls
    }

    private func rows(_ backend: LocalBackend, _ mailbox: String) throws -> (validity: UInt32, rows: [Row]) {
        let (account, id) = try backend.place("alice@example.test", MailboxName(mailbox)!)
        return try backend.engine.read { state in
            var found: [(UID, MessageRow)] = []
            try state.messages(account, id, from: UID(1)) { uid, row in
                found.append((uid, row))
                return true
            }
            let rows = try found.map { uid, row in
                let handle = try backend.engine.openBody(row.blob)
                var body: [UInt8] = []
                try handle.read(at: 0, count: handle.size, into: &body)
                let subject = String(decoding: body, as: UTF8.self).components(separatedBy: "\r\n")[0]
                let keywords = try state.keywords(account, id, uid, row).compactMap {
                    try state.keyword(account, $0)?.name
                }
                return Row(
                    uid: uid.rawValue, flags: row.flags, keywords: keywords.sorted(),
                    seconds: row.internalDate.time.seconds, subject: subject)
            }
            return (try state.mailbox(account, id)?.uidValidity.rawValue ?? 0, rows)
        }
    }

    private func store(_ scratch: Scratch, _ name: String = "store") throws -> LocalBackend {
        let backend = try scratch.store(name)
        _ = try backend.answer(AccountAdd(entries: [.init(address: "alice", verifier: nil)]))
        return backend
    }

    private static let inbox = [
        Row(uid: 3, flags: [.flagged, .seen], keywords: [], seconds: 1_700_000_000, subject: "Subject: one"),
        Row(
            uid: 7, flags: [.answered, .deleted], keywords: ["$Label1", "work"], seconds: 1_600_000_000,
            subject: "Subject: two"),
        Row(uid: 11, flags: [], keywords: [], seconds: 1_700_000_000, subject: "Subject: three"),
        Row(uid: 12, flags: [.seen], keywords: [], seconds: 1_700_000_000, subject: "Subject: late"),
    ]

    @Test func aTreeOfDovecots() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        let tree = try dovecot(scratch.path + "/tree")
        let lines = try backend.answer(ImportMaildir(address: "alice", directory: tree.path))
        #expect(lines.last?.text == "6 messages in 3 folders into alice@example.test")
        #expect(lines.contains { $0.text.hasPrefix("INBOX  4 files, 4 imported, 0 there before, 0 missing") })
        let inbox = try rows(backend, "INBOX")
        #expect(inbox.validity == 1_500_000_000)
        #expect(inbox.rows == Self.inbox)
        let sent = try rows(backend, "Sent")
        #expect(sent.validity == 1_500_000_001 && sent.rows.map(\.uid) == [5])
        #expect(try rows(backend, "Lists/a.bä").rows.map(\.subject) == ["Subject: list"])
        // Higher UIDs than messages have were given there; the one that no list knew takes the next.
        #expect(try uidNext(backend, "INBOX") == 13)
        #expect(try uidNext(backend, "Sent") == 60)
        #expect(try uidls(backend) == [UID(3): "00000003", UID(7): "a:b"])
        let (account, _) = try backend.place("alice@example.test", .inbox)
        let subscribed = try backend.engine.read { try $0.subscriptions(account) }
        #expect(subscribed.contains("Lists/a.bä") && subscribed.contains("Sent"))
        // Again: nothing comes twice.
        let again = try backend.answer(ImportMaildir(address: "alice", directory: tree.path))
        #expect(again.last?.text == "0 messages in 3 folders into alice@example.test")
        #expect(try rows(backend, "INBOX").rows == Self.inbox)
        #expect(try backend.answer(StoreRebuild(projection: .state, check: true)).last?.kind == .done)
        #expect(try backend.answer(StoreVerify()).last?.kind == .done)
    }

    @Test func aTreeOfCouriers() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        let tree = try courier(scratch.path + "/tree")
        #expect(try backend.answer(ImportMaildir(address: "alice", directory: tree.path)).last?.kind == .done)
        let inbox = try rows(backend, "INBOX")
        #expect(inbox.validity == 1_400_000_000)
        #expect(inbox.rows.map(\.uid) == [4, 8])
        #expect(inbox.rows.map(\.keywords) == [[], ["$Label2", "work"]])
        #expect(try uidNext(backend, "INBOX") == 9)
        #expect(try uidls(backend) == [UID(4): "UID3-1400000007", UID(8): "UID4"])
        // A folder that was made in the same second has the same UIDVALIDITY, which no two of ours may have.
        try tree.folder(".Twin")
        try tree.file(".Twin/cur/1.a:2,", "Subject: twin\n\nbody\n")
        try tree.file(".Twin/courierimapuiddb", "1 1400000000 9\n4 1.a\n")
        let lines = try backend.answer(ImportMaildir(address: "alice", directory: tree.path))
        #expect(lines.contains { $0.text.hasPrefix("Twin  1 files, 1 imported") && $0.text.contains("UIDs new") })
        #expect(try rows(backend, "Twin").rows.map(\.uid) == [1])
        #expect(try backend.answer(StoreVerify()).last?.kind == .done)
    }

    /// A run that was broken off after the first of two equal messages and one other.
    @Test func aRunThatWasBrokenOffGoesOn() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        let tree = try Tree(scratch.path + "/tree")
        try tree.file("cur/1.a:2,", "Subject: same\n\nbody\n")
        try tree.file("cur/2.b:2,", "Subject: other\n\nbody\n")
        #expect(try backend.answer(ImportMaildir(address: "alice", directory: tree.path)).last?.kind == .done)
        try tree.file("cur/3.c:2,", "Subject: same\n\nbody\n")
        let lines = try backend.answer(ImportMaildir(address: "alice", directory: tree.path))
        #expect(lines.last?.text == "1 messages in 1 folders into alice@example.test")
        #expect(try rows(backend, "INBOX").rows.map(\.subject) == ["Subject: same", "Subject: other", "Subject: same"])
    }

    @Test func whatCannotBeTakenIsListed() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        let tree = try dovecot(scratch.path + "/tree")
        try tree.folder(".a..b")
        let lines = try backend.answer(ImportMaildir(address: "alice", directory: tree.path))
        #expect(lines.first?.text == ".a..b: no name for a mailbox")
        #expect(lines.last?.kind == .failed && lines.last?.text.hasSuffix("; 1 could not be imported") == true)
        let none = try backend.answer(ImportMaildir(address: "alice", directory: scratch.path))
        #expect(none.last?.text.contains("is no Maildir") == true)
    }

    /// A number that the source has given to a message that is gone is given to no other, whatever arrived here before.
    @Test func noNumberOfTheSourceIsGivenToAnother() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        let tree = try Tree(scratch.path + "/tree")
        try tree.file("cur/1.a:2,", "Subject: one\n\nbody\n")
        try tree.file("dovecot-uidlist", "3 V1500000000 N40 G00\n3 :1.a\n")
        #expect(try backend.answer(ImportMaildir(address: "alice", directory: tree.path)).last?.kind == .done)
        #expect(try backend.append("alice@example.test", .inbox, "Subject: ours\r\n\r\n").rawValue == 40)
        // Meanwhile four came there, of which the second is gone.
        for (name, uid) in [("2.b", 40), ("3.c", 42), ("4.d", 43)] {
            try tree.file("cur/\(name):2,", "Subject: \(uid)\n\nbody\n")
        }
        try tree.file("dovecot-uidlist", "3 V1500000000 N44 G00\n3 :1.a\n40 :2.b\n42 :3.c\n43 :4.d\n")
        let lines = try backend.answer(ImportMaildir(address: "alice", directory: tree.path))
        #expect(lines.contains { $0.text.contains("UIDs kept but for 3") }, "\(lines)")
        let found = try rows(backend, "INBOX").rows.map { "\($0.uid) \($0.subject)" }
        #expect(
            found == ["3 Subject: one", "40 Subject: ours", "44 Subject: 40", "45 Subject: 42", "46 Subject: 43"])
    }

    /// It is found before the message that gets another number, and at the end.
    @Test func thatTooFewUIDsAreLeftIsToldOnce() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        let tree = try Tree(scratch.path + "/tree")
        try tree.file("cur/1.a:2,", "Subject: one\n\nbody\n")
        try tree.file("cur/2.b:2,", "Subject: late\n\nbody\n")
        try tree.file("dovecot-uidlist", "3 V1500000000 N4294967290 G00\n3 :1.a\n")
        let lines = try backend.answer(ImportMaildir(address: "alice", directory: tree.path))
        #expect(lines.last?.kind == .failed)
        #expect(lines.count { $0.text.contains("4294967290, leaves too few") } == 1, "\(lines)")
        #expect(lines.contains { $0.text.contains("2 imported, 0 there before, 1 missing") }, "\(lines)")
    }

    /// Of two messages with one UIDL the second has none, nor has one whose UIDL is none (RFC 1939 section 7).
    @Test func uidlsAreUnique() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        let tree = try Tree(scratch.path + "/tree")
        let long = String(repeating: "x", count: 71)
        for (number, name) in ["1.a", "2.b", "3.c", "4.d"].enumerated() {
            try tree.file("cur/\(name):2,", "Subject: \(number)\n\nbody\n")
        }
        try tree.file(
            "dovecot-uidlist", "3 V1500000000 N9 G00\n1 Pone :1.a\n2 Pone :2.b\n3 P\(long) :3.c\n4 Pä :4.d\n")
        #expect(try backend.answer(ImportMaildir(address: "alice", directory: tree.path)).last?.kind == .done)
        #expect(try uidls(backend) == [UID(1): "one"])
    }

    /// mutt does not protect lines that begin with `From `: it says how long a text is.
    @Test func textOfAKnownLengthIsTakenAsItIs() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        let text = "body\nFrom me Tue Jul  1 10:52:37 2003\n>From there\n"
        let head = "From a@b Tue Jul  1 10:52:37 2003\n"
        let counted = { (length: Int) in "\(head)Subject: one\nContent-Length: \(length)\n\n\(text)\n" }
        let last = "\(head)Subject: two\n\n>From here\n\n"
        func texts(_ file: String, _ mailbox: String, _ form: MboxForm? = nil) throws -> [String] {
            let path = scratch.path + "/" + mailbox
            try file.write(toFile: path, atomically: true, encoding: .utf8)
            let command = ImportMbox(address: "alice", file: path, mailbox: mailbox, quoting: form)
            #expect(try backend.answer(command).last?.kind == .done)
            let (account, id) = try backend.place("alice@example.test", MailboxName(mailbox)!)
            return try backend.engine.read { state in
                var found: [String] = []
                try state.importedRows(account, id) { _, row in
                    let handle = try backend.engine.openBody(row.blob)
                    var body: [UInt8] = []
                    try handle.read(at: 0, count: handle.size, into: &body)
                    found.append(String(decoding: body, as: UTF8.self).replacing("\r\n", with: "\n"))
                }
                return found
            }
        }
        let whole = "Subject: one\n\n\(text)"
        let two = "Subject: two\n\nFrom here\n"
        let right = text.utf8.count
        #expect(try texts(counted(right) + last, "counted") == [whole, two])
        #expect(try texts(last + counted(right), "at-the-end") == [two, whole])
        #expect(
            try texts(
                (counted(right) + last).replacing("\n", with: "\r\n").replacing("\(right)", with: "\(right + 3)"),
                "crlf")
                == [whole, two])
        // A length that leads nowhere is not believed; what is protected is then as mboxrd has it.
        for (index, wrong) in [0, right - 1, right + 2, 4_000_000_000, -1].enumerated() {
            let parts = try texts(counted(wrong) + last, "wrong-\(index)")
            #expect(parts.count == 3 && parts[2] == two, "\(wrong): \(parts)")
        }
        #expect(try texts(counted(right) + last, "asked-for", .mboxrd)[0].hasSuffix("\nFrom there\n"))
    }

    @Test func outAsMaildirAndInAgain() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let (first, second) = (try store(scratch, "first"), try store(scratch, "second"))
        defer {
            first.close()
            second.close()
        }
        let tree = try dovecot(scratch.path + "/tree")
        _ = try first.answer(ImportMaildir(address: "alice", directory: tree.path))
        let out = scratch.path + "/out"
        let lines = try first.answer(ExportMaildir(address: "alice", directory: out))
        #expect(lines.last?.text.hasPrefix("6 messages in ") == true)
        let back = try second.answer(ImportMaildir(address: "alice", directory: out + "/alice@example.test"))
        #expect(back.last?.kind == .done)
        for mailbox in ["INBOX", "Sent", "Lists/a.bä"] {
            let (a, b) = (try rows(first, mailbox), try rows(second, mailbox))
            #expect(a.validity == b.validity && a.rows == b.rows, "\(mailbox)")
            #expect(try uidNext(first, mailbox) == uidNext(second, mailbox), "\(mailbox)")
        }
    }

    @Test func outAsMboxAndInAgain() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let (first, second) = (try store(scratch, "first"), try store(scratch, "second"))
        defer {
            first.close()
            second.close()
        }
        _ = try first.answer(
            ImportMaildir(address: "alice", directory: try dovecot(scratch.path + "/tree").path))
        let out = scratch.path + "/out"
        #expect(try first.answer(ExportMbox(address: "alice", directory: out)).last?.kind == .done)
        #expect(try first.answer(ExportMbox(address: "alice", directory: out)).last?.kind == .failed, "overwrites")
        let list = try String(contentsOfFile: out + "/Lists/a.bä.mbox", encoding: .utf8)
        #expect(list.contains("\n>From here\n>>From there\n"))
        for (file, mailbox) in [("INBOX", "INBOX"), ("Lists/a.bä", "Lists/a.bä")] {
            let back = try second.answer(
                ImportMbox(address: "alice", file: out + "/\(file).mbox", mailbox: mailbox))
            #expect(back.last?.kind == .done)
            let (a, b) = (try rows(first, mailbox).rows, try rows(second, mailbox).rows)
            #expect(a.map(\.subject) == b.map(\.subject) && a.map(\.flags) == b.map(\.flags))
            #expect(a.map(\.keywords) == b.map(\.keywords) && a.map(\.seconds) == b.map(\.seconds))
            #expect(try uidNext(first, mailbox) == uidNext(second, mailbox), "\(mailbox)")
        }
    }
}
