import Glibc
import MailTypes

/// A path as MAIL and RCPT give it (RFC 5321 section 4.1.2).
enum SMTPPath: Equatable {
    /// `<>`
    case null
    /// `<postmaster>`, in any case.
    case postmaster
    case mailbox(Address, hasNonASCII: Bool)
}

/// Reads `<...>`: source routes are read and dropped (RFC 5321 appendix C), quoted local parts unquoted, UTF-8 taken
/// where RFC 6531 section 3.3 allows it; whether the transaction allows it is the caller's question.
///
/// Stricter than some: the brackets must be there, dots may not be doubled. More lenient in one thing: a label of a
/// domain may hold `_`, since senders with such names exist.
struct PathParser {
    private static let tagIPv6: StaticString = "IPV6:"

    /// Nil when what stands at the cursor is no path.
    static func path(_ cursor: inout ArgumentCursor) -> SMTPPath? {
        guard cursor.skip(Ascii.less) else { return nil }
        if cursor.skip(Ascii.greater) { return .null }
        if cursor.current == Ascii.at {
            guard sourceRoute(&cursor) else { return nil }
        }
        guard let local = localPart(&cursor) else { return nil }
        if cursor.skip(Ascii.greater) {
            return local.lowercased() == "postmaster" ? .postmaster : nil
        }
        guard cursor.skip(Ascii.at), let domain = domainOrLiteral(&cursor), cursor.skip(Ascii.greater),
            let address = Address(localPart: local, domain: domain)
        else { return nil }
        let hasNonASCII = !(local.utf8.allSatisfy { $0 < 0x80 } && domain.utf8.allSatisfy { $0 < 0x80 })
        return .mailbox(address, hasNonASCII: hasNonASCII)
    }

    /// `@a,@b:`
    private static func sourceRoute(_ cursor: inout ArgumentCursor) -> Bool {
        repeat {
            guard cursor.skip(Ascii.at), domain(&cursor) != nil else { return false }
        } while cursor.skip(Ascii.comma)
        return cursor.skip(Ascii.colon)
    }

    private static func localPart(_ cursor: inout ArgumentCursor) -> String? {
        cursor.current == Ascii.quote ? quotedString(&cursor) : dotString(&cursor)
    }

    /// `Dot-string`: atoms with single dots between them.
    private static func dotString(_ cursor: inout ArgumentCursor) -> String? {
        let run = cursor.take { isAtext($0) || $0 == Ascii.dot }
        guard let first = run.first, let last = run.last, first != Ascii.dot, last != Ascii.dot else { return nil }
        for index in 1..<run.count where run[index] == Ascii.dot && run[index - 1] == Ascii.dot { return nil }
        return String(validating: run, as: UTF8.self)
    }

    private static func quotedString(_ cursor: inout ArgumentCursor) -> String? {
        guard cursor.skip(Ascii.quote) else { return nil }
        var content: [UInt8] = []
        while let octet = cursor.current {
            cursor.advance()
            switch octet {
            case Ascii.quote: return String(validating: content, as: UTF8.self)
            case Ascii.backslash:
                guard let quoted = cursor.current, (0x20...0x7E).contains(quoted) else { return nil }
                content.append(quoted)
                cursor.advance()
            case 0x20...0x7E, 0x80...0xFF: content.append(octet)
            default: return nil
            }
        }
        return nil
    }

    private static func domainOrLiteral(_ cursor: inout ArgumentCursor) -> String? {
        cursor.current == Ascii.openBracket ? addressLiteral(&cursor) : domain(&cursor)
    }

    /// `Domain`: labels of letters, digits and inner hyphens with single dots between them.
    static func domain(_ cursor: inout ArgumentCursor) -> String? {
        let run = cursor.take { isLabelOctet($0) || $0 == Ascii.hyphen || $0 == Ascii.dot }
        guard let first = run.first, let last = run.last, isLabelOctet(first), isLabelOctet(last) else { return nil }
        for index in 1..<run.count {
            let pair = (run[index - 1], run[index])
            if pair.0 == Ascii.dot, !isLabelOctet(pair.1) { return nil }
            if pair.1 == Ascii.dot, !isLabelOctet(pair.0) { return nil }
        }
        return String(validating: run, as: UTF8.self)
    }

    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`, brackets kept. No other kind of literal is registered.
    static func addressLiteral(_ cursor: inout ArgumentCursor) -> String? {
        guard cursor.skip(Ascii.openBracket) else { return nil }
        let isIPv6 = cursor.skip(word: tagIPv6)
        let run = cursor.take { Ascii.isLetterOrDigit($0) || $0 == Ascii.dot || $0 == Ascii.colon }
        let text = String(decoding: run, as: UTF8.self)
        guard cursor.skip(Ascii.closeBracket), isIPAddress(text, family: isIPv6 ? AF_INET6 : AF_INET) else {
            return nil
        }
        return isIPv6 ? "[IPv6:\(text)]" : "[\(text)]"
    }

    private static func isIPAddress(_ text: String, family: Int32) -> Bool {
        var address = in6_addr()
        return inet_pton(family, text, &address) == 1
    }

    private static func isAtext(_ octet: UInt8) -> Bool {
        switch octet {
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2F, 0x3D, 0x3F, 0x5E...0x60, 0x7B...0x7E, 0x80...0xFF: true
        default: Ascii.isLetterOrDigit(octet)
        }
    }

    private static func isLabelOctet(_ octet: UInt8) -> Bool {
        Ascii.isLetterOrDigit(octet) || octet == 0x5F || octet >= 0x80
    }
}
