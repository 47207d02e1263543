/// The text of one part in UTF-8: its transfer encoding and its charset undone, piece by piece.
package struct PartText {
    private var transfer: TransferDecoder
    private var charset: TextDecoder
    private let isIdentity: Bool
    private var decoded: [UInt8] = []

    /// - Parameter part: one whose `isSearched` holds; an encoding that is not known counts as none.
    package init(_ part: Part) {
        let encoding = part.transferEncoding ?? .identity
        transfer = TransferDecoder(encoding)
        charset = Charset(part.parameter("charset")).makeDecoder()
        if case .identity = encoding { isIdentity = true } else { isIdentity = false }
    }

    /// What is stored is the text: pieces can be used as they are.
    package var isTransparent: Bool { isIdentity && charset.isTransparent }

    /// Appends the text that the next stored octets give.
    package mutating func decode(_ piece: UnsafeRawBufferPointer, into out: inout [UInt8]) {
        if isIdentity { return charset.decode(piece, into: &out) }
        if charset.isTransparent { return transfer.decode(piece, into: &out) }
        decoded.removeAll(keepingCapacity: true)
        transfer.decode(piece, into: &decoded)
        let text = decoded
        text.withUnsafeBytes { charset.decode($0, into: &out) }
    }

    /// The part is at its end.
    package mutating func finish(into out: inout [UInt8]) {
        decoded.removeAll(keepingCapacity: true)
        transfer.finish(into: &decoded)
        let text = decoded
        text.withUnsafeBytes { charset.decode($0, into: &out) }
        charset.finish(into: &out)
    }
}

extension Part {
    /// SEARCH BODY looks into it: text, and reports of mail systems.
    package var isSearched: Bool { kind == .text || kind == .basic && isType("message") }
}

extension TextSearch {
    /// Looks through a message as SEARCH BODY or, with its headers, as SEARCH TEXT does (RFC 9051 section 6.4.4).
    ///
    /// Stops when every string has been found. What is held is one piece, and one header of a part.
    /// - Parameter read: gives the octets of a range in pieces, until the closure answers false.
    package mutating func take(
        _ structure: MessageStructure, withHeaders: Bool,
        read: (OctetRange, (UnsafeRawBufferPointer) -> Bool) throws -> Void
    ) rethrows {
        for part in structure.parts {
            if isComplete { return }
            if withHeaders { try takeHeader(part.header, read) }
            if part.isSearched { try takeBody(part, read) }
        }
    }

    private mutating func takeBody(
        _ part: Part, _ read: (OctetRange, (UnsafeRawBufferPointer) -> Bool) throws -> Void
    ) rethrows {
        var text = PartText(part)
        var decoded: [UInt8] = []
        try read(part.body) { piece in
            if text.isTransparent {
                take(piece)
            } else {
                decoded.removeAll(keepingCapacity: true)
                text.decode(piece, into: &decoded)
                take(decoded)
            }
            return !isComplete
        }
        decoded.removeAll(keepingCapacity: true)
        text.finish(into: &decoded)
        take(decoded)
        endText()
    }

    private mutating func takeHeader(
        _ range: OctetRange, _ read: (OctetRange, (UnsafeRawBufferPointer) -> Bool) throws -> Void
    ) rethrows {
        var header: [UInt8] = []
        try read(range) { piece in
            header.append(contentsOf: piece.prefix(MIMELimits.headerOctetsMax - header.count))
            return header.count < MIMELimits.headerOctetsMax
        }
        header.withUnsafeBytes { takeHeader($0) }
    }

    /// Looks through a header: each field a text, its folds and encoded words undone.
    package mutating func takeHeader(_ header: UnsafeRawBufferPointer) {
        var fields = HeaderFields(header)
        while !isComplete, let field = fields.next() {
            if !field.name.isEmpty {
                take(field.name)
                take([58, 32])
            }
            take(EncodedWords.decode([UInt8].unfolding(field.body)))
            endText()
        }
    }

    /// Looks through the fields with one name, as SEARCH HEADER does. Answers whether there is such a field.
    package mutating func takeFields(_ name: [UInt8], of header: UnsafeRawBufferPointer) -> Bool {
        let name = name.map(\.lowered)
        var isThere = false
        var fields = HeaderFields(header)
        while let field = fields.next() {
            guard field.name.count == name.count, field.name.elementsEqual(name, by: { $0.lowered == $1 }) else {
                continue
            }
            isThere = true
            take(EncodedWords.decode([UInt8].unfolding(field.body)))
            endText()
        }
        return isThere
    }

    /// Looks through a field of the envelope, as SEARCH FROM and its like do: a string, or each address of a list as
    /// `name <mailbox@host>`.
    package mutating func take(_ field: Envelope.Field, of envelope: UnsafeRawBufferPointer) {
        guard var reader = EnvelopeReader(envelope, at: field) else { return }
        guard field.isList else {
            if reader.string(), let text = reader.value { takeField(text) }
            return
        }
        while !isComplete, let address = reader.next() { take(address) }
    }

    private mutating func takeField(_ text: UnsafeRawBufferPointer) {
        if EncodedWords.areIn(text) { take(EncodedWords.decode(text)) } else { take(text) }
        endText()
    }

    private mutating func take(_ address: Envelope.Address) {
        guard let mailbox = address.mailbox else { return }
        // A group: its name is in the mailbox.
        guard let host = address.host else { return takeField(mailbox) }
        // One text for all of it: each piece that is looked through costs more than its octets.
        var text = gathered
        gathered = []
        text.removeAll(keepingCapacity: true)
        if let name = address.name {
            if EncodedWords.areIn(name) { text += EncodedWords.decode(name) } else { text.append(contentsOf: name) }
            text.append(contentsOf: [32, 60])
        }
        text.append(contentsOf: mailbox)
        text.append(64)
        text.append(contentsOf: host)
        if address.name != nil { text.append(62) }
        take(text)
        gathered = text
        endText()
    }
}
