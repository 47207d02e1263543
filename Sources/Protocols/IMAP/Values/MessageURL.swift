import MailTypes

/// A URL of a message, or of a part of one, as CATENATE names them (RFC 4469 section 3, RFC 5092 section 11):
/// `/Drafts;UIDVALIDITY=3/;UID=20/;SECTION=1.2`, with `imap://user@host` in front, or relative to the selected mailbox.
package struct MessageURL: Equatable, Sendable {
    /// Nil: the selected one.
    package var mailbox: MailboxName?
    package var uidValidity: UIDValidity?
    package var uid: UID
    /// The whole message without it.
    package var section: BodySection
    /// Who it says it belongs to and where; nil for a URL without a server.
    package var user: String?
    package var host: String?

    /// Nil for what is no such URL, or has more in it than a message can be asked for.
    package init?(_ text: String) {
        guard text.utf8.count <= IMAPLimits.urlOctetsMax else { return nil }
        var rest = text[...]
        if rest.lowercased().hasPrefix("imap://") {
            rest = rest.dropFirst(7)
            let end = rest.firstIndex(of: "/") ?? rest.endIndex
            let server = rest[..<end]
            rest = rest[end...]
            let at = server.lastIndex(of: "@")
            if let at {
                // What stands behind `;AUTH=` is how to log in.
                let name = server[..<at].split(separator: ";", omittingEmptySubsequences: false)[0]
                guard let user = Self.decoded(name) else { return nil }
                self.user = user
            }
            host = String(at.map { server[server.index(after: $0)...] } ?? server)
        }
        var parts: [Substring] = []
        let isAbsolute = rest.hasPrefix("/")
        guard isAbsolute || host == nil else { return nil }
        if isAbsolute { rest = rest.dropFirst() }
        parts = rest.split(separator: "/", omittingEmptySubsequences: false)
        // Names have slashes in them; the parameters begin where a component does with a semicolon.
        guard let first = parts.firstIndex(where: { $0.hasPrefix(";") }) else { return nil }
        guard isAbsolute == (first > 0) else { return nil }
        if first > 0 {
            let name = parts[..<first].joined(separator: "/")
            let pieces = name.split(separator: ";", omittingEmptySubsequences: false)
            guard pieces.count <= 2, let decoded = Self.decoded(pieces[0]), let mailbox = MailboxName(decoded) else {
                return nil
            }
            self.mailbox = mailbox
            if pieces.count == 2 {
                guard let value = Self.value(of: "UIDVALIDITY=", pieces[1]), let number = UInt32(value), number > 0
                else { return nil }
                uidValidity = UIDValidity(number)
            }
        }
        var uid: UID?
        section = BodySection(isPeek: true)
        for part in parts[first...] {
            guard part.hasPrefix(";") else { return nil }
            let parameter = part.dropFirst()
            if let value = Self.value(of: "UID=", parameter), uid == nil {
                guard let number = UInt32(value), number > 0 else { return nil }
                uid = UID(number)
            } else if let value = Self.value(of: "SECTION=", parameter), uid != nil, section.part.isEmpty {
                guard let decoded = Self.decoded(value), let read = Self.section(decoded) else { return nil }
                section.part = read.part
                section.text = read.text
            } else if let value = Self.value(of: "PARTIAL=", parameter), uid != nil, section.partial == nil {
                let numbers = value.split(separator: ".", omittingEmptySubsequences: false).map { UInt64($0) }
                guard (1...2).contains(numbers.count), let offset = numbers[0], offset <= UInt64(Int64.max) else {
                    return nil
                }
                let count = numbers.count == 2 ? numbers[1] : UInt64(Int64.max)
                guard let count, count > 0, count <= UInt64(Int64.max) else { return nil }
                section.partial = PartialRange(offset: offset, count: count)
            } else {
                return nil
            }
        }
        guard let uid else { return nil }
        self.uid = uid
    }

    private static func value(of name: String, _ text: Substring) -> Substring? {
        guard text.count > name.count, text.prefix(name.count).uppercased() == name else { return nil }
        return text.dropFirst(name.count)
    }

    /// Undoes percent signs; nil when that is no UTF-8.
    private static func decoded(_ text: Substring) -> String? {
        var octets: [UInt8] = []
        var rest = text.utf8[...]
        while let octet = rest.popFirst() {
            guard octet == 0x25 else {
                octets.append(octet)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue) else {
                return nil
            }
            octets.append(high << 4 | low)
        }
        return String(validating: octets, as: UTF8.self)
    }

    private static func hexValue(_ octet: UInt8) -> UInt8? {
        switch octet {
        case 0x30...0x39: octet - 0x30
        case 0x41...0x46: octet - 0x37
        case 0x61...0x66: octet - 0x57
        default: nil
        }
    }

    /// `1.2`, `HEADER`, `1.MIME`, `TEXT`: those that stand for a run of the stored octets.
    private static func section(_ text: String) -> (part: [UInt32], text: BodySection.Text)? {
        var part: [UInt32] = []
        let components = text.split(separator: ".", omittingEmptySubsequences: false)
        guard components.count <= IMAPLimits.partDepthMax + 1 else { return nil }
        for (index, component) in components.enumerated() {
            if let number = UInt32(component), number > 0 {
                part.append(number)
                continue
            }
            guard index == components.count - 1 else { return nil }
            switch component.uppercased() {
            case "HEADER": return (part, .header)
            case "TEXT": return (part, .text)
            case "MIME" where !part.isEmpty: return (part, .mime)
            default: return nil
            }
        }
        return (part, .all)
    }
}
