import Digests
import MIME
import MailTypes
import Octets

/// A DKIM-Signature field, taken apart (RFC 6376 section 3.5).
package struct DKIMSignature: Sendable {
    package let algorithm: SignatureAlgorithm
    /// `d=`, in lower case.
    package let domain: String
    package let selector: String
    /// `i=`, or `@` and the domain.
    package let identity: String
    package let headerForm: Canonicalization
    package let bodyForm: Canonicalization
    /// `l=`
    package let bodyOctets: UInt64?
    /// `h=`, in lower case.
    package let fields: [String]
    package let bodyHash: [UInt8]
    package let signature: [UInt8]
    /// `t=` and `x=`, in seconds since 1970.
    package let signed: UInt64?
    package let expires: UInt64?
    /// The whole field without its last line end, and without the value of `b=`.
    let unsigned: [UInt8]

    /// Where its key is (section 3.6.2.1).
    package var keyName: String { "\(selector)._domainkey.\(domain)" }

    /// Why a field is no signature that can be verified.
    package enum Problem: Error, Hashable, Sendable {
        /// Section 6.1.1: not verified, and reported as an error of its maker.
        case malformed(String)
        /// Signed with rsa-sha1, which RFC 8301 section 3.1 forbids, or with what is not known.
        case algorithm(String)
        /// From the future (`t=`), or past its `x=`.
        case time(String)

        package var text: String {
            switch self {
            case .malformed(let text), .algorithm(let text), .time(let text): text
            }
        }
    }

    /// - Parameters:
    ///   - field: the whole field with its name and its line end.
    ///   - now: seconds since 1970.
    package init(_ field: some Collection<UInt8>, now: Int64) throws(Problem) {
        let field = Array(field)
        guard field.count <= CheckLimits.signatureOctetsMax else { throw .malformed("signature too long") }
        guard let colon = field.firstIndex(of: Ascii.colon), let list = TagList(field[(colon + 1)...]) else {
            throw .malformed("no list of tags")
        }
        guard list["v"] == "1" else { throw .malformed("unknown version") }
        algorithm = try Self.algorithm(list)
        guard let d = list["d"], let domain = DomainName.checked(d), !domain.utf8.contains(Ascii.at) else {
            throw .malformed("no domain in d=")
        }
        guard let s = list["s"], DomainName.checked(s + "." + domain) != nil, !s.utf8.contains(Ascii.at) else {
            throw .malformed("no selector in s=")
        }
        self.domain = domain
        selector = DomainLabels.ascii(s)
        (headerForm, bodyForm) = try Self.forms(list)
        guard let names = list.list("h"), names.count <= CheckLimits.signedFieldsMax else {
            throw .malformed("no list of fields in h=")
        }
        fields = names.map { $0.lowercased() }
        // Section 3.5: h= must hold From; and its own field, which has no b= yet, is not signed by being named.
        guard fields.contains("from") else { throw .malformed("From is not signed") }
        guard !fields.contains("") else { throw .malformed("a field without a name in h=") }
        identity = try Self.identity(list, domain)
        guard let bh = list.bare("bh").flatMap({ Base64.decode($0) }), bh.count == 32 else {
            throw .malformed("no hash in bh=")
        }
        guard let b = list.bare("b").flatMap({ Base64.decode($0) }), !b.isEmpty else {
            throw .malformed("no signature in b=")
        }
        (bodyHash, signature) = (bh, b)
        bodyOctets = try Self.number(list, "l")
        signed = try Self.number(list, "t")
        expires = try Self.number(list, "x")
        if let q = list.list("q"), !q.contains(where: { $0.lowercased() == "dns/txt" }) {
            throw .malformed("no way to ask for the key in q=")
        }
        try Self.check(signed, expires, UInt64(clamping: now))
        unsigned = Self.unsigned(field, list, colon + 1)
    }

    private static func algorithm(_ list: TagList) throws(Problem) -> SignatureAlgorithm {
        switch list["a"]?.lowercased() {
        case "rsa-sha256": return .rsa
        case "ed25519-sha256": return .ed25519
        case "rsa-sha1": throw .algorithm("rsa-sha1 is not acceptable")
        case nil: throw .malformed("no algorithm")
        default: throw .algorithm("unknown algorithm")
        }
    }

    private static func forms(_ list: TagList) throws(Problem) -> (Canonicalization, Canonicalization) {
        guard let text = list["c"]?.lowercased() else { return (.simple, .simple) }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let header = Canonicalization(rawValue: String(parts[0])) else {
            throw .malformed("unknown canonicalization")
        }
        guard parts.count == 2 else { return (header, .simple) }
        guard let body = Canonicalization(rawValue: String(parts[1])) else {
            throw .malformed("unknown canonicalization")
        }
        return (header, body)
    }

    /// Its domain is `d=` or below it.
    private static func identity(_ list: TagList, _ domain: String) throws(Problem) -> String {
        guard let text = list["i"] else { return "@" + domain }
        guard let at = text.utf8.lastIndex(of: Ascii.at) else { throw .malformed("i= is not within d=") }
        // RFC 8616 section 5: both forms of a label are one.
        let own = DomainLabels.ascii(String(text[text.index(after: at)...]))
        guard DomainName.isWithin(own, domain) else { throw .malformed("i= is not within d=") }
        return text[..<at] + "@" + own
    }

    /// At most 76 digits by the grammar; what is beyond 64 bits has no meaning here.
    private static func number(_ list: TagList, _ name: String) throws(Problem) -> UInt64? {
        guard let text = list[name] else { return nil }
        guard !text.isEmpty, text.utf8.count <= 76, text.utf8.allSatisfy(Ascii.isDigit) else {
            throw .malformed("no number in \(name)=")
        }
        return UInt64(text) ?? .max
    }

    private static func check(_ signed: UInt64?, _ expires: UInt64?, _ now: UInt64) throws(Problem) {
        if let signed, let expires, expires <= signed { throw .malformed("x= is not after t=") }
        if let expires, expires < now { throw .time("signature expired") }
        if let signed, signed > now + UInt64(CheckLimits.clockSkewSecondsMax) {
            throw .time("signed in the future")
        }
    }

    private static func unsigned(_ field: [UInt8], _ list: TagList, _ start: Int) -> [UInt8] {
        var field = field
        if let range = list.tag("b")?.range {
            field.removeSubrange((start + range.lowerBound)..<(start + range.upperBound))
        }
        if field.last == Ascii.lineFeed { field.removeLast() }
        if field.last == Ascii.carriageReturn { field.removeLast() }
        return field
    }
}

extension SignatureAlgorithm {
    /// As `a=` has it.
    var tag: String { rawValue + "-sha256" }
}

/// The fields of a header, for signatures: each whole, with its line end, from the top.
package struct SignedHeader: Sendable {
    package struct Field: Sendable {
        /// In lower case; empty where the lines are no field.
        package let name: String
        package let octets: [UInt8]
    }

    package let fields: [Field]

    /// Nil when there are more fields than are looked at.
    package init?(_ header: [UInt8]) {
        var fields: [Field] = []
        let isWithin = header.withUnsafeBytes { header in
            var rest = HeaderFields(header)
            // A line that begins with a CR ends the header, whatever follows it.
            while let field = rest.next(), field.lines.first != Ascii.carriageReturn {
                guard fields.count < CheckLimits.headerFieldsMax else { return false }
                let name = String(decoding: field.name.map(Ascii.lower), as: UTF8.self)
                fields.append(Field(name: name, octets: Array(field.lines)))
            }
            return true
        }
        guard isWithin else { return nil }
        self.fields = fields
    }

    /// The digest that a signature is of (section 3.7): the fields that it names, each name taking the next one from the
    /// bottom and nothing when there is none (section 5.4.2), then the signature's own field.
    func digest(_ names: [String], _ form: Canonicalization, own: [UInt8]) -> SHA256Digest {
        var positions: [String: [Int]] = [:]
        for (index, field) in fields.enumerated() { positions[field.name, default: []].append(index) }
        var hasher = SHA256Hasher()
        for name in names {
            guard let index = positions[name]?.popLast() else { continue }
            hasher.update(form.header(fields[index].octets))
        }
        var own = form.header(own)
        // It has no line end, and the relaxed form gives it one.
        if form == .relaxed { own.removeLast(2) }
        hasher.update(own)
        return hasher.finalize()
    }
}
