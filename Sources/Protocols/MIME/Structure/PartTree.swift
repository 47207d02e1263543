// The tree of parts as it grows: headers and boundaries come in, in the order of the message.
//
// Invariants
// - Every range lies within the message and within the body of the part above it.
// - Whatever comes, there is a part, and each multipart has one below it. What cannot be kept to becomes one part
//   without parts: `text/plain` where the message does not say what it is, otherwise `application/octet-stream`.
//
// Rejected: looking at MIME-Version. Mail without it is meant as MIME too, and no server that people use asks for it.
import Glibc

struct PartTree {
    private struct Frame {
        var part: Int
        /// Empty for what is no multipart.
        var boundary: [UInt8] = []
        var isDigest = false
        /// Its closing boundary has not been seen.
        var isOpen = true
    }

    /// A boundary line of one of the open multiparts.
    struct Delimiter {
        fileprivate var frame: Int
        fileprivate var isClosing: Bool
    }

    private(set) var parts: [Part] = []
    private var frames: [Frame] = []
    private var textOctetsLeft = MIMELimits.structureTextOctetsMax
    private(set) var envelope = Envelope()
    private(set) var references: [UInt8]?
    /// Multiparts whose boundaries are looked for.
    private(set) var openBoundaries = 0

    // MARK: Headers

    /// A header is complete; the body begins. Answers whether it is that of a message within, whose header comes now.
    /// - Parameters:
    ///   - octets: the header, or the beginning of one that is over the limit.
    ///   - lines: line ends before the body.
    mutating func begin(_ header: OctetRange, _ octets: UnsafeRawBufferPointer, lines: Int) -> Bool {
        var part = Part(header: header, body: OctetRange(offset: header.end, count: 0))
        part.lines = lines
        let isMessage = frames.isEmpty || parts[frames[frames.count - 1].part].kind == .message
        let isInDigest = frames.last?.isDigest ?? false
        read(octets, isMessage: isMessage, isInDigest: isInDigest, &part)
        var frame = Frame(part: parts.count)
        part.kind = kind(&part, &frame)
        if !frame.boundary.isEmpty { openBoundaries += 1 }
        parts.append(part)
        frames.append(frame)
        return part.kind == .message
    }

    private mutating func read(
        _ octets: UnsafeRawBufferPointer, isMessage: Bool, isInDigest: Bool, _ part: inout Part
    ) {
        var media = MediaFields()
        var builder = EnvelopeBuilder()
        var fields = HeaderFields(octets)
        while let field = fields.next() {
            if field.name.count >= 10, field.name[7] == 45, field.name[0].lowered == 99 {
                media.take(field)
            } else if isMessage {
                builder.take(field)
            }
        }
        media.describe(&part, isInDigest: isInDigest)
        guard !parts.isEmpty else {
            envelope = builder.envelope()
            references = builder.references.map { [UInt8].unfolding($0) }
            keepWithinLimit(&part)
            return
        }
        if isMessage { part.envelope = builder.envelope() }
        keepWithinLimit(&part)
    }

    /// Drops what is kept of a part when there is no room for it.
    private mutating func keepWithinLimit(_ part: inout Part) {
        if part.type.count > MIMELimits.mediaNameOctetsMax || part.subtype.count > MIMELimits.mediaNameOctetsMax {
            (part.type, part.subtype, part.parameters) = (Part.plainType, Part.plainSubtype, [])
        }
        let octets = part.textOctets
        if octets <= textOctetsLeft {
            textOctetsLeft -= octets
            return
        }
        var bare = Part(header: part.header, body: part.body)
        bare.lines = part.lines
        (bare.type, bare.subtype) = (part.type, part.subtype)
        bare.parameters = part.parameters.filter { $0.name.equalsIgnoringCase("boundary") }
        if bare.textOctets > MIMELimits.boundaryOctetsMax * 2 { bare.parameters = [] }
        if part.envelope != nil { bare.envelope = Envelope() }
        part = bare
    }

    private func kind(_ part: inout Part, _ frame: inout Frame) -> Part.Kind {
        let isDeep = frames.count >= MIMELimits.depthMax
        if part.isType("multipart") {
            guard let boundary = boundary(of: part) else { return plain(&part) }
            guard !isDeep else { return opaque(&part) }
            frame.boundary = boundary
            frame.isDigest = part.subtype.equalsIgnoringCase("digest")
            return .multipart
        }
        if part.isType("message"), part.isType("message", "rfc822") || part.isType("message", "global") {
            // RFC 2046 section 5.2.1: no encoding is permitted; what has one is no message that could be looked into.
            guard part.hasIdentityEncoding, !isDeep, parts.count + 1 < MIMELimits.partsMax else { return opaque(&part) }
            return .message
        }
        guard part.isType("text") else { return .basic }
        addCharset(&part)
        return .text
    }

    private func boundary(of part: Part) -> [UInt8]? {
        guard var boundary = part.parameter("boundary") else { return nil }
        while boundary.last?.isBlank == true { boundary.removeLast() }
        return (1...MIMELimits.boundaryOctetsMax).contains(boundary.count) ? boundary : nil
    }

    /// RFC 2045 section 5.2: what says nothing sound about itself is plain text.
    private func plain(_ part: inout Part) -> Part.Kind {
        (part.type, part.subtype, part.parameters) = (Part.plainType, Part.plainSubtype, [])
        addCharset(&part)
        return .text
    }

    private func opaque(_ part: inout Part) -> Part.Kind {
        (part.type, part.subtype, part.parameters) = (Array("APPLICATION".utf8), Array("OCTET-STREAM".utf8), [])
        return .basic
    }

    /// RFC 2046 section 4.1.2: plain text without a charset is US-ASCII. For other text there is no default (RFC 6657
    /// section 3).
    private func addCharset(_ part: inout Part) {
        guard part.subtype.equalsIgnoringCase("plain"), part.parameter("charset") == nil else { return }
        part.parameters.append(Parameter(name: Array("CHARSET".utf8), value: Array("US-ASCII".utf8)))
    }

    // MARK: Boundaries

    /// Whether a line is a boundary (RFC 2046 section 5.1.1). One that is nothing else goes before one that begins like
    /// one, then the innermost and the longest: boundaries may begin with one another.
    /// - Parameter line: its beginning, without its end.
    func delimiter(_ line: UnsafeRawBufferPointer) -> Delimiter? {
        guard line.count > 2, line[0] == 45, line[1] == 45, let base = line.baseAddress else { return nil }
        var end = line.count
        while line[end - 1].isSpace { end -= 1 }
        let count = end - 2
        var best: Delimiter?
        var longest = 0
        for index in frames.indices.reversed() where frames[index].isOpen {
            let boundary = frames[index].boundary
            guard !boundary.isEmpty, boundary.count <= count,
                boundary.withUnsafeBytes({ memcmp(base + 2, $0.baseAddress!, $0.count) }) == 0
            else { continue }
            let more = count - boundary.count
            let isClosing = more >= 2 && line[2 + boundary.count] == 45 && line[3 + boundary.count] == 45
            if more == 0 || more == 2 && isClosing { return Delimiter(frame: index, isClosing: isClosing) }
            if boundary.count > longest {
                longest = boundary.count
                best = Delimiter(frame: index, isClosing: isClosing)
            }
        }
        return best
    }

    /// Whether the boundary begins another part, and there may be no more.
    func isOverLimit(_ delimiter: Delimiter) -> Bool {
        !delimiter.isClosing && parts.count >= MIMELimits.partsMax
    }

    /// Ends all parts within the multipart that the boundary belongs to. Answers whether another part begins.
    ///
    /// The line end before a boundary belongs to it, unless it is the end of a header.
    /// - Parameters:
    ///   - endBefore: octets of that line end.
    ///   - lines: line ends before the boundary.
    mutating func take(_ delimiter: Delimiter, lineStart: Int, endBefore: Int, lines: Int) -> Bool {
        if frames.count > delimiter.frame + 1 {
            let isAfterHeader = parts[frames[frames.count - 1].part].body.offset > lineStart - endBefore
            let end = isAfterHeader ? lineStart : lineStart - endBefore
            let linesBefore = isAfterHeader || endBefore == 0 ? lines : lines - 1
            while frames.count > delimiter.frame + 1 { endPart(at: end, lines: linesBefore) }
        }
        guard delimiter.isClosing else { return true }
        frames[delimiter.frame].isOpen = false
        openBoundaries -= 1
        return false
    }

    /// The message is at its end.
    mutating func finish(end: Int, lines: Int) {
        while !frames.isEmpty { endPart(at: end, lines: lines) }
    }

    private mutating func endPart(at end: Int, lines: Int) {
        let frame = frames.removeLast()
        if !frame.boundary.isEmpty, frame.isOpen { openBoundaries -= 1 }
        var part = parts[frame.part]
        part.body.count = end - part.body.offset
        part.lines = lines - part.lines
        part.end = parts.count
        if part.kind == .multipart, part.end == frame.part + 1 { part.kind = plain(&part) }
        parts[frame.part] = part
    }
}

extension Part {
    /// Octets of all its strings.
    fileprivate var textOctets: Int {
        var octets = type.count + subtype.count + encoding.count + (envelope?.bytes.count ?? 0)
        for text in [contentID, description, md5, location] { octets += text?.count ?? 0 }
        for parameter in parameters { octets += parameter.name.count + parameter.value.count }
        if let disposition {
            octets += disposition.type.count
            for parameter in disposition.parameters { octets += parameter.name.count + parameter.value.count }
        }
        for language in languages { octets += language.count }
        return octets
    }

    /// 7bit, 8bit or binary: the body stands for itself (RFC 2045 section 6.2).
    package var hasIdentityEncoding: Bool {
        encoding.equalsIgnoringCase("7bit") || encoding.equalsIgnoringCase("8bit")
            || encoding.equalsIgnoringCase("binary")
    }
}
