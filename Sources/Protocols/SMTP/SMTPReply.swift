/// A status code of RFC 3463, such as `5.1.1`.
package struct SMTPEnhancedCode: Equatable, Sendable, CustomStringConvertible {
    /// 2, 4 or 5: success, try again, failed for good.
    package let category: Int
    package let subject: Int
    package let detail: Int

    package init(_ category: Int, _ subject: Int, _ detail: Int) {
        self.category = category
        self.subject = subject
        self.detail = detail
    }

    package var description: String { "\(category).\(subject).\(detail)" }
}

/// One reply (RFC 5321 section 4.2), of one or more lines.
///
/// With an enhanced code, that code opens every line (RFC 2034 section 4); the greeting and the replies to HELO, EHLO
/// and LHLO have none.
package struct SMTPReply: Equatable, Sendable {
    /// 200...599.
    package let code: Int
    package let enhanced: SMTPEnhancedCode?
    /// At least one, without line ends.
    package let lines: [String]

    /// - Precondition: the enhanced code, where there is one, is of the class of `code`.
    package init(_ code: Int, _ enhanced: SMTPEnhancedCode?, lines: [String]) {
        precondition((200...599).contains(code) && !lines.isEmpty, "a reply needs a code and a line")
        precondition(enhanced == nil || enhanced!.category == code / 100, "reply code and enhanced code disagree")
        self.code = code
        self.enhanced = enhanced
        self.lines = lines
    }

    package init(_ code: Int, _ enhanced: SMTPEnhancedCode?, _ text: String) {
        self.init(code, enhanced, lines: [text])
    }

    package var isPositive: Bool { code < 400 }

    /// Appends the reply as it goes over the wire, with a CRLF after every line.
    ///
    /// Text that came from elsewhere cannot break the framing: octets that are not printable ASCII become `?`, and a
    /// line longer than `SMTPLimits.replyLineOctetsMax` is cut.
    package func append(to output: inout [UInt8]) {
        let status = enhanced.map { Array("\($0) ".utf8) } ?? []
        for (index, line) in lines.enumerated() {
            output.append(contentsOf: String(code).utf8)
            output.append(index == lines.count - 1 ? Ascii.space : Ascii.hyphen)
            output.append(contentsOf: status)
            // A challenge that was cut would be another challenge.
            let lineOctetsMax = code == 334 ? SMTPLimits.responseLineOctetsMax : SMTPLimits.replyLineOctetsMax
            let room = lineOctetsMax - 6 - status.count
            for octet in line.utf8.prefix(room) {
                output.append((0x20...0x7E).contains(octet) ? octet : Ascii.questionMark)
            }
            output.append(Ascii.carriageReturn)
            output.append(Ascii.lineFeed)
        }
    }

    static let notBase64 = SMTPReply(501, .init(5, 5, 2), "The response is not base64")

    /// As it goes over the wire.
    package var bytes: [UInt8] {
        var output: [UInt8] = []
        append(to: &output)
        return output
    }
}

/// The octets that SMTP's grammar names.
enum Ascii {
    static let nul: UInt8 = 0x00
    static let tab: UInt8 = 0x09
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let quote: UInt8 = 0x22
    static let comma: UInt8 = 0x2C
    static let hyphen: UInt8 = 0x2D
    static let dot: UInt8 = 0x2E
    static let zero: UInt8 = 0x30
    static let asterisk: UInt8 = 0x2A
    static let plus: UInt8 = 0x2B
    static let underscore: UInt8 = 0x5F
    static let colon: UInt8 = 0x3A
    static let less: UInt8 = 0x3C
    static let equals: UInt8 = 0x3D
    static let greater: UInt8 = 0x3E
    static let questionMark: UInt8 = 0x3F
    static let at: UInt8 = 0x40
    static let openBracket: UInt8 = 0x5B
    static let backslash: UInt8 = 0x5C
    static let closeBracket: UInt8 = 0x5D

    static func isDigit(_ octet: UInt8) -> Bool { (0x30...0x39).contains(octet) }
    static func isLetter(_ octet: UInt8) -> Bool { (0x61...0x7A).contains(octet | 0x20) }
    static func isLetterOrDigit(_ octet: UInt8) -> Bool { isLetter(octet) || isDigit(octet) }
    static func uppercased(_ octet: UInt8) -> UInt8 { (0x61...0x7A).contains(octet) ? octet & 0xDF : octet }
}
