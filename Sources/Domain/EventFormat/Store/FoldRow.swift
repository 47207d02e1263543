import Digests
import MailTypes
import Octets

/// The row of `meta` that says through which record the derived tables are folded.
package struct FoldRow: Hashable, Sendable {
    package static let key = Array("state.folded".utf8)
    package static let octets = 16
    /// A seal's, or 0.
    package var lsn: UInt64

    package init(lsn: UInt64) { self.lsn = lsn }

    package func encode() -> [UInt8] {
        var out = StateValue.start(Self.octets)
        out.zeros(3)
        out.le(checksum)
        out.le(lsn)
        return out.bytes
    }

    package static func decode(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> FoldRow {
        var reader = try StateValue.open(bytes)
        try reader.zeros(3)
        let checksum: UInt32 = try reader.le()
        let row = FoldRow(lsn: try reader.le())
        try reader.end()
        guard row.checksum == checksum else { throw .invalid("checksum of the fold mark") }
        return row
    }

    /// A wrong mark would have records folded twice, or never.
    private var checksum: UInt32 {
        withUnsafeBytes(of: lsn.littleEndian) { CRC32C.checksum($0, seed: CRC32C.checksum(Self.key)) }
    }
}
