internal import COpenSSL

/// Random numbers fit for keys, from libcrypto's generator, which the kernel seeds.
///
/// Code below App takes `some RandomNumberGenerator` and is handed this one; tests hand in a seeded one.
public struct SystemRandom: RandomNumberGenerator, Sendable {
    public init() {}

    public mutating func next() -> UInt64 {
        var word: UInt64 = 0
        withUnsafeMutableBytes(of: &word) { fillRandomly($0) }
        return word
    }
}

/// `count` random octets fit for keys, salts and nonces.
public func randomBytes(count: Int) -> [UInt8] {
    precondition(count >= 0, "a count of octets is not negative")
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
        fillRandomly(UnsafeMutableRawBufferPointer(buffer))
        used = count
    }
}

private func fillRandomly(_ buffer: UnsafeMutableRawBufferPointer) {
    guard buffer.count > 0 else { return }
    // Without random numbers there are no salts, nonces or keys, and going on would mean predictable ones.
    guard RAND_bytes(buffer.bindMemory(to: UInt8.self).baseAddress, Int32(buffer.count)) == 1 else {
        fatalError("the system's random number generator failed (RAND_bytes)")
    }
}
