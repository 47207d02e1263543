// Keys that seal session tickets (RFC 5077, RFC 8446 section 4.6.1). A ticket holds the whole session, so that a server
// keeps nothing for clients that may come back.
//
// Keys are random, live in memory only, and are as old as their process at most: tickets do not survive a restart, and
// what was recorded cannot be read with a key found later on a disk. One key seals for `ticketSecondsMax` and then opens
// for as long again. They stay when certificates are loaded anew.
internal import COpenSSL
import Synchronization

final class TicketKeys: Sendable {
    struct Key: Sendable {
        static let nameOctets = 16
        let name: [UInt8]
        let cipherKey: [UInt8]
        let macKey: [UInt8]
        let made: Int64

        /// Nil when there are no random numbers.
        init?(at time: Int64) {
            var random = [UInt8](repeating: 0, count: Self.nameOctets + 32 + 32)
            guard RAND_bytes(&random, CInt(random.count)) == 1 else { return nil }
            name = Array(random[..<16])
            cipherKey = Array(random[16..<48])
            macKey = Array(random[48...])
            made = time
        }
    }

    private let clock: @Sendable () -> Int64
    /// The newest first; at most two.
    private let keys = Mutex<[Key]>([])

    /// - Parameter clock: seconds, of any clock that does not go back.
    init(clock: @escaping @Sendable () -> Int64) { self.clock = clock }

    /// What seals now.
    func current() -> Key? {
        let now = clock()
        return keys.withLock { keys in
            drop(&keys, now)
            if let first = keys.first, now - first.made < TLSLimits.ticketSecondsMax { return first }
            guard let new = Key(at: now) else { return nil }
            keys.insert(new, at: 0)
            return new
        }
    }

    /// The key of a ticket, and whether a newer one should seal the next.
    func named(_ name: UnsafePointer<UInt8>) -> (key: Key, isOld: Bool)? {
        let now = clock()
        return keys.withLock { keys in
            drop(&keys, now)
            guard let index = keys.firstIndex(where: { memcmp($0.name, name, Key.nameOctets) == 0 }) else { return nil }
            return (keys[index], now - keys[index].made >= TLSLimits.ticketSecondsMax)
        }
    }

    private func drop(_ keys: inout [Key], _ now: Int64) {
        keys.removeAll { now - $0.made >= 2 * TLSLimits.ticketSecondsMax }
    }
}

/// libssl's question for a key. 1: here it is; 2: the same, but make a new ticket; 0: none, shake hands in full.
func ticketKey(
    _ ssl: OpaquePointer?, _ name: UnsafeMutablePointer<UInt8>?, _ vector: UnsafeMutablePointer<UInt8>?,
    _ cipher: OpaquePointer?, _ mac: OpaquePointer?, _ isSealing: CInt
) -> CInt {
    guard let tickets = TLSSession.of(ssl)?.server?.tickets, let name, let vector else { return 0 }
    if isSealing == 1 {
        guard let key = tickets.current(), RAND_bytes(vector, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1,
            EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.cipherKey, vector) == 1, set(mac, key.macKey)
        else { return 0 }
        memcpy(name, key.name, TicketKeys.Key.nameOctets)
        return 1
    }
    guard let (key, isOld) = tickets.named(name), set(mac, key.macKey),
        EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.cipherKey, vector) == 1
    else { return 0 }
    return isOld ? 2 : 1
}

private func set(_ mac: OpaquePointer?, _ key: [UInt8]) -> Bool { ll_mac_set(mac, key, key.count) == 1 }
