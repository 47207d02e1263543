import Digests
import InputSupport
import Testing

@Suite("CRC-32C")
struct CRC32CTests {
    /// RFC 3720 appendix B.4 (which prints the octets of the result in the order they travel), and the check value of
    /// the catalogue of CRCs.
    static let vectors: [(name: String, bytes: [UInt8], expected: UInt32)] = [
        ("nothing", [], 0),
        ("32 octets of zeros", [UInt8](repeating: 0, count: 32), 0x8A91_36AA),
        ("32 octets of ones", [UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
        ("32 octets rising", Array(0..<32), 0x46DD_794E),
        ("32 octets falling", (0..<32).reversed(), 0x113F_DB5C),
        (
            "an iSCSI SCSI Read (10) command",
            octets(
                """
                01c00000 00000000 00000000 00000000 14000000 00000400
                00000014 00000018 28000000 00000000 02000000 00000000
                """), 0xD996_3A56
        ),
        ("123456789", Array("123456789".utf8), 0xE306_9283),
    ]

    @Test(arguments: vectors.indices)
    func published(_ index: Int) {
        let vector = Self.vectors[index]
        #expect(CRC32C.checksum(vector.bytes) == vector.expected, "\(vector.name)")
        vector.bytes.withUnsafeBytes { bytes in
            #expect(CRC32C.checksum(bytes) == vector.expected, "\(vector.name)")
            #expect(CRC32C.checksumByTable(bytes) == vector.expected, "\(vector.name) by table")
        }
    }

    @Test("the instruction and the table agree at every length and alignment")
    func instructionAgainstTable() {
        var random = SeededGenerator(seed: 0x5EED)
        let bytes = (0..<4200).map { _ in UInt8.random(in: 0...255, using: &random) }
        bytes.withUnsafeBytes { all in
            for alignment in 0..<16 {
                for length in 0..<200 {
                    let part = UnsafeRawBufferPointer(rebasing: all[alignment..<alignment + length])
                    #expect(CRC32C.checksum(part) == CRC32C.checksumByTable(part))
                }
            }
            for _ in 0..<500 {
                let start = Int.random(in: 0..<100, using: &random)
                let length = Int.random(in: 0..<4096, using: &random)
                let seed = UInt32.random(in: .min ... .max, using: &random)
                let part = UnsafeRawBufferPointer(rebasing: all[start..<start + length])
                #expect(CRC32C.checksum(part, seed: seed) == CRC32C.checksumByTable(part, seed: seed))
            }
        }
    }

    @Test("pieces chained by the seed give the checksum of the whole")
    func incremental() {
        var random = SeededGenerator(seed: 1)
        let bytes = (0..<1000).map { _ in UInt8.random(in: 0...255, using: &random) }
        let whole = CRC32C.checksum(bytes)
        for cut in stride(from: 0, through: bytes.count, by: 37) {
            let first = CRC32C.checksum(Array(bytes[..<cut]))
            #expect(CRC32C.checksum(Array(bytes[cut...]), seed: first) == whole)
        }
    }

    @Test("every flipped bit shows")
    func flips() {
        var bytes = Array("a record of the log".utf8)
        let whole = CRC32C.checksum(bytes)
        for bit in 0..<bytes.count * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8)
            #expect(CRC32C.checksum(bytes) != whole)
            bytes[bit / 8] ^= 1 << (bit % 8)
        }
    }
}
