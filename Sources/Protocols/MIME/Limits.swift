/// Limits of reading mail.
package enum MIMELimits {
    /// Octets of a line that an mbox reader looks at as a whole: `From ` lines and header fields of interest. Longer
    /// lines pass through in pieces and are never taken for either.
    package static let lineOctetsMax = 8192
    /// Octets of the header of one message that are looked through for status fields.
    package static let headerOctetsMax = 1 << 20
    /// Keywords of one message that are taken from `X-Keywords`.
    package static let keywordsMax = 128
    /// Octets of a date that is read.
    package static let dateOctetsMax = 256
    /// Octets that a reader gathers before it hands them out.
    package static let outputOctets = 1 << 16
    /// Depth of comments inside comments in a date.
    package static let commentDepthMax = 16

    // Structure

    /// Octets of the name of a field; a longer one is no name.
    package static let fieldNameOctetsMax = 998
    /// Multiparts and messages within one another; what lies deeper is one part without parts.
    package static let depthMax = 64
    /// Parts of one message; what follows belongs to the last of them.
    package static let partsMax = 10_000
    /// Octets of a boundary. RFC 2046 section 5.1.1 allows 70.
    package static let boundaryOctetsMax = 256
    /// Octets at the beginning of a line that are compared with boundaries.
    package static let boundaryLineOctetsMax = 512
    /// Octets of all strings that are kept of the parts of one message. Parts after that are known by their place alone.
    package static let structureTextOctetsMax = 1 << 20
    /// Octets of a media type, and of a subtype (RFC 6838 section 4.2).
    package static let mediaNameOctetsMax = 127
    /// Parameters of one field.
    package static let parametersMax = 64
    /// Languages of one part.
    package static let languagesMax = 32

    // Envelope

    /// Addresses of one list in an envelope, marks of groups included.
    package static let addressesMax = 8192
    /// `To`, `Cc` and `Bcc` fields of one header after the first of each.
    package static let recipientFieldsMax = 64

    // Text

    /// Octets of the name of a charset.
    package static let charsetNameOctetsMax = 64
    /// Octets of one character in any charset.
    package static let characterOctetsMax = 16
    /// Octets of UTF-8 that are taken from a conversion at a time.
    package static let conversionOctets = 4096
    /// Octets of a text that are searched at a time.
    package static let searchPieceOctets = 1 << 16
    /// Parts of one parameter (RFC 2231 section 3).
    package static let continuationsMax = 64
    /// Unicode characters of a preview (RFC 8970 section 3.3 allows 256).
    package static let previewCharactersMax = 200
    /// Octets of a part, as stored, that are read for a preview.
    package static let previewSourceOctetsMax = 1 << 15

    // Threads

    /// Message identifiers that are taken from one field, the last ones of `References`.
    package static let referencesMax = 1000
    /// Octets of one of them.
    package static let messageIDOctetsMax = 998
    /// Messages above one another in a thread; a deeper one is divided.
    package static let threadDepthMax = 10_000
}
