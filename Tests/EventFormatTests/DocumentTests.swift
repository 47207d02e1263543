// docs/formats/event-log.md against the code: every table of offsets describes a row that the code really writes.
import Digests
import EventFormat
import Foundation
import MailCore
import MailTypes
import Octets
import Testing

private struct Field {
    var offset: Int
    /// Nil for "to the end".
    var size: Int?
    var name: String
}

private struct FormatDocument {
    var fields: [String: [Field]] = [:]
    var types: [UInt16: String] = [:]

    init() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../docs/formats/event-log.md")
        var section = ""
        var isOffsets = false
        for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
            if line.hasPrefix("#") {
                section = String(line.drop { $0 == "#" || $0 == " " })
            }
            if !line.hasPrefix("|") { isOffsets = false }
            guard line.hasPrefix("| ") else { continue }
            if line.hasPrefix("| offset |") { isOffsets = true }
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            if isOffsets, let offset = Int(cells[0]) {
                fields[section, default: []].append(Field(offset: offset, size: Int(cells[1]), name: cells[2]))
            } else if section == "Events", cells[0].count == 4, let type = UInt16(cells[0], radix: 16) {
                types[type] = cells[1]
            }
        }
    }
}

@Suite struct DocumentTests {
    private let document: FormatDocument
    init() throws { document = try FormatDocument() }

    @Test func tablesHaveNoGaps() {
        #expect(document.fields.count == 15)
        for (section, fields) in document.fields {
            var end = 0
            for field in fields {
                #expect(field.offset == end, "\(section), \(field.name)")
                end += field.size ?? 0
            }
        }
    }

    @Test func namesEveryEventType() {
        #expect(document.types == Dictionary(uniqueKeysWithValues: EventType.allCases.map { ($0.rawValue, $0.name) }))
    }

    /// Every field of the section's table holds the value given for it, in order; nil is not looked at.
    private func check(_ section: String, _ bytes: [UInt8], _ values: [UInt64?]) {
        let fields = document.fields[section] ?? []
        guard fields.count == values.count else {
            Issue.record("\(section) has \(fields.count) fields, the test \(values.count)")
            return
        }
        if let last = fields.last, let size = last.size {
            #expect(bytes.count >= last.offset + size, "\(section) is shorter than its table")
        }
        for (field, value) in zip(fields, values) {
            guard let value, let size = field.size, field.offset + size <= bytes.count else { continue }
            let number = bytes[field.offset..<(field.offset + size)].reversed().reduce(UInt64(0)) {
                $0 << 8 | UInt64($1)
            }
            #expect(number == value, "\(section), \(field.name)")
        }
    }

    @Test func recordHeader() throws {
        let record = try RecordCodec.encode(
            .quotaSet(Quota(bytes: 1, messages: 2)),
            at: EventContext(account: AccountID(3), aseq: ModSeq(4), time: Timestamp(milliseconds: 5)), lsn: 7,
            previousLSN: 6, origin: Origin(actor: AccountID(8), gateway: .admin), command: nil, retryable: true,
            salt: (0, 0))
        check(
            "Record header", record.bytes,
            [0xE5, 1, 1, 32, UInt64(record.bytes.count), nil, 3, 4, 6, 5, 0x0108, 1, 9, 0, 4, 0])
        #expect(record.bytes.count == 56 + 9 + 4)
    }

    @Test func seal() {
        let seal = Seal.make(
            firstLSN: 1, count: 2, timeline: Timeline(high: 3, low: 4), writer: 5, segment: 6, offset: 7, nextBlob: 8,
            recordsHash: .zero, previous: .zero, time: Timestamp(milliseconds: 9))
        let body = [UInt8](seal.encode(lsn: 3).dropFirst(56))
        check("Seal body", body, [1, 2, nil, 5, 6, 7, 8, 0, 0, nil])
        #expect(body.count == 152)
    }

    @Test func accountHead() {
        var head = AccountHead()
        head.status = .disabled
        head.nextKeyword = 3
        head.nextMailbox = 4
        head.nextCredential = 5
        head.nextAddress = 6
        head.lastUIDValidity = 7
        head.retention = Retention(undeleteDays: 8, historyDays: 9)
        head.aseq = ModSeq(10)
        head.nextEmail = 11
        head.used = Quota(bytes: 12, messages: 13)
        head.quota = Quota(bytes: 14, messages: 15)
        head.historyFloor = ModSeq(16)
        let bytes = StateValue.encode(StoredHead(head: head, lastLSN: 17, chain: .zero))
        check("Account head row", bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 0])
        #expect(bytes.count == StateValue.headOctets)
    }

    private var mailbox: MailboxRow {
        var row = MailboxRow(
            parent: MailboxID(3), leaf: "leaf", specialUse: .archive, uidValidity: UIDValidity(4), created: ModSeq(10))
        row.uidNext = 5
        row.exists = 6
        row.unseen = 7
        row.deleted = 8
        row.recentFloor = 9
        row.highestModSeq = ModSeq(11)
        row.bytes = 12
        row.lastExpunge = ModSeq(13)
        return row
    }

    @Test func mailboxes() {
        let bytes = StateValue.encode(mailbox)
        check("Mailbox row", bytes, [1, 2, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, nil])
        #expect(bytes.suffix(from: 64) == Array("leaf".utf8)[...].suffix(4))
        let deleted = StateValue.encode(
            MailboxTombstone(row: mailbox, deleted: ModSeq(2), time: Timestamp(milliseconds: 3), dueDay: 4))
        check("Deleted mailbox row", deleted, [1, 0, 4, 2, 3, nil])
        #expect([UInt8](deleted[24...]) == bytes)
    }

    @Test func messages() {
        let row = MessageRow(
            flags: .answered, keywordBits: 8, size: 4, modSeq: ModSeq(5), email: EmailID(6), blob: BlobNumber(9),
            saved: Timestamp(milliseconds: 10),
            internalDate: InternalDate(time: Timestamp(milliseconds: 7), zoneMinutes: 3))
        let bytes = StateValue.encode(row)
        check("Message row", bytes, [2, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        let expunged = StateValue.encode(
            ExpungedRow(
                row: row, expunged: ModSeq(2), time: Timestamp(milliseconds: 3), dueDay: 4, movedOut: true))
        check("Expunged message row", expunged, [nil, 2, 3, 4, 1])
        #expect([UInt8](expunged[..<56]) == bytes)
        #expect(expunged.count == 77)
    }

    /// Both versions of a live and an expunged message, octet by octet: what a store on a disk holds.
    @Test func messageRowsOfBothVersions() throws {
        let unsaved =
            "0105C4FF" + "D2040000" + "0700000000000000" + "0300000000000000" + "00E1F50500000000" + "0500000000000000"
            + "0900000000000000"
        let saved = "02" + unsaved.dropFirst(2) + "E803000000000000"
        let expunge = "0800000000000000" + "D007000000000000" + "0E000000" + "01"
        var row = MessageRow(
            flags: [.seen, .flagged], keywordBits: 5, size: 1234, modSeq: ModSeq(7), email: EmailID(3),
            blob: BlobNumber(9),
            internalDate: InternalDate(time: Timestamp(milliseconds: 100_000_000), zoneMinutes: -60))
        for (text, time) in [(unsaved, nil), (saved, Timestamp(milliseconds: 1_000))] {
            row.saved = time
            let gone = ExpungedRow(
                row: row, expunged: ModSeq(8), time: Timestamp(milliseconds: 2_000), dueDay: 14, movedOut: true)
            #expect(Hex.encode(StateValue.encode(row)).uppercased() == text)
            #expect(Hex.encode(StateValue.encode(gone)).uppercased() == text + expunge)
            #expect(try Hex.decode(text)?.withUnsafeBytes { try StateValue.decodeMessage($0) } == row)
            #expect(try Hex.decode(text + expunge)?.withUnsafeBytes { try StateValue.decodeExpunged($0) } == gone)
        }
        let (old, new) = (Hex.decode(unsaved + expunge) ?? [], Hex.decode(saved + expunge) ?? [])
        #expect(StateValue.isUnsaved(old, of: new))
        #expect(!StateValue.isUnsaved(new, of: new))
        #expect(!StateValue.isUnsaved(new, of: old))
        for index in old.indices {
            var other = old
            other[index] ^= 0x40
            #expect(!StateValue.isUnsaved(other, of: new), "octet \(index)")
        }
    }

    @Test func otherRows() {
        let credential = CredentialRow(
            id: 9, scheme: .crypt, scopes: .smtp, expires: Timestamp(milliseconds: 5), label: "ab", verifier: "c")
        check("Credential row", StateValue.encode(credential), [1, 2, 4, 1, 5, 2, nil])
        #expect(StateValue.encode(credential).suffix(3) == Array("abc".utf8)[...].suffix(3))
        var used = credential
        used.lastUsed = Timestamp(milliseconds: 6)
        let bytes = StateValue.encode(credential)
        var expected = [UInt8](bytes)
        expected[3] = 3
        expected.insert(contentsOf: [6, 0, 0, 0, 0, 0, 0, 0], at: 12)
        #expect([UInt8](StateValue.encode(used)) == expected)
        let address = AddressRow(id: 1, kind: .alias, address: "a")
        check("Address row", StateValue.encode(address), [1, 2, nil])
        let entry = QueueEntry(
            blob: BlobNumber(3), size: 2, accepted: Timestamp(milliseconds: 4), nextAttempt: Timestamp(milliseconds: 5),
            mailFrom: "f", recipients: [.init(address: "r", state: .bounced, attempts: 6, lastCode: 7)])
        check("Queue entry row", StateValue.encode(entry), [1, 0, 2, 3, 4, 5, nil])
        #expect([UInt8](StateValue.encode(entry)[32...]) == [1, 0x66, 1, 3, 6, 7, 1, 0x72])
        var second = entry
        second.isHeld = true
        second.wishes = QueueWishes(flags: .utf8, deliverBy: Timestamp(milliseconds: 8), envelopeID: "e")
        second.recipients[0].notify = .delay
        (second.recipients[0].original, second.recipients[0].lastHost, second.recipients[0].lastText) = ("o", "h", "t")
        let extended = [UInt8](StateValue.encode(second))
        #expect(extended[0] == 2)
        #expect(
            Array(extended[40...]) == [5, 2, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0x65, 8, 1, 0x6F, 1, 0x68, 1, 0x74])
        check("Remembered command row", DedupRow(lsn: 2, aseq: ModSeq(3)).encode(), [1, 2, 3])
        let mark = FoldRow(lsn: 2).encode()
        let covered = Array("state.folded".utf8) + mark[8...]
        check("Fold mark row", mark, [1, 0, UInt64(CRC32C.checksum(covered)), 2])
    }

    @Test func bodies() {
        let row = BlobRow(
            segment: 2, offset: 3, storedOctets: 4, rawOctets: 4, references: 6, hash: .zero, flags: .erased)
        check("Body row fields", row.encode(), [1, 0, 0, 1, 2, 3, 4, 4, 6, 0, 0])
        let file = SegmentFormat.FileHeader(storeUUID: Array(repeating: 0, count: 16), shard: 5, segment: 6).encode()
        check("Segment header", file, [0x544E_4D47_4553_4C4C, 1, 5, 0, 6, nil, nil])
        let record = SegmentFormat.RecordHeader(
            blob: BlobNumber(7), storedOctets: 8, rawOctets: 8, hash: .zero, flags: .erased)
        check("Segment record header", record.encode(), [0x5944_424C, 1, 0, 0, 1, 7, 8, 8, 0, nil, 0])
    }
}
