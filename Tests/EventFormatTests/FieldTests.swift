// What the reader of fields takes from later versions, and what it refuses from anyone.
import EventFormat
import MailCore
import MailTypes
import Octets
import Testing

@Suite struct FieldTests {
    private func decode(_ record: RawRecord) throws -> Event {
        let bytes = record.bytes(lsn: 9)
        guard case .event(let event) = try RecordCodec.decode(bytes, lsn: 9).content else {
            throw FormatError.invalid("not an event")
        }
        return event
    }

    private static let personal: [UInt8] = Array(1...16) + [0x0A, 1, 0x78] + Array(repeating: 0, count: 13)

    /// mailboxRenamed: mailbox 4 to parent 9, leaf "x".
    private static let plain = RawRecord(type: 0x0202, open: [0x08, 4, 0x10, 9], personal: personal)
    private static let renamed = Event.mailboxRenamed(
        MailboxRenamed(mailbox: MailboxID(4), newParent: MailboxID(9), newLeaf: "x"))

    @Test func readsTheHandMadeRecord() throws { #expect(try decode(Self.plain) == Self.renamed) }

    @Test(
        arguments: [
            // Field 3 of each wire type, then field 200 too.
            [0x18, 0x96, 0x01],
            [0x19, 1, 2, 3, 4, 5, 6, 7, 8],
            [0x1A, 3, 1, 2, 3],
            [0x1D, 1, 2, 3, 4],
            [0x1A, 0, 0xC2, 0x0C, 1, 0xFF],
        ] as [[UInt8]]) func skipsUnknownFields(_ more: [UInt8]) throws
    {
        var record = Self.plain
        record.open += more
        #expect(try decode(record) == Self.renamed)
    }

    @Test func skipsUnknownFieldsBetweenKnownOnes() throws {
        // specialUseSet has fields 1 and 2; recipients of a later flagsChanged would stand after its 2: use 0302.
        let record = RawRecord(type: 0x0302, open: [0x08, 4, 0x18, 1, 0x38, 7, 0x42, 1, 0xEE])
        #expect(
            try decode(record)
                == .flagsChanged(FlagsChanged(mailbox: MailboxID(4), uids: UIDSet(), add: .seen)))
    }

    @Test func skipsUnknownPersonalFields() throws {
        var record = Self.plain
        record.personal = Array(1...16) + [0x0A, 1, 0x78, 0x12, 20] + Array(repeating: 0xEE, count: 20)
        #expect(try decode(record) == Self.renamed)
    }

    @Test func skipsUnknownMeta() throws {
        var record = Self.plain
        record.meta = [3, 8, 1, 0, 0, 0, 0, 0, 0, 0, 7, 2, 1, 1]
        let bytes = record.bytes(lsn: 9)
        #expect(try RecordCodec.decode(bytes, lsn: 9).origin.session == SessionID(1))
    }

    @Test func absentFieldsAreZero() throws {
        #expect(try decode(RawRecord(type: 0x0108)) == .quotaSet(Quota()))
        #expect(try decode(RawRecord(type: 0x010D, open: [0x0A, 1, 0x6B])) == .settingSet(key: "k", value: nil))
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var record: RawRecord
        init(_ description: String, _ change: (inout RawRecord) -> Void) {
            testDescription = description
            record = FieldTests.plain
            change(&record)
        }
    }

    static let refusals: [Refusal] = [
        Refusal("fields out of order") { $0.open = [0x10, 9, 0x08, 4] },
        Refusal("a field twice") { $0.open = [0x08, 4, 0x08, 4, 0x10, 9] },
        Refusal("field number 0") { $0.open = [0x00, 4] },
        Refusal("group wire type") { $0.open = [0x08, 4, 0x10, 9, 0x1B] },
        Refusal("known field of another wire type") { $0.open = [0x0A, 1, 4, 0x10, 9] },
        Refusal("number over 32 bits") { $0.open = [0x08, 0x80, 0x80, 0x80, 0x80, 0x10, 0x10, 9] },
        Refusal("varint longer than needed") { $0.open = [0x08, 0x84, 0x00, 0x10, 9] },
        Refusal("unfinished varint") { $0.open = [0x08, 4, 0x10, 0x89] },
        Refusal("length beyond the part") { $0.open += [0x1A, 200, 1] },
        Refusal("length of 2^64-1") { $0.open += [0x1A] + Array(repeating: 0xFF, count: 9) + [1] },
        Refusal("no leaf") { $0.personal = [] },
        Refusal("leaf that is not UTF-8") { $0.personal[18] = 0xFF },
        Refusal("padding with a bit set") { $0.personal[31] = 1 },
        Refusal("padding beyond 32") { $0.personal += [0] },
        Refusal("personal part under 32") { $0.personal.removeLast() },
        Refusal("unknown type") { $0.type = 0x0102 },
        Refusal("unknown type version") { $0.typeVersion = 2 },
        Refusal("redacted kind") { $0.kind = 3 },
        Refusal("seal with an event's parts") { $0.kind = 2 },
        Refusal("encrypted") { $0.flags = 1 },
        Refusal("reserved flag") { $0.flags = 64 },
        Refusal("key id") { $0.keyID = 1 },
        Refusal("position 0") { $0.aseq = 0 },
        Refusal("previous LSN not before") { $0.previousLSN = 9 },
        Refusal("time out of range") { $0.time = 1 << 62 },
        Refusal("erased without a part") {
            $0.flags = 16
            $0.personal = []
        },
        Refusal("erased with something left") {
            $0.flags = 16
            $0.personal += [1]
        },
        Refusal("meta out of order") { $0.meta = [4, 1, 1, 3, 8, 1, 0, 0, 0, 0, 0, 0, 0] },
        Refusal("meta entry of the wrong length") { $0.meta = [4, 2, 1, 1] },
        Refusal("meta entry cut off") { $0.meta = [1, 16, 1] },
        Refusal("unknown gateway") { $0.meta = [4, 1, 200] },
        Refusal("status 0") {
            $0.type = 0x0103
            $0.open = []
        },
        Refusal("truth value 2") {
            $0.type = 0x0204
            $0.open = [0x08, 2]
        },
        Refusal("unknown system flag") {
            $0.type = 0x0302
            $0.open = [0x08, 4, 0x18, 32]
        },
        Refusal("hash of 31 bytes") {
            $0.type = 0x0301
            $0.open = [0x08, 1, 0x32, 31] + Array(repeating: 1, count: 31) + [0x58, 1]
        },
        Refusal("no hash") {
            $0.type = 0x0301
            $0.open = [0x08, 1, 0x58, 1]
        },
        Refusal("fewer recipients than counted") {
            $0.type = 0x0401
            $0.open = [0x08, 1, 0x22, 32] + Array(repeating: 1, count: 32) + [0x28, 1]
            $0.personal = []
        },
        Refusal("more recipients than a record can hold") {
            $0.type = 0x0401
            $0.flags = 16
            $0.open =
                [0x08, 1, 0x22, 32] + Array(repeating: 1, count: 32) + [0x28, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]
        },
    ]

    @Test(arguments: refusals) func refuses(_ refusal: Refusal) {
        #expect(throws: FormatError.self) { try decode(refusal.record) }
    }

    @Test(
        arguments: [
            ([3, 1, 0, 4, 4, 0xF6, 0xFF, 0xFF, 0xFF, 0x0F, 0], "1,5:9,4294967295"),
            ([1, 1, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F], "1:4294967295"),
            ([0], ""),
        ] as [([UInt8], String)]) func readsUIDSets(_ bytes: [UInt8], _ text: String) throws
    {
        let record = RawRecord(type: 0x0309, open: [0x08, 4, 0x12, UInt8(bytes.count)] + bytes)
        guard case .messagesCollected(let event) = try decode(record) else {
            Issue.record("another event")
            return
        }
        #expect(event.uids.description == text)
    }

    @Test(
        arguments: [
            [],
            [1, 0, 0],  // UID 0
            [2, 1, 0, 0, 0],  // overlapping
            [2, 1, 0, 1, 0],  // adjacent
            [2, 5, 3, 1, 0],  // adjacent to a run
            [1, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F],  // beyond 2^32 - 1
            [1, 0x80, 0x80, 0x80, 0x80, 0x10, 0],  // first beyond 2^32 - 1
            [2, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0, 2, 0],  // second beyond 2^32 - 1
            [1, 1],  // half a run
            [2, 1, 0],  // a run missing
            [1, 1, 0, 9],  // bytes left over
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1, 0],  // a count to allocate for
        ] as [[UInt8]]) func refusesUIDSets(_ bytes: [UInt8])
    {
        let record = RawRecord(type: 0x0309, open: [0x08, 4, 0x12, UInt8(bytes.count)] + bytes)
        #expect(throws: FormatError.self) { try decode(record) }
    }
}
