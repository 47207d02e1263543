// The structured fields of MIME: Content-Type (RFC 2045 section 5.1), Content-Transfer-Encoding (section 6.1),
// Content-Disposition (RFC 2183), Content-Language (RFC 3282), Content-MD5 (RFC 1864), Content-Location (RFC 2557).
//
// Values that should be quoted and are not are read up to the next semicolon or comment, for file names come like that.
struct FieldParser {
    private let text: UnsafeRawBufferPointer
    private var position = 0

    init(_ text: UnsafeRawBufferPointer) { self.text = text }

    private var isAtEnd: Bool { position >= text.count }

    /// Passes over spaces, folds and comments (RFC 5322 section 3.2.2).
    mutating func skipSpace() {
        while position < text.count {
            if text[position].isSpace || text[position] == 0 {
                position += 1
            } else if text[position] == 40 {
                skipComment()
            } else {
                return
            }
        }
    }

    private mutating func skipComment() {
        var depth = 0
        while position < text.count {
            switch text[position] {
            case 92: position += 1
            case 40: depth += 1
            case 41: depth -= 1
            default: break
            }
            position += 1
            if depth == 0 { return }
        }
        position = text.count
    }

    /// A token (RFC 2045 section 5.1): up to a space, a comment or one of the octets that mean something.
    mutating func token() -> [UInt8] {
        skipSpace()
        let start = position
        scan: while position < text.count {
            switch text[position] {
            case 0...32, 34, 40, 41, 44, 47, 58, 59, 61, 127: break scan
            default: position += 1
            }
        }
        return Array(text.slice(start, position))
    }

    mutating func take(_ octet: UInt8) -> Bool {
        skipSpace()
        guard position < text.count, text[position] == octet else { return false }
        position += 1
        return true
    }

    /// `*(";" attribute "=" value)`; what is no parameter is passed over.
    mutating func parameters() -> [Parameter] {
        var parameters: [Parameter] = []
        while parameters.count < MIMELimits.parametersMax {
            skipSpace()
            while !isAtEnd, text[position] != 59 { position += 1 }
            guard take(59) else { break }
            let name = token()
            guard !name.isEmpty, take(61) else { continue }
            parameters.append(Parameter(name: name, value: value()))
        }
        return parameters
    }

    private mutating func value() -> [UInt8] {
        skipSpace()
        guard position < text.count else { return [] }
        if text[position] == 34 { return quoted() }
        let start = position
        while position < text.count, text[position] != 59 {
            // A comment begins a word.
            if text[position] == 40, position > start, text[position - 1].isSpace { break }
            position += 1
        }
        return [UInt8].unfolding(text.slice(start, position))
    }

    private mutating func quoted() -> [UInt8] {
        var value: [UInt8] = []
        position += 1
        while position < text.count, text[position] != 34 {
            if text[position] == 92, position + 1 < text.count { position += 1 }
            let octet = text[position]
            if octet != 13, octet != 10, octet != 0 { value.append(octet) }
            position += 1
        }
        position = Swift.min(position + 1, text.count)
        return value
    }

    /// Tokens between commas.
    mutating func list() -> [[UInt8]] {
        var list: [[UInt8]] = []
        while !isAtEnd, list.count < MIMELimits.languagesMax {
            let item = token()
            if !item.isEmpty { list.append(item) }
            if item.isEmpty, !isAtEnd { position += 1 }
        }
        return list
    }
}

/// The fields of one header that describe its body. The first of each counts.
struct MediaFields {
    var type: [UInt8]?
    var subtype: [UInt8] = []
    var parameters: [Parameter] = []
    var encoding: [UInt8]?
    var contentID: [UInt8]?
    var description: [UInt8]?
    var md5: [UInt8]?
    var disposition: Disposition?
    var languages: [[UInt8]]?
    var location: [UInt8]?
    private var hasType = false

    /// Takes a field whose name begins with `content-`.
    mutating func take(_ field: HeaderField) {
        let body = field.body
        var parser = FieldParser(body)
        switch field.name.count {
        case 10 where contentID == nil && field.name.equalsIgnoringCase("content-id"):
            contentID = [UInt8].unfolding(body)
        case 11 where md5 == nil && field.name.equalsIgnoringCase("content-md5"):
            md5 = [UInt8].unfolding(body)
        case 12 where !hasType && field.name.equalsIgnoringCase("content-type"):
            hasType = true
            takeType(&parser)
        case 16:
            if languages == nil, field.name.equalsIgnoringCase("content-language") {
                languages = parser.list()
            } else if location == nil, field.name.equalsIgnoringCase("content-location") {
                // RFC 2557 section 4.4.1: folding a URI puts white space into it that is no part of it.
                location = body.filter { !$0.isSpace && $0 != 0 }
            }
        case 19:
            if description == nil, field.name.equalsIgnoringCase("content-description") {
                description = [UInt8].unfolding(body)
            } else if disposition == nil, field.name.equalsIgnoringCase("content-disposition") {
                let type = parser.token()
                if !type.isEmpty { disposition = Disposition(type: type, parameters: parser.parameters()) }
            }
        case 25 where encoding == nil && field.name.equalsIgnoringCase("content-transfer-encoding"):
            encoding = parser.token()
        default: break
        }
    }

    /// A type that cannot be read counts as none (RFC 2045 section 5.2).
    private mutating func takeType(_ parser: inout FieldParser) {
        let main = parser.token()
        guard !main.isEmpty, parser.take(47) else { return }
        let sub = parser.token()
        guard !sub.isEmpty else { return }
        (type, subtype) = (main, sub)
        parameters = parser.parameters()
    }

    /// Puts everything into a part whose media type defaults to `message/rfc822` within a digest (RFC 2046 section 5.1.5).
    func describe(_ part: inout Part, isInDigest: Bool) {
        if let type {
            (part.type, part.subtype, part.parameters) = (type, subtype, parameters)
        } else if isInDigest {
            (part.type, part.subtype) = (Array("MESSAGE".utf8), Array("RFC822".utf8))
        }
        if let encoding, !encoding.isEmpty { part.encoding = encoding }
        part.contentID = contentID
        part.description = description
        part.md5 = md5
        part.disposition = disposition
        part.languages = languages ?? []
        part.location = location
    }
}
