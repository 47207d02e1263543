// Invariants of bodies: 22 references equal the messages that hold them, 23 bytes hash to what the log says, 24 no row
// reaches behind the synced end.
import Digests
import EventFormat
import Glibc
import LMDB
import MailCore
import MailTypes

extension SegmentStore {
    /// Why the stored bytes of a row are not what was stored; nil when they are.
    func mismatch(_ row: BlobRow, _ blob: BlobNumber) throws(StoreError) -> String? {
        let file = try file(row.segment)
        let octets = Int(row.rawOctets)
        guard row.offset + UInt64(SegmentFormat.recordOctets(payload: octets)) <= file.octets else {
            return "lies behind the end of segment \(row.segment)"
        }
        let header = try bytes(file, row.offset, SegmentFormat.recordHeaderOctets)
        let decoded = header.withUnsafeBytes { try? SegmentFormat.RecordHeader.decode($0) }
        guard let decoded else { return "header in segment \(row.segment) is damaged" }
        guard decoded.blob == blob, decoded.rawOctets == row.rawOctets, decoded.hash == row.hash else {
            return "header in segment \(row.segment) is another body's"
        }
        var hasher = SHA256Hasher()
        var checksums = ChunkChecksums()
        var position = 0
        while position < octets {
            let run = try bytes(
                file, row.offset + UInt64(SegmentFormat.recordHeaderOctets + position), min(1 << 20, octets - position))
            hasher.update(run)
            run.withUnsafeBytes { checksums.add($0) }
            position += run.count
        }
        let start = row.offset + UInt64(SegmentFormat.checksumOffset(payload: octets, chunk: 0))
        let stored = try bytes(file, start, 4 * SegmentFormat.checksumCount(payload: octets))
        let expected = checksums.finish().flatMap { sum in withUnsafeBytes(of: sum.littleEndian) { [UInt8]($0) } }
        guard stored == expected else { return "a chunk's checksum does not match" }
        return ContentHash(hasher.finalize()) == row.hash ? nil : "bytes do not hash to what was stored"
    }

    private func bytes(_ file: SegmentFile, _ offset: UInt64, _ count: Int) throws(StoreError) -> [UInt8] {
        var run = [UInt8](repeating: 0, count: count)
        let result: Result<Int, StoreError> = run.withUnsafeMutableBytes { target in
            do throws(StoreError) {
                return .success(try FileAccess.read(file.fd, into: target, at: offset))
            } catch { return .failure(error) }
        }
        guard try result.get() == count else { throw .damaged("segment \(file.number) ends early") }
        return run
    }
}
