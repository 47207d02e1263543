// Decoders meet bytes that nothing of ours wrote. They answer or refuse; a trap would end the test run.
import EventFormat
import InputSupport
import MailCore
import Octets
import Testing

/// Reads `bytes` in every way there is.
/// - Returns: how many readers took them.
@discardableResult
func readEveryWay(_ bytes: UnsafeRawBufferPointer) -> Int {
    let readers: [(UnsafeRawBufferPointer) throws -> Void] = [
        { _ = try RecordCodec.decode($0, lsn: 9) }, { _ = try RecordCodec.header($0, lsn: 9) },
        { _ = try RecordCodec.hash(of: $0) }, { _ = try RecordCodec.erasingPersonalPart(of: [UInt8]($0), lsn: 9) },
        { _ = try StateValue.decodeHead($0) }, { _ = try StateValue.decodeMailbox($0) },
        { _ = try StateValue.decodeMessage($0) }, { _ = try StateValue.decodeExpunged($0) },
        { _ = try StateValue.decodeChange($0) }, { _ = try StateValue.decodeTombstone($0) },
        { _ = try StateValue.decodeCredential($0, id: 1) }, { _ = try StateValue.decodeAddress($0, id: 1) },
        { _ = try StateValue.decodeSetting($0) }, { _ = try StateValue.decodeSubscription($0, keySuffix: $0) },
        { _ = try StateValue.decodeSpill($0) }, { _ = try StateValue.decodeQueueEntry($0) },
        { _ = try StateValue.decodeUIDL($0) },
        { _ = try StateValue.decodeKeyword($0) }, { _ = try StateValue.decodeKeywordID($0) },
        { _ = try StateValue.decodeMailboxID($0) }, { _ = try StateValue.decodeOwner($0) },
        { _ = try StateKey.parse($0) }, { _ = try StateKey.parseUID($0) }, { _ = try StateKey.parseMailbox($0) },
        { _ = try StateKey.parseChange($0) }, { _ = try StateKey.parseQueueDue($0) },
        { _ = try StateKey.parseQueueEntry($0) }, { _ = try StateKey.parseKeyword($0) },
        { _ = try StateKey.parseLeaf($0) }, { _ = try BlobRow.decode($0) }, { _ = try DedupRow.decode($0) },
        { _ = try FoldRow.decode($0) },
        { _ = try LogKey.parse($0) }, { _ = try BlobKey.parse($0) }, { _ = try DedupKey.parse($0) },
        { _ = try CollectionKey.parse($0) }, { _ = try SegmentFormat.FileHeader.decode($0) },
        { _ = try SegmentFormat.RecordHeader.decode($0) },
    ]
    var taken = 0
    for read in readers {
        do {
            try read(bytes)
            taken += 1
        } catch {}
    }
    return taken
}

@Suite struct HostileBytesTests {
    @Test func randomBytes() {
        var random = SeededGenerator(seed: 21)
        for _ in 0..<4000 {
            var bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in random.number(UInt8.self) }
            if random.chance(), !bytes.isEmpty { bytes[0] = 1 }
            bytes.withUnsafeBytes { _ = readEveryWay($0) }
        }
    }

    /// Parts are changed and the CRC is put right again, so that what is behind the CRC is reached.
    @Test(arguments: UInt64(31)...34) func changedRecords(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var taken = 0
        let records = try samples.map { sample in
            var sample = sample
            (sample.lsn, sample.previousLSN) = (9, 3)
            return try sample.encode().bytes
        }
        for _ in 0..<50_000 {
            var bytes = records[Int.random(in: records.indices, using: &random)]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: (random.chance() ? 56 : 0)..<bytes.count, using: &random)
                switch UInt8.random(in: 0...3, using: &random) {
                case 0: bytes[at] ^= 1 << UInt8.random(in: 0...7, using: &random)
                case 1: bytes[at] = random.number()
                case 2: bytes[at] = bytes[at] &+ 1
                default: bytes[at] = 0xFF
                }
            }
            fixCRC(&bytes, lsn: 9)
            if (try? RecordCodec.decode(bytes, lsn: 9)) != nil { taken += 1 }
        }
        // Otherwise the changes would have tested the CRC alone.
        #expect(taken > 1000)
    }

    /// What is read can be written, and reads as the same again.
    @Test func whatIsTakenComesBack() throws {
        var random = SeededGenerator(seed: 41)
        for index in 0..<20_000 {
            var sample = samples[index % samples.count]
            (sample.lsn, sample.previousLSN) = (9, 3)
            var bytes = try sample.encode().bytes
            let at = Int.random(in: 56..<bytes.count, using: &random)
            bytes[at] = random.number()
            fixCRC(&bytes, lsn: 9)
            guard let record = try? RecordCodec.decode(bytes, lsn: 9), case .event(let event) = record.content else {
                continue
            }
            let again = try RecordCodec.encode(
                event,
                at: EventContext(
                    account: record.header.account, aseq: record.header.aseq, time: record.header.time),
                lsn: 9, previousLSN: 3, origin: record.origin, command: record.command, retryable: record.retryable,
                salt: (1, 2))
            #expect(try RecordCodec.decode(again.bytes, lsn: 9).content == .event(event))
        }
    }
}
