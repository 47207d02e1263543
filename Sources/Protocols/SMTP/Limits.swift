/// Every bound of this room, in one place.
package enum SMTPLimits {
    /// A command line with its CRLF. RFC 5321 section 4.5.3.1.4 asks for 512; the parameters of SIZE, 8BITMIME,
    /// SMTPUTF8 and what comes later ask for more.
    package static let commandLineOctetsMax = 2_048
    /// A client's line in a SASL exchange, with its CRLF: 12,288 octets of base64 (RFC 4954 section 4).
    package static let responseLineOctetsMax = 12_290
    /// The name of a SASL mechanism (RFC 4422 section 3.1 has up to 20).
    package static let mechanismOctetsMax = 40
    /// Failed logins before the session is closed. Slowing them down is the handler's.
    package static let loginFailuresMax = 5
    /// A reply line with its CRLF (RFC 5321 section 4.5.3.1.5); longer text is cut.
    package static let replyLineOctetsMax = 512
    /// The name a client gives itself in EHLO, HELO or LHLO: a domain's length (RFC 5321 section 4.5.3.1.2).
    package static let clientNameOctetsMax = 255
    /// Accepted recipients of one transaction. RFC 5321 section 4.5.3.1.8 asks for at least 100.
    package static let recipientsMax = 1_000
    /// Commands answered with 500, 501 or 555 before the session is closed.
    package static let errorsMax = 20
    /// `Received` fields a message may arrive with. RFC 5321 section 6.3 asks for at least 100.
    package static let hopsMax = 100
    /// Digits of a SIZE value (RFC 1870 section 3).
    package static let sizeDigitsMax = 20
    /// Digits of a BDAT chunk size (RFC 3030 section 2).
    package static let chunkDigitsMax = 18
    /// The value of an attribute of XCLIENT or XFORWARD, decoded.
    package static let clientAttributeOctetsMax = 255
    /// ENVID as it stands in MAIL (RFC 3461 section 4.4).
    package static let envelopeIDOctetsMax = 100
    /// ORCPT as it stands in RCPT (RFC 3461 section 4.2 has 500 for the parameter).
    package static let originalRecipientOctetsMax = 500
    /// Digits of HOLDFOR (RFC 4865 section 3) and of BY (RFC 2852 section 4).
    package static let holdDigitsMax = 9
    package static let byTimeDigitsMax = 9
    /// A date of RFC 3339 with a fraction of a second.
    package static let internetTimeOctetsMax = 40
    /// What a message may measure, in octets, where the configuration names nothing else: 50 MiB.
    package static let messageOctetsDefault = 52_428_800
    /// A line of the trace headers without its CRLF, where words allow it (RFC 5322 section 2.1.1).
    package static let traceLineOctetsMax = 78
    /// Octets of one reply of another server, line ends included.
    package static let clientReplyOctetsMax = 65_536
    /// Lines of one reply of another server.
    package static let clientReplyLinesMax = 256

    /// Of the nonces of both sides together, in a login at a smart host.
    package static let scramNonceOctetsMax = 1_024
    package static let scramSaltOctetsMax = 1_024
    /// The least that RFC 5802 section 5.1 lets a server ask for: with fewer, whoever is in its place learns too much.
    package static let scramIterationsMin = 4_096
    /// What one login may cost us: under a second.
    package static let scramIterationsMax = 1_000_000
}
