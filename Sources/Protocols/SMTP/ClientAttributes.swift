// What a trusted peer says about the client that it speaks for: XCLIENT puts another client in its place, XFORWARD only
// tells where a message came from. Both are Postfix's, described in its XCLIENT_README and XFORWARD_README.
//
// Attributes are `NAME=value` with the value in xtext. `[UNAVAILABLE]` and `[TEMPUNAVAIL]` stand for what is not known.
import Glibc

/// The client in whose name a session goes on.
package struct SMTPClientIdentity: Equatable, Sendable {
    /// Those offered. Who has logged in (LOGIN) is not taken from a proxy: a client logs in here.
    static let names = ["NAME", "ADDR", "PORT", "PROTO", "HELO"]

    /// As a name server knows it; nil where that is not known.
    package var name: String?
    /// An IPv4 or IPv6 address as inet_pton(3) reads it; nil where it is not known.
    package var address: String?
    package var port: Int?
    /// What it said in HELO or EHLO; nil where it has said nothing.
    package var greeting: String?
    package var isExtended = false

    package init() {}

    /// Takes an attribute in; false when it is not offered or its value makes no sense here.
    mutating func take(_ attribute: ClientAttribute) -> Bool {
        switch attribute.name {
        case "NAME": name = attribute.value
        case "ADDR": address = attribute.address
        case "PORT": port = attribute.port
        case "PROTO":
            switch attribute.value?.uppercased() {
            case "SMTP": isExtended = false
            case "ESMTP": isExtended = true
            case nil: break
            default: return false
            }
        case "HELO":
            guard attribute.value.map({ SMTPServerMachine.isClientName($0.utf8) }) ?? true else { return false }
            greeting = attribute.value
        default: return false
        }
        return true
    }
}

/// Where the next message was first received, for its trace and to know it again.
package struct SMTPForwardedMessage: Equatable, Sendable {
    static let names = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"]

    package var name: String?
    package var address: String?
    package var greeting: String?
    /// The name of the message in the peer's queue.
    package var identity: String?

    package init() {}

    mutating func take(_ attribute: ClientAttribute) -> Bool {
        switch attribute.name {
        case "NAME": name = attribute.value
        case "ADDR": address = attribute.address
        case "HELO": greeting = attribute.value
        case "IDENT": identity = attribute.value
        // Which port and protocol, and whether from another host: nothing here goes by them.
        case "PORT", "PROTO", "SOURCE": break
        default: return false
        }
        return true
    }
}

/// One attribute as it came.
struct ClientAttribute: Equatable {
    /// In upper case.
    let name: String
    /// Decoded; nil where it is not known.
    let value: String?

    /// Nil when nothing of that form stands at the cursor, or an address or port that is none.
    init?(_ line: inout ArgumentCursor) {
        name = String(decoding: line.take { Ascii.isLetterOrDigit($0) }, as: UTF8.self).uppercased()
        guard !name.isEmpty, line.skip(Ascii.equals) else { return nil }
        let run = line.take { (0x21...0x7E).contains($0) }
        guard let octets = SMTPXtext.decode(run), octets.count <= SMTPLimits.clientAttributeOctetsMax,
            octets.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }), let text = String(validating: octets, as: UTF8.self)
        else { return nil }
        let isKnown = !["[UNAVAILABLE]", "[TEMPUNAVAIL]"].contains(text.uppercased())
        value = isKnown ? text : nil
        if isKnown, (name == "ADDR" && address == nil) || (name == "PORT" && port == nil) { return nil }
    }

    /// `192.0.2.1`, or `IPV6:2001:db8::1`, with or without the tag.
    var address: String? {
        guard var text = value else { return nil }
        if text.uppercased().hasPrefix("IPV6:") { text = String(text.dropFirst(5)) }
        var buffer = in6_addr()
        let family = text.utf8.contains(Ascii.colon) ? AF_INET6 : AF_INET
        return inet_pton(family, text, &buffer) == 1 ? text : nil
    }

    var port: Int? { value.flatMap { UInt16($0) }.map(Int.init) }
}
