/// An attribute and its value, of a Content-Type or a Content-Disposition (RFC 2045 section 5.1, RFC 2183 section 2).
package struct Parameter: Hashable, Sendable {
    /// As the message spells it; attributes are matched without regard to case.
    package var name: [UInt8]
    /// Without quotes; the encodings of RFC 2047 and RFC 2231 are still in it.
    package var value: [UInt8]

    package init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }
}

/// Content-Disposition (RFC 2183).
package struct Disposition: Hashable, Sendable {
    package var type: [UInt8]
    package var parameters: [Parameter]

    package init(type: [UInt8], parameters: [Parameter] = []) {
        self.type = type
        self.parameters = parameters
    }
}

/// One part of a message: what BODYSTRUCTURE says of it (RFC 9051 section 7.5.2), and where its octets are.
///
/// Strings are as the message has them, unfolded, without CR, LF and NUL. Encoded words stay encoded.
package struct Part: Hashable, Sendable {
    package enum Kind: UInt8, Sendable {
        /// Anything that is none of the others; BODYSTRUCTURE has no lines for it.
        case basic = 0
        /// `text/*`: BODYSTRUCTURE gives its lines.
        case text = 1
        /// `multipart/*` with at least one part within.
        case multipart = 2
        /// `message/rfc822` or `message/global`: the part after it in the list is the root of the message within.
        case message = 3
    }

    package var kind: Kind
    /// The index after the last part below this one; the parts below follow it in the list.
    package var end: Int
    /// The header, with the empty line that ends it where there is one.
    package var header: OctetRange
    /// The body in its transfer encoding, without the line end that belongs to the boundary after it.
    package var body: OctetRange
    /// Line ends in the body.
    package var lines: Int

    /// The media type as the message spells it; `TEXT` and `PLAIN` where it has none that can be read.
    package var type: [UInt8]
    package var subtype: [UInt8]
    package var parameters: [Parameter]
    /// Content-ID with its brackets.
    package var contentID: [UInt8]?
    package var description: [UInt8]?
    /// The Content-Transfer-Encoding; `7BIT` where there is none.
    package var encoding: [UInt8]
    package var md5: [UInt8]?
    package var disposition: Disposition?
    package var languages: [[UInt8]]
    package var location: [UInt8]?
    /// Of the root of a message within this one; the envelope of the message itself is in `MessageSummary`.
    package var envelope: Envelope?

    package init(header: OctetRange, body: OctetRange) {
        kind = .text
        end = 0
        self.header = header
        self.body = body
        lines = 0
        type = Part.plainType
        subtype = Part.plainSubtype
        parameters = []
        encoding = Part.plainEncoding
        languages = []
    }

    static let plainType = Array("TEXT".utf8)
    static let plainSubtype = Array("PLAIN".utf8)
    static let plainEncoding = Array("7BIT".utf8)

    /// Whether the media type is this one, which is given in lower case.
    package func isType(_ type: StaticString, _ subtype: StaticString? = nil) -> Bool {
        guard self.type.equalsIgnoringCase(type) else { return false }
        return subtype.map { self.subtype.equalsIgnoringCase($0) } ?? true
    }

    /// The value of a parameter of the media type, whose name is given in lower case.
    package func parameter(_ name: StaticString) -> [UInt8]? {
        parameters.first { $0.name.equalsIgnoringCase(name) }?.value
    }
}
