import Digests
import EventFormat
import MailTypes
import Octets
import Testing

@Suite struct SegmentTests {
    @Test func recordHeaderIsAsTheDocumentSays() throws {
        let header = SegmentFormat.RecordHeader(
            blob: BlobNumber(1000), storedOctets: 21, rawOctets: 21,
            hash: ContentHash(SHA256Digest.of(Array("Subject: x\r\n\r\nhello\r\n".utf8))))
        let bytes = header.encode()
        #expect(Hex.encode(bytes) == Independent.segmentRecord)
        #expect(try bytes.withUnsafeBytes { try SegmentFormat.RecordHeader.decode($0) } == header)
    }

    @Test func fileHeaderIsAsTheDocumentSays() throws {
        let header = SegmentFormat.FileHeader(storeUUID: Array(0..<16), shard: 2, segment: 9)
        let bytes = header.encode()
        #expect(bytes.count == 4096)
        #expect(Array(bytes.suffix(4)) == little(Independent.segmentHeaderCRC))
        #expect(try bytes.withUnsafeBytes { try SegmentFormat.FileHeader.decode($0) } == header)
    }

    @Test func damagedHeadersAreRefused() {
        let record = SegmentFormat.RecordHeader(
            blob: BlobNumber(1), storedOctets: 2, rawOctets: 2, hash: .zero, flags: .erased
        ).encode()
        let file = SegmentFormat.FileHeader(storeUUID: Array(0..<16), shard: 2, segment: 9).encode()
        for bit in 0..<(record.count * 8) {
            var damaged = record
            damaged[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: FormatError.self) {
                try damaged.withUnsafeBytes { try SegmentFormat.RecordHeader.decode($0) }
            }
        }
        for bit in 0..<(file.count * 8) where bit < 400 || bit % 97 == 0 || bit >= file.count * 8 - 32 {
            var damaged = file
            damaged[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: FormatError.self) {
                try damaged.withUnsafeBytes { try SegmentFormat.FileHeader.decode($0) }
            }
        }
        let empty = [UInt8](repeating: 0, count: 72)
        #expect(throws: FormatError.self) { try empty.withUnsafeBytes { try SegmentFormat.RecordHeader.decode($0) } }
    }

    @Test(arguments: [
        // payload, CRCs, whole record: header 72, payload, 4 for each started 64 KiB, up to a multiple of 8
        (0, 0, 72), (1, 1, 80), (4, 1, 80), (5, 1, 88), (65_536, 1, 65_616), (65_537, 2, 65_624),
        (1_000_000, 16, 1_000_136), (4_294_967_295, 65_536, 4_295_229_512),
    ]) func sizes(_ payload: Int, _ checksums: Int, _ record: Int) {
        #expect(SegmentFormat.checksumCount(payload: payload) == checksums)
        #expect(SegmentFormat.recordOctets(payload: payload) == record)
        #expect(SegmentFormat.paddingOctets(payload: payload) == record - 72 - payload - 4 * checksums)
        #expect((0..<8).contains(SegmentFormat.paddingOctets(payload: payload)))
        #expect(SegmentFormat.checksumOffset(payload: payload, chunk: 0) == 72 + payload)
    }
}
