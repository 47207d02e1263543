internal import CCrypt
import Digests

/// The hashes of crypt(5) that other mail systems keep: imported, checked, and replaced at the first good login by
/// verifiers that SCRAM can use.
///
/// A closed list of forms, each with an end to what one login may cost: the cost stands in the hash, and what is imported
/// is not always ours.
package enum CryptHash {
    /// The hash itself, of text with the scheme in front that Dovecot and others write: `{CRYPT}$y$...`; nil when the
    /// text has none or the hash is of no form that is taken.
    package static func parse(_ text: String) -> Result<String, Refusal>? {
        guard text.first == "{", let close = text.firstIndex(of: "}") else { return nil }
        let scheme = text[text.index(after: text.startIndex)..<close].uppercased()
        guard schemes.contains(scheme) else { return nil }
        let hash = String(text[text.index(after: close)...])
        return isTaken(hash) ? .success(hash) : .failure(Refusal())
    }

    /// It is no hash, of a kind that is not taken, or dearer than a login may be.
    package struct Refusal: Error, Hashable, Sendable {}

    private static let schemes: Set<String> = ["CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT"]

    /// yescrypt of up to 64 MiB, bcrypt of cost 4 to 14, SHA-512 and SHA-256 of up to a million rounds.
    package static func isTaken(_ hash: String) -> Bool {
        guard hash.utf8.count < AuthenticationLimits.cryptOctetsMax, hash.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return false }
        let parts = hash.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[0].isEmpty, parts.allSatisfy({ !$0.contains(":") }) else { return false }
        switch parts[1] {
        case "y":
            return parts.count == 5 && yescryptCosts.contains(String(parts[2])) && parts[4].utf8.count == 43
        case "2a", "2b", "2y":
            guard parts.count == 4, parts[2].utf8.count == 2, let cost = Int(parts[2]) else { return false }
            return (4...14).contains(cost) && parts[3].utf8.count == 53
        case "5", "6":
            let digest = parts[1] == "6" ? 86 : 43
            guard parts[2].hasPrefix("rounds=") else { return parts.count == 4 && parts[3].utf8.count == digest }
            guard parts.count == 5, let rounds = Int(parts[2].dropFirst(7)) else { return false }
            return (1_000...1_000_000).contains(rounds) && parts[4].utf8.count == digest
        default: return false
        }
    }

    /// `N` and `r` as libxcrypt writes its cost factors 1 to 7.
    private static let yescryptCosts: Set<String> = ["j75", "j85", "j95", "jA5", "j8T", "j9T", "jAT", "jBT"]

    /// Whether the hash was made of `password`. Takes milliseconds to a second: not for an event loop.
    static func verify(_ hash: String, password: [UInt8]) -> Bool {
        guard isTaken(hash), !password.contains(0), password.count <= AuthenticationLimits.passwordOctetsMax else {
            return false
        }
        var output = [CChar](repeating: 0, count: Int(CRYPT_OUTPUT_SIZE))
        let phrase = password.map { CChar(bitPattern: $0) } + [0]
        guard ll_crypt(phrase, hash, &output) == 0 else { return false }
        let made = output.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return constantTimeEquals(made, Array(hash.utf8))
    }
}
