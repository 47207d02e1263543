// Records: their bytes against ones made elsewhere, round trips, damage, erasure, limits, seals.
import Digests
import EventFormat
import InputSupport
import MailCore
import MailTypes
import Octets
import Testing

@Suite struct RecordTests {
    // MARK: Against bytes made elsewhere

    private static let salt: (UInt64, UInt64) = (
        UInt64(littleEndian: 0x0706_0504_0302_0100), UInt64(littleEndian: 0x0F0E_0D0C_0B0A_0908)
    )
    private static let bodyHash = ContentHash(SHA256Digest.of(Array("Subject: x\r\n\r\nhello\r\n".utf8)))
    private static let appended = Event.messageAppended(
        MessageAppended(
            mailbox: MailboxID(3), uid: UID(17), email: EmailID(300), blob: BlobNumber(1000), size: 21, hash: bodyHash,
            internalDate: InternalDate(time: Timestamp(milliseconds: 1_767_225_599_000), zoneMinutes: -570),
            flags: [.seen, .draft], keywords: [KeywordID(0), KeywordID(700)], origin: .lmtp,
            envelopeFrom: "bob@example.test", envelopeTo: "alice@example.test"))

    private static func encode(
        _ event: Event, aseq: UInt64, lsn: UInt64, previous: UInt64, origin: Origin = Origin(),
        command: CommandID? = nil, retryable: Bool = false
    ) throws -> EncodedRecord {
        try RecordCodec.encode(
            event,
            at: EventContext(
                account: AccountID(16), aseq: ModSeq(aseq), time: Timestamp(milliseconds: 1_767_225_600_123)),
            lsn: lsn, previousLSN: previous, origin: origin, command: command, retryable: retryable, salt: salt)
    }

    private static func batch() throws -> [EncodedRecord] {
        [
            try encode(
                appended, aseq: 41, lsn: 1000, previous: 990,
                origin: Origin(actor: AccountID(16), session: SessionID(77), gateway: .lmtp),
                command: CommandID(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10), retryable: true),
            try encode(.keywordDefined(KeywordID(5), Keyword("$A")!), aseq: 42, lsn: 1001, previous: 1000),
            try encode(
                .messagesExpunged(
                    MessagesExpunged(
                        mailbox: MailboxID(3), uids: uidSet(1...1, 5...9, 4_294_967_295...4_294_967_295), reason: .pop3)
                ),
                aseq: 43, lsn: 1002, previous: 1001),
        ]
    }

    @Test func encodesAsTheDocumentSays() throws {
        let batch = try Self.batch()
        #expect(Hex.encode(batch[0].bytes) == Independent.append)
        #expect(Hex.encode(batch[1].bytes) == Independent.keyword)
        #expect(Hex.encode(batch[2].bytes) == Independent.expunge)
        #expect(
            batch.map(\.hash.description) == [
                Independent.appendHash, Independent.keywordHash, Independent.expungeHash,
            ])
    }

    @Test func decodesWhatWasMadeElsewhere() throws {
        let record = try RecordCodec.decode(try #require(Hex.decode(Independent.append)), lsn: 1000)
        #expect(record.content == .event(Self.appended))
        #expect(record.origin == Origin(actor: AccountID(16), session: SessionID(77), gateway: .lmtp))
        #expect(record.command == CommandID(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10))
        #expect(record.retryable)
        #expect(!record.isErased)
        #expect(record.header.flags == [.mailVisible, .retryable])
        #expect(record.header.previousLSN == 990)
    }

    @Test func sealsAsTheDocumentSays() throws {
        var hasher = SHA256Hasher()
        var chain = SHA256Digest.zero
        for record in try Self.batch() {
            hasher.update(record.hash)
            chain = RecordCodec.chain(chain, adding: record.hash)
        }
        #expect(chain.description == Independent.chain)
        let seal = Seal.make(
            firstLSN: 1000, count: 3, timeline: Timeline(high: 0x1011_1213_1415_1617, low: 0x1819_1A1B_1C1D_1E1F),
            writer: 0xDEAD_BEEF, segment: 7, offset: 65_536, nextBlob: 1001, recordsHash: hasher.finalize(),
            previous: SHA256Digest.of(Array("prev".utf8)), time: Timestamp(milliseconds: 1_767_225_600_123))
        #expect(seal.seal.description == Independent.sealDigest)
        #expect(Hex.encode(seal.encode(lsn: 1003)) == Independent.seal)
        let record = try RecordCodec.decode(seal.encode(lsn: 1003), lsn: 1003)
        #expect(record.content == .seal(seal))
        #expect(record.header.kind == .seal)
        #expect(seal.lsn == 1003)
    }

    // MARK: Round trips

    @Test(arguments: UInt64(1)...8) func returnsEveryEvent(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for index in 0..<330 {
            let event = random.event(index)
            let context = EventContext(
                account: AccountID(random.number()), aseq: ModSeq(max(1, random.number())), time: random.time())
            let lsn = max(1, random.number(UInt64.self))
            let previous = UInt64.random(in: 0..<lsn, using: &random)
            let origin = random.origin()
            let command = random.chance() ? CommandID(high: random.number(), low: random.number()) : nil
            let retryable = random.chance()
            let record = try RecordCodec.encode(
                event, at: context, lsn: lsn, previousLSN: previous, origin: origin, command: command,
                retryable: retryable, salt: (random.number(), random.number()))
            let decoded = try RecordCodec.decode(record.bytes, lsn: lsn)
            #expect(decoded.content == .event(event))
            #expect(decoded.header.account == context.account)
            #expect(decoded.header.aseq == context.aseq)
            #expect(decoded.header.time == context.time)
            #expect(decoded.header.previousLSN == previous)
            #expect(decoded.origin == origin)
            #expect(decoded.command == command)
            #expect(decoded.retryable == retryable)
            #expect(decoded.hash == record.hash)
        }
    }

    // MARK: Damage

    @Test(arguments: samples.indices) func refusesEveryTruncationAndFlip(_ index: Int) throws {
        let sample = samples[index]
        let bytes = try sample.encode().bytes
        func isTaken(_ bytes: [UInt8]) -> Bool { (try? RecordCodec.decode(bytes, lsn: sample.lsn)) != nil }
        #expect(isTaken(bytes))
        #expect(bytes.indices.filter { isTaken([UInt8](bytes[..<$0])) } == [])
        #expect(!isTaken(bytes + [0]))
        var damaged = bytes
        var takenBits: [Int] = []
        for bit in 0..<(bytes.count * 8) {
            damaged[bit / 8] ^= 1 << (bit % 8)
            if isTaken(damaged) { takenBits.append(bit) }
            damaged[bit / 8] = bytes[bit / 8]
        }
        #expect(takenBits == [])
    }

    @Test func refusesARecordAtAnotherPlace() throws {
        let record = try samples[0].encode()
        #expect(throws: FormatError.invalid("CRC")) { try RecordCodec.decode(record.bytes, lsn: samples[0].lsn + 1) }
    }

    @Test func hashDoesNotDependOnThePlace() throws {
        var sample = samples[0]
        let here = try sample.encode()
        sample.lsn += 500
        sample.previousLSN += 400
        let there = try sample.encode()
        #expect(here.hash == there.hash)
        #expect(here.bytes != there.bytes)
        #expect(try there.bytes.withUnsafeBytes { try RecordCodec.hash(of: $0) } == here.hash)
    }

    @Test func hashCoversWhoWhenWhatAndSalt() throws {
        let base = try samples[0].encode()
        var changes: [(inout Sample) -> Void] = []
        changes.append { $0.context.account = AccountID(17) }
        changes.append { $0.context.aseq = ModSeq(2) }
        changes.append { $0.context.time = Timestamp(milliseconds: 1_767_225_600_124) }
        changes.append { $0.origin.session = SessionID(9) }
        changes.append { $0.retryable = true }
        changes.append { $0.command = CommandID(high: 0, low: 1) }
        for change in changes {
            var sample = samples[0]
            change(&sample)
            #expect(try sample.encode().hash != base.hash)
        }
        #expect(try samples[0].encode(salt: (1, 2)).hash != base.hash)
    }

    // MARK: Erasure

    @Test(arguments: samples.indices) func erasureKeepsHashAndLength(_ index: Int) throws {
        let sample = samples[index]
        let record = try sample.encode()
        let erased = try RecordCodec.erasingPersonalPart(of: record.bytes, lsn: sample.lsn)
        guard let expected = sample.erased else {
            #expect(erased == record.bytes)
            return
        }
        #expect(erased != record.bytes)
        #expect(erased.count == record.bytes.count)
        let decoded = try RecordCodec.decode(erased, lsn: sample.lsn)
        #expect(decoded.isErased)
        #expect(decoded.hash == record.hash)
        #expect(decoded.content == .event(expected))
        #expect(try RecordCodec.erasingPersonalPart(of: erased, lsn: sample.lsn) == erased)
        // Nothing personal is left: all of the part but the hash is zero.
        #expect(erased.suffix(decoded.header.personalOctets).dropFirst(32).allSatisfy { $0 == 0 })
    }

    @Test func personalTextIsGone() throws {
        let sample = try #require(samples.first { $0.name == "full" })
        let erased = try RecordCodec.erasingPersonalPart(of: try sample.encode().bytes, lsn: sample.lsn)
        #expect(erased.firstRange(of: Array("alice".utf8)) == nil)
        #expect(try sample.encode().bytes.firstRange(of: Array("alice".utf8)) != nil)
    }

    @Test func shortPersonalPartsHaveOneLength() throws {
        let short = try Self.encode(.keywordDefined(KeywordID(1), Keyword("a")!), aseq: 1, lsn: 1, previous: 0)
        let longer = try Self.encode(
            .keywordDefined(KeywordID(1), Keyword("abcdefghijklmn")!), aseq: 1, lsn: 1, previous: 0)
        #expect(short.bytes.count == longer.bytes.count)
        #expect(try RecordCodec.decode(longer.bytes, lsn: 1).header.personalOctets == 32)
    }

    // MARK: Limits

    @Test func refusesWhatIsTooLong() {
        let recipients = (0..<1000).map { "recipient-with-a-long-name-\($0)@" + String(repeating: "d", count: 60) }
        let event = Event.queueAccepted(
            QueueAccepted(
                id: QueueID(1), blob: BlobNumber(1), size: 1, hash: .zero, mailFrom: "", recipients: recipients))
        #expect(throws: FormatError.invalid("record too long")) {
            try Self.encode(event, aseq: 1, lsn: 1, previous: 0)
        }
    }

    @Test func theLargestFlagChangeFits() throws {
        let every = UIDSet((0..<UInt32(4096)).map { UID(4_000_000_000 + $0 * 70_000) })
        let ids = (0..<UInt16(128)).map { KeywordID(4000 + $0) }
        let event = Event.flagsChanged(
            FlagsChanged(mailbox: MailboxID(.max), uids: every, add: .all, addKeywords: ids, removeKeywords: ids))
        let record = try Self.encode(event, aseq: 1, lsn: 1, previous: 0)
        #expect(try RecordCodec.decode(record.bytes, lsn: 1).content == .event(event))
    }

    @Test func refusesPositionsThatCannotBe() {
        #expect(throws: FormatError.self) { try Self.encode(.credentialRevoked(id: 1), aseq: 0, lsn: 5, previous: 0) }
        #expect(throws: FormatError.self) { try Self.encode(.credentialRevoked(id: 1), aseq: 1, lsn: 5, previous: 5) }
    }

    @Test(arguments: [
        Event.mailboxRenamed(MailboxRenamed(mailbox: MailboxID(1), newParent: .root, newLeaf: "")),
        .mailboxRenamed(
            MailboxRenamed(mailbox: MailboxID(1), newParent: .root, newLeaf: String(repeating: "x", count: 256))),
        .shardOpened(ShardOpened(shard: 0, storeUUID: "short")),
        .shardOpened(ShardOpened(shard: 0, storeUUID: "00112233445566778899AABBCCDDEEFF")),
        .queueDeferred(
            QueueResult(id: QueueID(1), recipients: [], code: 0, nextAttempt: Timestamp(milliseconds: .max))),
    ]) func encodesNothingItWouldNotRead(_ event: Event) {
        #expect(throws: FormatError.self) { try Self.encode(event, aseq: 1, lsn: 1, previous: 0) }
    }

    @Test func refusesASealThatDoesNotMatch() throws {
        var seal = Seal.make(
            firstLSN: 1, count: 2, timeline: Timeline(high: 1, low: 2), writer: 3, segment: 4, offset: 5, nextBlob: 6,
            recordsHash: .zero, previous: .zero, time: Timestamp(milliseconds: 7))
        #expect(seal.isConsistent)
        seal.nextBlob = 8
        #expect(!seal.isConsistent)
        #expect(throws: FormatError.self) { try RecordCodec.decode(seal.encode(lsn: 3), lsn: 3) }
        let empty = Seal.make(
            firstLSN: 1, count: 0, timeline: Timeline(high: 1, low: 2), writer: 3, segment: 4, offset: 5, nextBlob: 6,
            recordsHash: .zero, previous: .zero, time: Timestamp(milliseconds: 7))
        #expect(throws: FormatError.self) { try RecordCodec.decode(empty.encode(lsn: 1), lsn: 1) }
    }
}
