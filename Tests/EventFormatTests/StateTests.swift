// Keys and values of the state tree.
import Digests
import EventFormat
import InputSupport
import MailCore
import MailTypes
import Octets
import Testing

private let account = AccountID(16)
private let box = MailboxID(3)

private func decoded<R>(_ bytes: [UInt8], _ decode: (UnsafeRawBufferPointer) throws -> R) throws -> R {
    try bytes.withUnsafeBytes(decode)
}

@Suite struct KeyTests {
    @Test func areAsTheDocumentSays() {
        let start: [UInt8] = [0, 0, 0, 16]
        #expect(StateKey.head(account) == start + [0])
        #expect(StateKey.mailbox(account, box) == start + [1, 0, 0, 0, 3])
        #expect(StateKey.message(account, box, UID(258)) == start + [2, 0, 0, 0, 3, 0, 0, 1, 2])
        #expect(
            StateKey.change(account, box, ModSeq(258), part: 7) == start + [3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1, 2, 7])
        #expect(StateKey.expunged(account, box, UID(1)) == start + [5, 0, 0, 0, 3, 0, 0, 0, 1])
        #expect(StateKey.name(account, parent: box, leaf: "ä") == start + [6, 0, 0, 0, 3, 0xC3, 0xA4])
        #expect(StateKey.keyword(account, KeywordID(258)) == start + [7, 1, 2])
        #expect(StateKey.keywordName(account, Keyword("$Aa")!) == start + [8, 0x24, 0x61, 0x61])
        #expect(StateKey.subscription(account, "A/b") == start + [9, 0x41, 0x2F, 0x62])
        #expect(StateKey.credential(account, id: 2) == start + [0x0A, 1, 0, 0, 0, 2])
        #expect(StateKey.address(account, id: 2) == start + [0x0A, 2, 0, 0, 0, 2])
        #expect(StateKey.setting(account, "k") == start + [0x0A, 3, 0x6B])
        #expect(StateKey.spill(account, box, UID(9)) == start + [0x0B, 0, 0, 0, 3, 0, 0, 0, 9])
        #expect(StateKey.uidl(account, box, UID(9)) == start + [0x0C, 0, 0, 0, 3, 0, 0, 0, 9])
        #expect(StateKey.tombstone(account, box) == start + [0x0E, 0, 0, 0, 3])
        #expect(StateKey.owner("a@b") == [0, 0, 0, 0, 0x10, 0x61, 0x40, 0x62])
        #expect(StateKey.nextAccount == [0, 0, 0, 0, 0x11])
        #expect(StateKey.queueEntry(QueueID(5)) == [0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 5])
        #expect(
            StateKey.queueDue(Timestamp(milliseconds: -1), QueueID(5))
                == [0, 0, 0, 1, 0x21, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 5])
        #expect(LogKey.encode(258) == [0, 0, 0, 0, 0, 0, 1, 2])
        #expect(BlobKey.encode(BlobNumber(3)) == [0, 0, 0, 0, 0, 0, 0, 3])
        #expect(
            CollectionKey.encode(day: 1, account: account, mailbox: box, uid: UID(0))
                == [0, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 3, 0, 0, 0, 0])
        #expect(
            DedupKey.encode(day: 1, account: account, command: CommandID(high: 2, low: 3))
                == [0, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3])
    }

    @Test func prefixesBegin() {
        let pairs: [([UInt8], [UInt8])] = [
            (StateKey.account(account), StateKey.head(account)),
            (StateKey.mailboxes(account), StateKey.mailbox(account, box)),
            (StateKey.tombstones(account), StateKey.tombstone(account, box)),
            (StateKey.messages(account, box), StateKey.message(account, box, UID(1))),
            (StateKey.changes(account, box), StateKey.change(account, box, ModSeq(1), part: 0)),
            (StateKey.expungedMessages(account, box), StateKey.expunged(account, box, UID(1))),
            (StateKey.spills(account, box), StateKey.spill(account, box, UID(1))),
            (StateKey.uidls(account, box), StateKey.uidl(account, box, UID(1))),
            (StateKey.names(account, parent: box), StateKey.name(account, parent: box, leaf: "x")),
            (StateKey.keywords(account), StateKey.keyword(account, KeywordID(1))),
            (StateKey.subscriptions(account), StateKey.subscription(account, "x")),
            (StateKey.credentials(account), StateKey.credential(account, id: 1)),
            (StateKey.addresses(account), StateKey.address(account, id: 1)),
            (StateKey.settings(account), StateKey.setting(account, "x")),
            (StateKey.queueEntries, StateKey.queueEntry(QueueID(1))),
            (StateKey.queueDuePrefix, StateKey.queueDue(Timestamp(milliseconds: 1), QueueID(1))),
        ]
        for (prefix, key) in pairs {
            #expect(key.starts(with: prefix))
            #expect(key.count > prefix.count)
        }
    }

    @Test func sortAsTheirNumbersDo() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<500 {
            let a = (random.number(UInt32.self), random.number(UInt32.self), random.number(UInt32.self))
            let b = (random.number(UInt32.self), random.number(UInt32.self), random.number(UInt32.self))
            let first = StateKey.message(AccountID(a.0), MailboxID(a.1), UID(a.2))
            let second = StateKey.message(AccountID(b.0), MailboxID(b.1), UID(b.2))
            #expect(first.lexicographicallyPrecedes(second) == (a < b))
            let c = (random.number(UInt64.self), random.number(UInt8.self))
            let d = (random.number(UInt64.self), random.number(UInt8.self))
            let third = StateKey.change(account, box, ModSeq(c.0), part: c.1)
            let fourth = StateKey.change(account, box, ModSeq(d.0), part: d.1)
            #expect(third.lexicographicallyPrecedes(fourth) == (c < d))
            #expect(LogKey.encode(c.0).lexicographicallyPrecedes(LogKey.encode(d.0)) == (c.0 < d.0))
            let e = (random.time(), random.number(UInt64.self))
            let f = (random.time(), random.number(UInt64.self))
            let fifth = StateKey.queueDue(e.0, QueueID(e.1))
            let sixth = StateKey.queueDue(f.0, QueueID(f.1))
            #expect(fifth.lexicographicallyPrecedes(sixth) == ((e.0, e.1) < (f.0, f.1)))
        }
    }

    @Test func parseBack() throws {
        func suffix(_ key: [UInt8], _ prefix: [UInt8]) -> [UInt8] { [UInt8](key.dropFirst(prefix.count)) }
        let message = suffix(StateKey.message(account, box, UID(7)), StateKey.messages(account, box))
        #expect(try decoded(message) { try StateKey.parseUID($0) } == UID(7))
        let mailbox = suffix(StateKey.mailbox(account, box), StateKey.mailboxes(account))
        #expect(try decoded(mailbox) { try StateKey.parseMailbox($0) } == box)
        let name = suffix(StateKey.name(account, parent: box, leaf: "日"), StateKey.names(account, parent: box))
        #expect(try decoded(name) { try StateKey.parseLeaf($0) } == "日")
        let change = suffix(StateKey.change(account, box, ModSeq(9), part: 2), StateKey.changes(account, box))
        #expect(try decoded(change) { try StateKey.parseChange($0) == (ModSeq(9), 2) })
        let due = suffix(StateKey.queueDue(Timestamp(milliseconds: -5), QueueID(6)), StateKey.queueDuePrefix)
        #expect(try decoded(due) { try StateKey.parseQueueDue($0) == (Timestamp(milliseconds: -5), QueueID(6)) })
        #expect(try decoded(LogKey.encode(77)) { try LogKey.parse($0) } == 77)
        let collection = CollectionKey.encode(day: 1, account: account, mailbox: box, uid: UID(4))
        #expect(try decoded(collection) { try CollectionKey.parse($0) == (1, account, box, UID(4)) })
        let command = CommandID(high: 5, low: 6)
        let dedup = DedupKey.encode(day: 1, account: account, command: command)
        #expect(try decoded(dedup) { try DedupKey.parse($0) == (1, account, command) })
        try decoded(StateKey.tombstone(account, box)) { key in
            let (account, type, suffix) = try StateKey.parse(key)
            #expect(account == AccountID(16))
            #expect(type == StateKey.tombstoneType)
            #expect([UInt8](suffix) == [0, 0, 0, 3])
        }
        for bytes in [[1, 2, 3], [1, 2, 3, 4, 5]] as [[UInt8]] {
            #expect(throws: FormatError.self) { try decoded(bytes) { try StateKey.parseUID($0) } }
        }
    }

    @Test func longTextsStayWithinTheLimit() throws {
        let long = String(repeating: "ä", count: 4000)
        let edge = String(repeating: "x", count: 400)
        for text in [long, edge, edge + "x"] {
            let keys = [
                StateKey.subscription(account, text), StateKey.setting(account, text), StateKey.owner(text),
            ]
            for key in keys { #expect(key.count <= FormatLimits.keyOctetsMax) }
        }
        #expect(StateKey.name(account, parent: box, leaf: String(repeating: "x", count: 255)).count <= 511)
        let digest = SHA256Digest.of(Array(long.utf8)).bytes
        #expect(StateKey.subscription(account, long) == [0, 0, 0, 16, 9, 0xFF] + digest)
        #expect(StateKey.subscription(account, edge) == [0, 0, 0, 16, 9] + Array(edge.utf8))
        #expect(StateKey.subscription(account, long) != StateKey.subscription(account, long + "ä"))
        for name in ["INBOX", edge, long] {
            let suffix = [UInt8](StateKey.subscription(account, name).dropFirst(5))
            let value = StateValue.encodeSubscription(name)
            let read = try suffix.withUnsafeBytes { suffix in
                try value.withUnsafeBytes { try StateValue.decodeSubscription($0, keySuffix: suffix) }
            }
            #expect(read == name)
        }
        #expect(StateValue.encodeSubscription(edge).isEmpty)
    }
}

@Suite struct ValueTests {
    @Test func rowsComeBack() throws {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<200 {
            let head = random.head()
            #expect(try decoded(StateValue.encode(head), StateValue.decodeHead) == head)
            let mailbox = random.mailbox()
            #expect(try decoded(StateValue.encode(mailbox), StateValue.decodeMailbox) == mailbox)
            let tombstone = MailboxTombstone(
                row: mailbox, deleted: ModSeq(random.number()), time: random.time(), dueDay: random.number())
            #expect(try decoded(StateValue.encode(tombstone), StateValue.decodeTombstone) == tombstone)
            let message = random.message()
            #expect(try decoded(StateValue.encode(message), StateValue.decodeMessage) == message)
            #expect(StateValue.encode(message).count == (message.saved == nil ? 48 : 56))
            let expunged = ExpungedRow(
                row: message, expunged: ModSeq(random.number()), time: random.time(), dueDay: random.number(),
                movedOut: random.chance())
            #expect(try decoded(StateValue.encode(expunged), StateValue.decodeExpunged) == expunged)
            if case .credentialSet(let row) = random.event(2) {
                #expect(try decoded(StateValue.encode(row)) { try StateValue.decodeCredential($0, id: row.id) } == row)
            }
            if case .addressAdded(let row) = random.event(4) {
                #expect(try decoded(StateValue.encode(row)) { try StateValue.decodeAddress($0, id: row.id) } == row)
            }
            let entry = random.queueEntry()
            #expect(try decoded(StateValue.encode(entry), StateValue.decodeQueueEntry) == entry)
            let spill = Set(random.keywords()).sorted()
            #expect(try decoded(StateValue.encodeSpill(spill), StateValue.decodeSpill) == spill)
            let uidl = "UID\(random.number(UInt32.self))-\(random.number(UInt32.self))"
            #expect(try decoded(StateValue.encodeUIDL(uidl), StateValue.decodeUIDL) == uidl)
            let blob = BlobRow(
                segment: random.number(), offset: random.number(), storedOctets: 9, rawOctets: 9,
                references: random.number(), hash: random.hash(), flags: random.chance() ? .erased : [])
            #expect(blob.encode().count == BlobRow.octets)
            #expect(try decoded(blob.encode(), BlobRow.decode) == blob)
            let dedup = DedupRow(lsn: random.number(), aseq: ModSeq(random.number()))
            #expect(try decoded(dedup.encode(), DedupRow.decode) == dedup)
            let mark = FoldRow(lsn: random.number())
            #expect(try decoded(mark.encode(), FoldRow.decode) == mark)
        }
        #expect(try decoded(StateValue.encodeSetting("ä"), StateValue.decodeSetting) == "ä")
        #expect(try decoded(StateValue.encodeSetting(""), StateValue.decodeSetting).isEmpty)
        #expect(try decoded(StateValue.encodeMailboxID(box), StateValue.decodeMailboxID) == box)
        #expect(try decoded(StateValue.encodeOwner(account), StateValue.decodeOwner) == account)
        #expect(try decoded(StateValue.encodeNextAccount(account), StateValue.decodeNextAccount) == account)
        let keyword = Keyword("$Junk")!
        #expect(try decoded(StateValue.encodeKeyword(keyword), StateValue.decodeKeyword).name == "$Junk")
        #expect(try decoded(StateValue.encodeKeywordID(KeywordID(9)), StateValue.decodeKeywordID) == KeywordID(9))
    }

    @Test func fixedRowsRefuseEveryOtherLength() throws {
        var random = SeededGenerator(seed: 12)
        let rows: [([UInt8], (UnsafeRawBufferPointer) throws -> Void)] = [
            (StateValue.encode(random.head()), { _ = try StateValue.decodeHead($0) }),
            (StateValue.encode(random.message()), { _ = try StateValue.decodeMessage($0) }),
            (StateValue.encodeMailboxID(box), { _ = try StateValue.decodeMailboxID($0) }),
            (
                BlobRow(segment: 1, offset: 2, storedOctets: 3, rawOctets: 3, references: 4, hash: .zero).encode(),
                { _ = try BlobRow.decode($0) }
            ),
            (DedupRow(lsn: 1, aseq: ModSeq(1)).encode(), { _ = try DedupRow.decode($0) }),
            (FoldRow(lsn: 1).encode(), { _ = try FoldRow.decode($0) }),
        ]
        for (bytes, decode) in rows {
            for count in bytes.indices {
                #expect(throws: FormatError.self) { try decoded([UInt8](bytes[..<count]), decode) }
            }
            #expect(throws: FormatError.self) { try decoded(bytes + [0], decode) }
            #expect(throws: FormatError.self) { try decoded([2] + bytes.dropFirst(), decode) }
        }
    }

    // MARK: Changes

    @Test func smallChangesAreOneRow() throws {
        let row = ChangeRow(arrived: uidSet(1...3), changed: uidSet(7...7, 9...9), gone: uidSet(2...2))
        #expect(StateValue.encodeChange(row) == [[1, 1, 1, 2, 2, 7, 0, 2, 0, 1, 2, 0]])
        #expect(StateValue.encodeChange(ChangeRow()) == [[1, 0, 0, 0]])
    }

    @Test(arguments: UInt64(1)...20) func largeChangesAreSplit(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        func scattered(_ count: Int, _ gap: UInt32) -> UIDSet {
            var uid: UInt32 = 0
            return UIDSet(
                (0..<count).map { _ in
                    uid += UInt32.random(in: 1...gap, using: &random)
                    return UID(uid)
                })
        }
        let row = ChangeRow(
            arrived: scattered(Int(seed) * 200, 1000), changed: seed.isMultiple(of: 2) ? scattered(4096, 2) : UIDSet(),
            gone: scattered(Int(seed) * 50, 1_000_000))
        let parts = StateValue.encodeChange(row)
        #expect(parts.count <= 256)
        var together = ChangeRow()
        var octets = 0
        for part in parts {
            #expect(part.count <= FormatLimits.changeRowOctetsMax)
            octets += part.count
            let read = try decoded(part, StateValue.decodeChange)
            #expect(read != ChangeRow())
            #expect(together.arrived.intersection(read.arrived).isEmpty)
            together.arrived.formUnion(read.arrived)
            together.changed.formUnion(read.changed)
            together.gone.formUnion(read.gone)
        }
        #expect(together == row)
        // Parts are filled: all but the last would not have taken another run of ten octets.
        #expect(parts.dropLast().allSatisfy { $0.count > FormatLimits.changeRowOctetsMax - 20 })
    }
}

extension SeededGenerator {
    fileprivate mutating func head() -> StoredHead {
        var head = AccountHead()
        head.status = [.active, .disabled, .removed].randomElement(using: &self)!
        head.aseq = ModSeq(number())
        head.nextMailbox = number()
        head.nextEmail = number()
        head.nextKeyword = number()
        head.nextCredential = number()
        head.nextAddress = number()
        head.lastUIDValidity = number()
        head.used = quota()
        head.quota = quota()
        head.retention = retention()
        head.historyFloor = ModSeq(number())
        return StoredHead(head: head, lastLSN: number(), chain: hash().digest)
    }

    fileprivate mutating func mailbox() -> MailboxRow {
        var row = MailboxRow(
            parent: box(), leaf: text(1...60), specialUse: specialUse(), uidValidity: UIDValidity(number()),
            created: ModSeq(number()))
        row.uidNext = number()
        row.highestModSeq = ModSeq(number())
        row.exists = number()
        row.unseen = number()
        row.deleted = number()
        row.bytes = number()
        row.lastExpunge = ModSeq(number())
        row.recentFloor = number()
        return row
    }

    fileprivate mutating func message() -> MessageRow {
        MessageRow(
            flags: flags(), keywordBits: number(), size: number(), modSeq: ModSeq(number()), email: EmailID(number()),
            blob: BlobNumber(number()), saved: chance() ? time() : nil,
            internalDate: InternalDate(time: time(), zoneMinutes: Int16.random(in: .min ... .max, using: &self)))
    }

    fileprivate mutating func queueEntry() -> QueueEntry {
        let isPlain = chance()
        return QueueEntry(
            blob: BlobNumber(number()), size: number(), accepted: time(), nextAttempt: time(), mailFrom: text(0...40),
            recipients: (0..<Int.random(in: 0...20, using: &self)).map { _ in
                QueueEntry.Recipient(
                    address: text(0...40), state: [.waiting, .delivered, .bounced].randomElement(using: &self)!,
                    attempts: number(), lastCode: number(), notify: isPlain ? [] : notify(),
                    original: isPlain ? "" : text(0...40), lastHost: isPlain ? "" : text(0...40),
                    lastText: isPlain ? "" : text(0...40))
            }, wishes: isPlain ? QueueWishes() : wishes(), isHeld: isPlain ? false : chance())
    }
}
