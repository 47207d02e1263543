import Digests
import Octets

/// What a domain publishes for a selector (RFC 6376 section 3.6.1).
package struct DKIMKeyRecord: Sendable {
    package let key: VerifyingKey
    /// `t=y`: the domain tries DKIM out; a failure counts as no signature.
    package let isTesting: Bool
    /// `t=s`: `i=` has the very domain of `d=`.
    package let isStrict: Bool

    /// Why a key cannot be used; each ends a verification with `permerror` or, revoked, with `fail`.
    package enum Problem: String, Error, Hashable, Sendable {
        case malformed = "key record is malformed"
        case revoked = "key is revoked"
        case otherUse = "key is not for mail, or not for this algorithm"
        case tooShort = "key is too short"
        case tooLong = "key is too long"
    }

    /// - Parameter algorithm: what the signature says it was made with.
    package init(_ record: [UInt8], for algorithm: SignatureAlgorithm) throws(Problem) {
        guard record.count <= CheckLimits.recordOctetsMax, let list = TagList(record) else {
            throw .malformed
        }
        if list.tag("v") != nil {
            guard list.tags.first?.name == "v", list["v"] == "DKIM1" else { throw .malformed }
        }
        guard let p = list.bare("p") else { throw .malformed }
        guard !p.isEmpty else { throw .revoked }
        if let hashes = list.list("h"), !hashes.contains("sha256") { throw .otherUse }
        if let services = list.list("s"), !services.contains("*"), !services.contains("email") { throw .otherUse }
        guard (list["k"] ?? SignatureAlgorithm.rsa.rawValue) == algorithm.rawValue else { throw .otherUse }
        guard let octets = Base64.decode(p) ?? Base64.decode(p + Self.padding(p.count)) else { throw .malformed }
        let flags = list.list("t") ?? []
        isTesting = flags.contains("y")
        isStrict = flags.contains("s")
        switch algorithm {
        case .ed25519:
            guard let key = VerifyingKey(ed25519: octets) else { throw .malformed }
            self.key = key
        case .rsa:
            guard let key = VerifyingKey(rsa: octets) else { throw .malformed }
            // RFC 8301 section 3.2.
            guard key.bits >= CheckLimits.rsaBitsMin else { throw .tooShort }
            guard key.bits <= CheckLimits.rsaBitsMax else { throw .tooLong }
            self.key = key
        }
    }

    /// Some records lack the padding of base64.
    private static func padding(_ count: Int) -> [UInt8] {
        [UInt8](repeating: Ascii.equals, count: (4 - count % 4) % 4)
    }

    /// The text of the record for a key of ours.
    package static func text(_ key: VerifyingKey) -> String {
        "v=DKIM1; k=\(key.algorithm.rawValue); p=\(Base64.encode(key.published))"
    }

    /// The record as a line of a zone file: a TXT record whose strings have at most 255 octets (RFC 1035 section 3.3.14).
    package static func zoneLine(domain: String, selector: String, _ key: VerifyingKey) -> String {
        let text = Array(text(key).utf8)
        let strings = stride(from: 0, to: text.count, by: 255).map { start in
            "\"" + String(decoding: text[start..<min(start + 255, text.count)], as: UTF8.self) + "\""
        }
        let value = strings.count == 1 ? strings[0] : "( " + strings.joined(separator: " ") + " )"
        return "\(selector)._domainkey.\(domain). IN TXT \(value)"
    }
}
