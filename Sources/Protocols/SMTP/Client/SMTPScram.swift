// The client's side of SCRAM (RFC 5802, RFC 7677) for a login at a smart host: what is said, and what has to come back. Keys
// are computed elsewhere (`SMTPClientAction.prove`): that is slow on purpose.
import Octets

/// Digests that SCRAM is offered with.
package enum SMTPScramDigest: String, Equatable, Sendable, CaseIterable {
    case sha256 = "SCRAM-SHA-256"
    case sha1 = "SCRAM-SHA-1"
}

/// What binds a login to the TLS below it (RFC 5056).
package struct SMTPChannelBinding: Equatable, Sendable {
    /// As registered: `tls-exporter`, `tls-server-end-point`.
    package let name: String
    package let octets: [UInt8]

    package init(name: String, octets: [UInt8]) {
        self.name = name
        self.octets = octets
    }
}

/// What the keys of the password are made from, and what they are to prove.
package struct SMTPScramChallenge: Equatable, Sendable {
    package let digest: SMTPScramDigest
    package let salt: [UInt8]
    /// Within `SMTPLimits`.
    package let iterations: Int
    package let authMessage: [UInt8]
}

package struct SMTPScramProof: Equatable, Sendable {
    /// `p=`
    package let client: [UInt8]
    /// `v=`, which the server has to say.
    package let server: [UInt8]

    package init(client: [UInt8], server: [UInt8]) {
        self.client = client
        self.server = server
    }
}

/// One exchange.
struct SMTPScramExchange: Equatable, Sendable {
    let digest: SMTPScramDigest
    let isBound: Bool
    /// The GS2 header, and the octets of the binding where there is one.
    private let header: String
    private let binding: [UInt8]
    private let nonce: String
    private let bare: String
    private var withoutProof = ""
    private var proof: SMTPScramProof?

    /// The best that a server offers; nil when it offers none.
    ///
    /// - Parameter binding: that of the TLS below, if there is one.
    init?(_ offered: Set<String>, user: String, nonce: String, binding: SMTPChannelBinding?) {
        let plus = SMTPScramDigest.allCases.first { binding != nil && offered.contains($0.rawValue + "-PLUS") }
        guard let digest = plus ?? SMTPScramDigest.allCases.first(where: { offered.contains($0.rawValue) }) else {
            return nil
        }
        self.digest = digest
        isBound = plus != nil
        switch (binding, isBound) {
        case (let binding?, true):
            header = "p=\(binding.name),,"
            self.binding = binding.octets
        case (_?, false):
            // RFC 5802 section 6: a server that can bind learns that somebody hid it from us.
            header = "y,,"
            self.binding = []
        case (nil, _):
            header = "n,,"
            self.binding = []
        }
        self.nonce = nonce
        bare = "n=\(Self.name(user)),r=\(nonce)"
    }

    var mechanism: String { digest.rawValue + (isBound ? "-PLUS" : "") }
    var first: String { header + bare }

    /// Section 5.1: `=` and `,` have a meaning in a name.
    private static func name(_ user: String) -> String {
        user.map { $0 == "=" ? "=3D" : $0 == "," ? "=2C" : String($0) }.joined()
    }

    /// Takes the server's first message; nil when it is none, or asks for what is not done.
    mutating func challenge(_ message: String) -> SMTPScramChallenge? {
        let parts = message.split(separator: ",", omittingEmptySubsequences: false)
        // A mandatory extension (`m=`) would come first.
        guard parts.count >= 3, let whole = Self.value("r", parts[0]), whole.hasPrefix(nonce),
            whole.utf8.count > nonce.utf8.count, whole.utf8.count <= SMTPLimits.scramNonceOctetsMax,
            let salt = Self.value("s", parts[1]).flatMap({ Base64.decode(Array($0.utf8)) }),
            (1...SMTPLimits.scramSaltOctetsMax).contains(salt.count),
            let count = Self.value("i", parts[2]), count.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let iterations = Int(count),
            (SMTPLimits.scramIterationsMin...SMTPLimits.scramIterationsMax).contains(iterations)
        else { return nil }
        withoutProof = "c=\(Base64.encode(Array(header.utf8) + binding)),r=\(whole)"
        return SMTPScramChallenge(
            digest: digest, salt: salt, iterations: iterations,
            authMessage: Array("\(bare),\(message),\(withoutProof)".utf8))
    }

    /// The client's last message.
    mutating func last(_ proof: SMTPScramProof) -> String {
        self.proof = proof
        return "\(withoutProof),p=\(Base64.encode(proof.client))"
    }

    /// Whether the server's last message proves that it knows the password too.
    func accepts(_ message: String) -> Bool {
        let first = message.split(separator: ",", omittingEmptySubsequences: false)[0]
        guard let proof, let said = Self.value("v", first).flatMap({ Base64.decode(Array($0.utf8)) }) else {
            return false
        }
        return said == proof.server
    }

    private static func value(_ name: Character, _ part: Substring) -> String? {
        guard part.first == name, part.dropFirst().first == "=" else { return nil }
        return String(part.dropFirst(2))
    }
}
