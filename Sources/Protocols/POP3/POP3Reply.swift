import MailTypes
import Octets

/// A response code in brackets, which tells a program why -ERR (RFC 2449 section 8, RFC 3206).
package enum POP3ResponseCode: String, Equatable, Sendable {
    /// The credentials are wrong, or may not be used.
    case auth = "AUTH"
    /// Another session has the maildrop.
    case inUse = "IN-USE"
    /// The last login was too short a time ago.
    case loginDelay = "LOGIN-DELAY"
    /// Ours, and passes.
    case systemTemporary = "SYS/TEMP"
    /// Ours, and needs a person.
    case systemPermanent = "SYS/PERM"
    /// Only a client that said UTF8 can have it (RFC 6856 section 5).
    case utf8 = "UTF8"
}

/// One reply (RFC 1939 section 3): a status line and, where `lines` is not nil, lines up to a lone dot.
package struct POP3Reply: Equatable, Sendable {
    package let isPositive: Bool
    package let code: POP3ResponseCode?
    package let text: String
    package let lines: [String]?

    /// The octets of a SASL challenge; nil for any other reply.
    package let challenge: SecretOctets?

    private init(
        isPositive: Bool, code: POP3ResponseCode?, text: String, lines: [String]?, challenge: SecretOctets? = nil
    ) {
        self.isPositive = isPositive
        self.code = code
        self.text = text
        self.lines = lines
        self.challenge = challenge
    }

    package static func ok(_ text: String, lines: [String]? = nil) -> POP3Reply {
        POP3Reply(isPositive: true, code: nil, text: text, lines: lines)
    }

    package static func error(_ text: String, code: POP3ResponseCode? = nil) -> POP3Reply {
        POP3Reply(isPositive: false, code: code, text: text, lines: nil)
    }

    /// `continue-req` of RFC 5034 section 5.
    package static func challenge(_ octets: [UInt8]) -> POP3Reply {
        POP3Reply(isPositive: true, code: nil, text: "", lines: nil, challenge: SecretOctets(octets))
    }

    /// Appends the reply as it goes over the wire. Octets that are not printable ASCII become `?` and a line longer
    /// than `POP3Limits.replyLineOctetsMax` is cut, so that text from elsewhere cannot break the framing. A challenge is
    /// never cut.
    package func append(to output: inout [UInt8]) {
        if let challenge {
            output.append(contentsOf: "+ \(Base64.encode(challenge.octets))\r\n".utf8)
            return
        }
        let status = (isPositive ? "+OK" : "-ERR") + (code.map { " [\($0.rawValue)]" } ?? "")
        Self.append(text.isEmpty ? status : status + " " + text, to: &output)
        guard let lines else { return }
        for line in lines {
            if line.utf8.first == Ascii.dot { output.append(Ascii.dot) }
            Self.append(line, to: &output)
        }
        Self.append(".", to: &output)
    }

    /// As it goes over the wire.
    package var bytes: [UInt8] {
        var output: [UInt8] = []
        append(to: &output)
        return output
    }

    private static func append(_ line: String, to output: inout [UInt8]) {
        for octet in line.utf8.prefix(POP3Limits.replyLineOctetsMax - 2) {
            output.append((0x20...0x7E).contains(octet) ? octet : Ascii.questionMark)
        }
        output.append(Ascii.carriageReturn)
        output.append(Ascii.lineFeed)
    }
}

/// The octets that POP3's grammar names.
enum Ascii {
    static let nul: UInt8 = 0x00
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let asterisk: UInt8 = 0x2A
    static let hyphen: UInt8 = 0x2D
    static let dot: UInt8 = 0x2E
    static let zero: UInt8 = 0x30
    static let equals: UInt8 = 0x3D
    static let questionMark: UInt8 = 0x3F
    static let underscore: UInt8 = 0x5F

    static func isDigit(_ octet: UInt8) -> Bool { (0x30...0x39).contains(octet) }
    static func isLetter(_ octet: UInt8) -> Bool { (0x61...0x7A).contains(octet | 0x20) }
    static func uppercased(_ octet: UInt8) -> UInt8 { (0x61...0x7A).contains(octet) ? octet & 0xDF : octet }
}
