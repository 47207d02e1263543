import Digests
import Octets

/// The text in which a credential keeps its SCRAM secrets: a line for each digest,
///
///     SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
///
/// with salt and keys in base64 (the form of RFC 5803 that Cyrus SASL reads as `authPassword`). The password cannot be
/// computed from it but by trying.
package enum ScramCredential {
    /// Why no verifier can be made of a password.
    package enum Failure: Error, Hashable, Sendable {
        /// SASLprep refuses it (RFC 4013).
        case unsuitable(SASLprep.Failure)
        /// Over `AuthenticationLimits.passwordOctetsMax`.
        case tooLong
        /// Outside `ScramVerifier.iterationsMin...iterationsMax`.
        case iterations
    }

    /// The verifier text of a password: SCRAM-SHA-256 and SCRAM-SHA-1, each under a salt of its own. Takes some
    /// milliseconds: not for an event loop.
    package static func make(
        _ password: String, iterations: Int = AuthenticationLimits.iterationsDefault
    ) throws(Failure) -> String {
        var random = SystemRandom()
        return try make(password, iterations: iterations, using: &random)
    }

    /// The same with the caller's random numbers.
    package static func make(
        _ password: String, iterations: Int, using random: inout some RandomNumberGenerator
    ) throws(Failure) -> String {
        let prepared: [UInt8]
        do {
            prepared = try SASLprep.prepare(Array(password.utf8))
        } catch {
            throw .unsuitable(error)
        }
        guard prepared.count <= AuthenticationLimits.passwordOctetsMax else { throw .tooLong }
        var lines: [String] = []
        for algorithm in [DigestAlgorithm.sha256, .sha1] {
            let salt = (0..<AuthenticationLimits.saltOctets).map { _ in UInt8.random(in: 0...255, using: &random) }
            guard
                let verifier = ScramVerifier.make(algorithm, password: prepared, salt: salt, iterations: iterations)
            else { throw .iterations }
            lines.append(text(verifier))
        }
        return lines.joined(separator: "\n")
    }

    /// One line of verifier text.
    package static func text(_ verifier: ScramVerifier) -> String {
        "SCRAM-\(verifier.algorithm.rawValue)$\(verifier.iterations):\(Base64.encode(verifier.salt))"
            + "$\(Base64.encode(verifier.storedKey)):\(Base64.encode(verifier.serverKey))"
    }

    /// The verifiers of a text, in its order. Lines that are not of this form are passed over.
    package static func verifiers(_ text: String) -> [ScramVerifier] {
        text.split(separator: "\n").compactMap(verifier)
    }

    private static func verifier(_ line: Substring) -> ScramVerifier? {
        let parts = line.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 3,
            let algorithm = DigestAlgorithm.allCases.first(where: { "SCRAM-" + $0.rawValue == parts[0] })
        else { return nil }
        let derivation = parts[1].split(separator: ":", omittingEmptySubsequences: false)
        let keys = parts[2].split(separator: ":", omittingEmptySubsequences: false)
        guard derivation.count == 2, keys.count == 2, let iterations = Int(derivation[0]),
            let salt = Base64.decode(String(derivation[1])), let stored = Base64.decode(String(keys[0])),
            let server = Base64.decode(String(keys[1]))
        else { return nil }
        return ScramVerifier(
            algorithm: algorithm, iterations: iterations, salt: salt, storedKey: stored, serverKey: server)
    }
}
