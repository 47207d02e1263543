internal import CChecksum

/// CRC-32C (Castagnoli; RFC 3720 appendix B.4): guards records and segments against damage, not against malice.
public enum CRC32C {
    /// The checksum of what `seed` covers followed by `bytes`. A `seed` of 0 covers nothing, so pieces are chained as
    /// `checksum(second, seed: checksum(first))`.
    public static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return seed }
        return ll_crc32c(seed, base, bytes.count)
    }

    public static func checksum(_ bytes: [UInt8], seed: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { checksum($0, seed: seed) }
    }

    /// The same by tables alone: what runs where the processor has no instruction for it.
    public static func checksumByTable(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return seed }
        return ll_crc32c_table(seed, base, bytes.count)
    }

    /// Whether this machine's processor has an instruction for it.
    public static var hasInstruction: Bool { ll_crc32c_has_instruction() }
}
