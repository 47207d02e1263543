import MailTypes

/// Every bound of this room, in one place.
package enum POP3Limits {
    /// A command line with its CRLF, to be kept for everything but a password (RFC 2449 section 4).
    package static let commandLineOctetsMax = 255
    /// A PASS line with its CRLF: pass phrases may be longer than the RFC foresaw.
    package static let passwordLineOctetsMax = 512
    /// A client's line in a SASL exchange, with its CRLF: 12,288 octets of base64, as RFC 4954 section 4 has it.
    package static let responseLineOctetsMax = 12_290
    /// The name of a SASL mechanism (RFC 4422 section 3.1 has up to 20).
    package static let mechanismOctetsMax = 40
    /// A reply line with its CRLF (RFC 2449 section 4); longer text is cut.
    package static let replyLineOctetsMax = 512
    /// A unique-id (RFC 1939 section 7, UIDL).
    package static let uniqueIDOctetsMax = UniqueID.octetsMax
    /// Octets of text in an encoded word, which then has at most 75 (RFC 2047 section 2).
    package static let encodedWordTextOctetsMax = 45
    /// A header with UTF-8 that is given in ASCII to a client that never said UTF8; above it has to.
    package static let surrogateHeaderOctetsMax = 65_536
    /// Commands that were not understood, before the session is closed.
    package static let errorsMax = 20
    /// Failed logins before the session is closed. Slowing them down is the handler's.
    package static let loginFailuresMax = 5
    /// Digits of a message number or line count.
    package static let numberDigitsMax = 10
}
