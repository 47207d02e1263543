// Rows that wait in memory for a fold: readers see them, an open finds them again, a fold changes nothing anyone sees.
import EventFormat
import EventStore
import Foundation
import LMDB
import MailCore
import MailTypes
import Synchronization
import Testing

@Suite("Folds")
struct FoldTests {
    /// Everything a person's account holds.
    private static func picture(_ store: LMDBStore) throws -> [String] {
        try store.read { state in
            var lines = ["\(state.head)", "\(String(describing: try state.head(.firstPersonal)))"]
            try state.accounts { account, head in
                lines.append("\(account) \(head)")
                return true
            }
            var boxes: [MailboxID] = []
            try state.mailboxes(.firstPersonal) { id, row in
                boxes.append(id)
                lines.append("\(id) \(row)")
                return true
            }
            for box in boxes {
                try state.messages(.firstPersonal, box, from: UID(1)) { uid, row in
                    lines.append("\(uid) \(row)")
                    return true
                }
                try state.changes(.firstPersonal, box, after: .zero) { position, row in
                    lines.append("\(position) \(row)")
                    return true
                }
            }
            try state.collectable(through: .max) { day, account, mailbox, uid in
                lines.append("\(day) \(account) \(mailbox) \(uid)")
                return true
            }
            return lines
        }
    }

    private static func work(_ temporary: TemporaryStore, messages: Int) throws {
        let ann = try temporary.populate(messages: messages)
        let inbox = TemporaryStore.inbox
        let archive = NewMailbox(name: try #require(MailboxName("Archive")), subscribed: true)
        guard case .mailbox(let box, _) = try temporary.run(.createMailbox(archive), ann) else {
            Issue.record("no mailbox was made")
            return
        }
        let some = UIDSet(UID(2)...UID(5))
        try temporary.run(
            .changeFlags(ChangeFlags(mailbox: inbox, uids: some, operation: .add, flags: [.seen, .deleted])), ann)
        try temporary.run(.copy(CopyMessages(source: inbox, destination: box, uids: some)), ann)
        try temporary.run(.move(CopyMessages(source: inbox, destination: box, uids: UIDSet(UID(7)))), ann)
        try temporary.run(
            .expunge(Expunge(mailbox: inbox, uids: some, onlyDeleted: true, reason: .expunge)), ann,
            id: CommandID(high: 1, low: 2))
        try temporary.run(.setSubscription(try #require(MailboxName("Archive")), false), ann)
    }

    @Test(
        "with any number of rows waiting, the state is the same, now and after each kind of end",
        arguments: [1, 7, 30, 100, 1_000_000])
    func same(rows: Int) throws {
        let plain = try TemporaryStore(unfoldedRowsMax: 1)
        try Self.work(plain, messages: 12)
        let temporary = try TemporaryStore(unfoldedRowsMax: rows)
        try Self.work(temporary, messages: 12)
        let expected = try Self.picture(plain.store)
        #expect((temporary.store.statistics.unfoldedRows > 0) == (rows > 1))
        #expect(try Self.picture(temporary.store) == expected)
        try temporary.store.verifyAll()
        _ = try temporary.store.compareStateWithReplay()
        for folding in [false, true] {
            try temporary.reopen(folding: folding)
            #expect(temporary.store.statistics.unfoldedRows > 0 || rows == 1 || folding)
            #expect(try Self.picture(temporary.store) == expected)
            try temporary.store.verifyAll()
            _ = try temporary.store.compareStateWithReplay()
            #expect(
                try temporary.store.read { try $0.outcome(of: CommandID(high: 1, low: 2), .firstPersonal) } != nil)
        }
        try temporary.store.settle()
        #expect(temporary.store.isSettled)
        #expect(try Self.picture(temporary.store) == expected)
        try temporary.deliver(TemporaryStore.body(3))
        _ = try temporary.store.compareStateWithReplay()
    }

    /// Some of the rows are in the database and some wait, in turn and under each other.
    @Test("chosen messages are found among folded and waiting rows", arguments: 0..<6)
    func chosen(offset: Int) throws {
        let plain = try TemporaryStore(unfoldedRowsMax: 1)
        let temporary = try TemporaryStore(unfoldedRowsMax: 1_000_000)
        for site in [plain, temporary] {
            let ann = try site.populate(messages: 60)
            try site.store.settle()
            let inbox = TemporaryStore.inbox
            let some = UIDSet((0..<20).map { UID(UInt32($0 * 3 + 1)) })
            try site.run(
                .changeFlags(ChangeFlags(mailbox: inbox, uids: some, operation: .add, flags: [.deleted])), ann)
            let gone = UIDSet((0..<10).map { UID(UInt32($0 * 6 + 1)) })
            try site.run(.expunge(Expunge(mailbox: inbox, uids: gone, onlyDeleted: true, reason: .expunge)), ann)
            for number in 60..<70 { try site.deliver(TemporaryStore.body(number)) }
        }
        let wanted = UIDSet(
            (0..<90).filter { ($0 * 7 + offset) % 5 < 2 || $0 > 80 }.map { UID(UInt32($0 + 1)) })
        func found(_ store: LMDBStore, from first: UInt32) throws -> [String] {
            try store.read { state in
                var lines: [String] = []
                try state.messages(.firstPersonal, TemporaryStore.inbox, in: wanted, from: UID(first)) { uid, row in
                    lines.append("\(uid) \(row)")
                    return true
                }
                return lines
            }
        }
        #expect(temporary.store.statistics.unfoldedRows > 0)
        for first: UInt32 in [1, 17, 59, 66] {
            #expect(try found(temporary.store, from: first) == found(plain.store, from: first))
        }
    }

    @Test("rows too damaged for what waits on them are refused, and made anew by a rebuild")
    func rebuild() throws {
        var options = TemporaryStore.options
        options.limits.unfoldedRowsMax = 1_000_000
        options.limits.unfoldedMillisecondsMax = 3_600_000
        let temporary = try TemporaryStore(options: options)
        try temporary.populate(messages: 5)
        try temporary.store.settle()
        try temporary.deliver(TemporaryStore.body(5))
        let expected = try Self.picture(temporary.store)
        // The head of the account goes, in an otherwise sound database.
        try temporary.reopen(folding: false) { directory in
            #expect(throws: StoreError.self) {
                try Self.dropHeads(directory)
                _ = try LMDBStore(directory, options: options)
            }
            var repairing = options
            repairing.ignoresRows = true
            let store = try LMDBStore(directory, options: repairing)
            #expect(throws: StoreError.self) { try store.beginBatch(now: temporary.now) }
            _ = try store.rebuildState()
            // The new tree is in use at once.
            #expect(try Self.picture(store) == expected)
            store.close()
        }
        #expect(try Self.picture(temporary.store) == expected)
        _ = try temporary.store.compareStateWithReplay()
        try temporary.deliver(TemporaryStore.body(6))
        try temporary.store.verifyAll()
    }

    private static func dropHeads(_ directory: String) throws {
        let environment = try Environment(directory: directory + "/shard-0000")
        let state = try environment.openDatabase("state.1", create: false)
        try environment.write { _ = try $0.delete(state, StateKey.head(.firstPersonal)) }
    }

    @Test("a batch that is given up leaves the waiting rows as they were")
    func abort() throws {
        let temporary = try TemporaryStore(unfoldedRowsMax: 1000)
        let ann = try temporary.populate(messages: 3)
        let before = try Self.picture(temporary.store)
        let batch = try temporary.store.beginBatch(now: temporary.now)
        let position = try #require(try batch.head(ann)).aseq
        _ = try batch.append(
            Append(account: ann, expected: position, events: [.quotaSet(Quota(bytes: 5, messages: 5))]))
        #expect(try Self.picture(temporary.store) == before)
        batch.abort()
        #expect(try Self.picture(temporary.store) == before)
    }

    @Test("what can wait is bounded: in rows, in events, in time")
    func bounds() throws {
        var options = TemporaryStore.options
        options.limits.unfoldedRowsMax = 40
        options.limits.unfoldedEventsMax = 10
        let temporary = try TemporaryStore(options: options)
        let ann = try temporary.populate(messages: 30)
        #expect(temporary.store.statistics.folds >= 3)
        #expect(temporary.store.statistics.unfoldedRows < 40)
        let folds = temporary.store.statistics.folds
        // The same row again and again: one row, many events.
        for number in 1...25 { try temporary.run(.setQuota(Quota(bytes: UInt64(number), messages: 0)), ann) }
        #expect(temporary.store.statistics.folds >= folds + 2)

        try temporary.store.settle()
        let before = temporary.store.statistics.folds
        try temporary.run(.setQuota(Quota()), ann)
        #expect(temporary.store.statistics.folds == before)
        temporary.now = Timestamp(rawValue: temporary.now.rawValue + 5000)
        try temporary.run(.setQuota(Quota()), ann)
        try temporary.run(.setQuota(Quota(bytes: 1, messages: 0)), ann)
        #expect(temporary.store.statistics.folds == before + 1)
    }

    @Test("a store of format 1, whose rows are all folded, is opened and raised")
    func formatOne() throws {
        let temporary = try TemporaryStore()
        try Self.work(temporary, messages: 12)
        let expected = try Self.picture(temporary.store)
        func manifest(_ directory: String) throws -> String {
            try String(contentsOfFile: directory + "/STORE", encoding: .utf8)
        }
        try temporary.reopen { directory in
            try manifest(directory).replacingOccurrences(of: "\"format\": 4", with: "\"format\": 1")
                .write(toFile: directory + "/STORE", atomically: true, encoding: .utf8)
        }
        #expect(try manifest(temporary.directory).contains("\"format\": 4"))
        #expect(try Self.picture(temporary.store) == expected)
        try temporary.deliver(TemporaryStore.body(1))
        try temporary.reopen(folding: false)
        _ = try temporary.store.compareStateWithReplay()
    }

    /// What a program before format 3 left: no row tells when its message was saved.
    private static func forgetSaves(_ directory: String) throws -> Int {
        let manifest = try String(contentsOfFile: directory + "/STORE", encoding: .utf8)
        try manifest.replacingOccurrences(of: "\"format\": 4", with: "\"format\": 2")
            .write(toFile: directory + "/STORE", atomically: true, encoding: .utf8)
        let environment = try Environment(directory: directory + "/shard-0000")
        let state = try environment.openDatabase("state.1", create: false)
        var rows: [(key: [UInt8], value: [UInt8])] = []
        try environment.read { read in
            try read.scan(state, from: []) { key, value in
                if StateKey.isMessage([UInt8](key)) { rows.append(([UInt8](key), [UInt8](value))) }
                return true
            }
        }
        try environment.write { write in
            for row in rows {
                try #require(row.value[0] == 2)
                try write.put(state, row.key, [1] + row.value[1..<48] + row.value[56...])
            }
        }
        return rows.count
    }

    @Test("a store of format 2 keeps its rows, equals its log, and gets its save dates by a rebuild")
    func formatTwo() throws {
        let temporary = try TemporaryStore()
        try Self.work(temporary, messages: 12)
        let expected = try Self.picture(temporary.store)
        var old = 0
        try temporary.reopen { old = try Self.forgetSaves($0) }
        // 12 messages; four were copied and one moved. Of those in INBOX five are gone and kept.
        #expect(old == 17)
        #expect(try String(contentsOfFile: temporary.directory + "/STORE", encoding: .utf8).contains("\"format\": 4"))
        let inbox = TemporaryStore.inbox
        func saved(_ uid: UInt32, in box: MailboxID = TemporaryStore.inbox) throws -> Timestamp? {
            try temporary.store.read { try $0.message(.firstPersonal, box, UID(uid)) }?.saved
        }
        #expect(try saved(1) == nil)
        #expect(try temporary.store.compareStateWithReplay().unsaved == old)
        try temporary.store.verifyAll()

        // A change of flags does not know either; what is new does.
        let uids = UIDSet(UID(1))
        try temporary.run(
            .changeFlags(ChangeFlags(mailbox: inbox, uids: uids, operation: .add, flags: .flagged)), .firstPersonal)
        #expect(try saved(1) == nil)
        try temporary.run(.copy(CopyMessages(source: inbox, destination: inbox, uids: uids)), .firstPersonal)
        #expect(try saved(13) == temporary.now)
        #expect(try temporary.store.compareStateWithReplay().unsaved == old)
        try temporary.reopen(folding: false)
        #expect(try temporary.store.compareStateWithReplay().unsaved == old)

        _ = try temporary.store.rebuildState()
        #expect(try saved(1) != nil)
        #expect(try temporary.store.compareStateWithReplay().unsaved == 0)
        let rebuilt = Set(try Self.picture(temporary.store))
        #expect(expected.filter { $0.contains("saved") && !rebuilt.contains($0) }.count == 1, "all but the flagged one")
    }

    /// What a program before format 4 left: UIDLs are in the log, and there are no rows of them.
    private static func forgetUIDLs(_ directory: String) throws -> Int {
        let manifest = try String(contentsOfFile: directory + "/STORE", encoding: .utf8)
        try manifest.replacingOccurrences(of: "\"format\": 4", with: "\"format\": 3")
            .write(toFile: directory + "/STORE", atomically: true, encoding: .utf8)
        do {
            let environment = try Environment(directory: directory + "/shard-0000")
            let meta = try environment.openDatabase("meta", create: false)
            let wasThere = try environment.write { try $0.delete(meta, Array("state.uidls".utf8)) }
            #expect(wasThere)
        }
        return try loseUIDLs(directory, of: "state.1")
    }

    private static func loseUIDLs(_ directory: String, of tree: String) throws -> Int {
        let environment = try Environment(directory: directory + "/shard-0000")
        let state = try environment.openDatabase(tree, create: false)
        var keys: [[UInt8]] = []
        try environment.read { read in
            try read.scan(state, from: []) { key, _ in
                if StateKey.isUIDL([UInt8](key)) { keys.append([UInt8](key)) }
                return true
            }
        }
        try environment.write { write in
            for key in keys { _ = try write.delete(state, key) }
        }
        return keys.count
    }

    /// Three messages that came with one, behind one that came without.
    private static func addUIDLs(_ temporary: TemporaryStore) throws {
        _ = try temporary.populate(messages: 1)
        for number in 0..<3 {
            let message = NewMessage(body: 0, uidl: "from-\(number)")
            try temporary.run(
                .append(AppendMessages(mailbox: TemporaryStore.inbox, messages: [message], origin: .import)),
                .firstPersonal, bodies: [TemporaryStore.body(10 + number)])
        }
    }

    @Test("a store of format 3 equals its log, and gets its UIDLs by a rebuild")
    func formatThree() throws {
        let temporary = try TemporaryStore()
        try Self.addUIDLs(temporary)
        func uidls() throws -> [UInt32: String] {
            var found: [UInt32: String] = [:]
            try temporary.store.read { state in
                try state.uidls(.firstPersonal, TemporaryStore.inbox) { uid, uidl in
                    found[uid.rawValue] = uidl
                    return true
                }
            }
            return found
        }
        let all: [UInt32: String] = [2: "from-0", 3: "from-1", 4: "from-2"]
        #expect(try uidls() == all)
        var old = 0
        try temporary.reopen { old = try Self.forgetUIDLs($0) }
        #expect(old == 3)
        #expect(try String(contentsOfFile: temporary.directory + "/STORE", encoding: .utf8).contains("\"format\": 4"))
        #expect(try uidls() == [:])
        #expect(try temporary.store.compareStateWithReplay().withoutUIDL == 3)
        try temporary.store.verifyAll()
        _ = try temporary.store.rebuildState()
        #expect(try uidls() == all)
        #expect(try temporary.store.compareStateWithReplay().withoutUIDL == 0)
        // From now on it has them all, and a loss is one.
        try temporary.reopen { _ = try Self.loseUIDLs($0, of: "state.2") }
        #expect(throws: StateDifference.self) { try temporary.store.compareStateWithReplay() }
    }

    @Test("a row of a UIDL that is lost is found in a store that has always had them")
    func lostUIDLs() throws {
        let temporary = try TemporaryStore()
        try Self.addUIDLs(temporary)
        #expect(try temporary.store.compareStateWithReplay().withoutUIDL == 0)
        try temporary.reopen { _ = try Self.loseUIDLs($0, of: "state.1") }
        let difference = #expect(throws: StateDifference.self) { try temporary.store.compareStateWithReplay() }
        #expect(difference?.found == "no row")
        _ = try temporary.store.rebuildState()
        #expect(try temporary.store.compareStateWithReplay().withoutUIDL == 0)
    }

    /// A reader that paired the rows of one commit with the log of another would find a message without its event.
    @Test("readers beside a writer see one moment, folds or not", arguments: [1, 20, 100_000])
    func consistent(rows: Int) throws {
        let temporary = try TemporaryStore(unfoldedRowsMax: rows)
        let ann = try temporary.populate(messages: 1)
        let store = temporary.store
        let ended = Atomic(false)
        let faults = Mutex<[String]>([])
        let group = DispatchGroup()
        for _ in 0..<2 {
            group.enter()
            Thread.detachNewThread {
                defer { group.leave() }
                var last = ModSeq.zero
                while !ended.load(ordering: .relaxed) {
                    do {
                        try store.read { state in
                            let head = try state.head(ann)?.aseq ?? .zero
                            var logged = ModSeq.zero
                            try state.history(ann) { event in
                                logged = event.context.aseq
                                return false
                            }
                            var newest = ModSeq.zero
                            try state.log(after: Cursor(max(3, state.head.rawValue) - 3)) { event in
                                if event.context.account == ann { newest = event.context.aseq }
                                return true
                            }
                            if head != logged || newest != head || head < last {
                                faults.withLock { $0.append("head \(head), its record \(logged), log \(newest)") }
                            }
                            last = head
                        }
                    } catch {
                        faults.withLock { $0.append("\(error)") }
                    }
                }
            }
        }
        for number in 1...400 {
            try temporary.run(.setQuota(Quota(bytes: UInt64(number), messages: 0)), ann)
            // What was acknowledged is seen by whoever looks now.
            #expect(try store.read { try $0.head(ann)?.quota.bytes } == UInt64(number))
        }
        ended.store(true, ordering: .relaxed)
        group.wait()
        #expect(faults.withLock { $0 } == [])
    }
}
