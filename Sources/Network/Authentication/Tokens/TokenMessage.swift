/// A client's message of OAUTHBEARER (RFC 7628 section 3.1) or of XOAUTH2, its predecessor:
///
///     n,a=alice@example.test,^Ahost=mx.example.test^Aport=143^Aauth=Bearer <token>^A^A
///     user=alice@example.test^Aauth=Bearer <token>^A^A
///
/// The token is a secret; no description shows it.
struct TokenMessage: Equatable, Sendable, CustomStringConvertible, CustomReflectable {
    /// Whom the client wants to act for; empty is whomever the token names.
    let authorization: String
    let token: [UInt8]

    var description: String { "TokenMessage(redacted)" }
    var customMirror: Mirror { Mirror(self, children: [:]) }

    /// Nil when the message is not of the mechanism's form.
    init?(_ message: [UInt8], _ mechanism: SASLMechanism) {
        guard message.count <= AuthenticationLimits.messageOctetsMax else { return nil }
        switch mechanism {
        case .oauthBearer: self.init(bearer: message)
        case .xoauth2: self.init(predecessor: message)
        default: return nil
        }
    }

    private init?(bearer message: [UInt8]) {
        guard let separator = message.firstIndex(of: Self.separator) else { return nil }
        // gs2-header = gs2-cb-flag "," [ authzid ] "," (RFC 5801 section 4). A binding (`p=`) belongs to a mechanism
        // with -PLUS, which there is none of.
        let header = message[..<separator].split(separator: 0x2C, maxSplits: 2, omittingEmptySubsequences: false)
        guard header.count == 3, header[2].isEmpty, header[0].elementsEqual([0x6E]) || header[0].elementsEqual([0x79])
        else { return nil }
        var authorization = ""
        if !header[1].isEmpty {
            guard header[1].starts(with: "a=".utf8), let name = Self.saslName(header[1].dropFirst(2)) else {
                return nil
            }
            authorization = name
        }
        guard let token = Self.token(in: message[(separator + 1)...]) else { return nil }
        self.authorization = authorization
        self.token = token
    }

    private init?(predecessor message: [UInt8]) {
        guard message.starts(with: "user=".utf8), let separator = message.firstIndex(of: Self.separator),
            let name = String(validating: message[5..<separator], as: UTF8.self), !name.isEmpty,
            let token = Self.token(in: message[(separator + 1)...])
        else { return nil }
        authorization = name
        self.token = token
    }

    /// `kvsep` of RFC 7628.
    private static let separator: UInt8 = 0x01

    /// The token of the `auth` pair; there is exactly one, and the pairs end with a separator of their own.
    private static func token(in pairs: ArraySlice<UInt8>) -> [UInt8]? {
        guard pairs.suffix(2).elementsEqual([separator, separator]) else { return nil }
        var token: [UInt8]?
        for pair in pairs.dropLast(2).split(separator: separator, omittingEmptySubsequences: false) {
            guard let equals = pair.firstIndex(of: 0x3D), equals > pair.startIndex,
                pair[..<equals].allSatisfy({ (0x61...0x7A).contains($0 | 0x20) })
            else { return nil }
            guard pair[..<equals].elementsEqual("auth".utf8) else { continue }
            guard token == nil, let found = bearer(pair[(equals + 1)...]) else { return nil }
            token = found
        }
        return token
    }

    /// `Bearer` in any case, one space, and a token of RFC 6750 section 2.1 (`b64token`).
    private static func bearer(_ value: ArraySlice<UInt8>) -> [UInt8]? {
        guard value.count > 7, value.prefix(6).map({ $0 | 0x20 }).elementsEqual("bearer".utf8),
            value[value.startIndex + 6] == 0x20
        else { return nil }
        let token = value.dropFirst(7)
        let body = token.prefix { $0 != 0x3D }
        let isToken =
            !body.isEmpty && token.dropFirst(body.count).allSatisfy { $0 == 0x3D }
            && body.allSatisfy {
                (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || "-._~+/".utf8.contains($0)
            }
        return isToken ? Array(token) : nil
    }

    /// `saslname` of RFC 5801: `=2C` is a comma and `=3D` an equals sign.
    private static func saslName(_ text: ArraySlice<UInt8>) -> String? {
        var out: [UInt8] = []
        var index = text.startIndex
        while index < text.endIndex {
            if text[index] == 0x3D {
                switch text[index...].prefix(3) {
                case let code where code.elementsEqual("=2C".utf8): out.append(0x2C)
                case let code where code.elementsEqual("=3D".utf8): out.append(0x3D)
                default: return nil
                }
                index += 3
            } else {
                guard text[index] != 0 else { return nil }
                out.append(text[index])
                index += 1
            }
        }
        return out.isEmpty ? nil : String(validating: out, as: UTF8.self)
    }
}
