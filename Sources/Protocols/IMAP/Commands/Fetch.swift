// FETCH: items, macros and modifiers. What comes out is normal: macros written out, each item once, UID there for UID
// FETCH and MODSEQ for CHANGEDSINCE, so the handler writes what it finds and nothing else.
extension IMAPCommandRow {
    /// FETCH set items [(modifiers)] (RFC 9051 section 6.4.5, RFC 4466 section 2.4, RFC 7162 section 3.1.4).
    static let fetch = IMAPCommandRow("FETCH", in: .selected) { (reader) throws(GrammarStop) in
        .perform(.fetch(try reader.fetch(isUID: false)))
    }

    /// UID FETCH (RFC 9051 section 6.4.9).
    static let uidFetch = IMAPCommandRow("UID FETCH", in: .selected) { (reader) throws(GrammarStop) in
        .perform(.fetch(try reader.fetch(isUID: true)))
    }
}

extension CommandReader {
    fileprivate mutating func fetch(isUID: Bool) throws(GrammarStop) -> FetchRequest {
        try space()
        var request = FetchRequest(isUID: isUID, set: try sequenceSet(), attributes: [])
        try space()
        var attributes = FetchAttributes()
        if isUID { attributes.add(.uid) }
        if current == Ascii.open {
            try list { (reader) throws(GrammarStop) in try reader.fetchAttribute(into: &attributes) }
        } else if !fetchMacro(into: &attributes) {
            try fetchAttribute(into: &attributes)
        }
        if skip(Ascii.space) {
            try list { (reader) throws(GrammarStop) in try reader.fetchModifier(into: &request) }
        }
        try end()
        // RFC 7162 section 3.2.6.
        guard !request.vanished || request.changedSince != nil else { throw .bad("VANISHED needs CHANGEDSINCE") }
        if request.changedSince != nil { attributes.add(.modSeq) }
        guard attributes.all.allSatisfy({ context.offers($0.capability) }) else {
            throw .bad("An item of FETCH is not known")
        }
        request.attributes = attributes.all
        return request
    }

    private mutating func fetchModifier(into request: inout FetchRequest) throws(GrammarStop) {
        switch word() {
        case "CHANGEDSINCE" where context.offers(.condstore):
            guard request.changedSince == nil else { throw .bad("CHANGEDSINCE is there twice") }
            try space()
            request.changedSince = try nzNumber64()
        case "VANISHED":
            guard request.isUID else { throw .bad("VANISHED belongs to UID FETCH") }
            guard context.enabled.contains(.qresync) else { throw .bad("ENABLE QRESYNC comes first") }
            request.vanished = true
        default: throw .bad("A modifier is not known")
        }
    }

    /// ALL, FAST and FULL stand alone (RFC 9051 section 6.4.5).
    private mutating func fetchMacro(into attributes: inout FetchAttributes) -> Bool {
        let isAll = skip(word: "ALL")
        let isFull = !isAll && skip(word: "FULL")
        guard isAll || isFull || skip(word: "FAST") else { return false }
        attributes.add(.flags)
        attributes.add(.internalDate)
        attributes.add(.rfc822Size)
        if isAll || isFull { attributes.add(.envelope) }
        if isFull { attributes.add(.bodyStructure(extended: false)) }
        return true
    }

    private mutating func fetchAttribute(into attributes: inout FetchAttributes) throws(GrammarStop) {
        attributes.count += 1
        guard attributes.count <= IMAPLimits.fetchAttributesMax else { throw .no(.limit, "Too many items") }
        let name = take { $0 != Ascii.openBracket && Ascii.isAtom($0) }
        guard let word = FetchWord(name) else { throw .bad("An item of FETCH is not known") }
        switch word {
        case .plain(let attribute): attributes.add(attribute)
        case .preview: attributes.add(.preview(lazy: try previewModifier()))
        case .body(let isPeek):
            guard current == Ascii.openBracket else {
                guard !isPeek else { throw .bad("BODY.PEEK needs a section") }
                return attributes.add(.bodyStructure(extended: false))
            }
            attributes.add(.body(try bodySection(isPeek: isPeek, headerFields: &attributes.headerFieldCount)))
        case .binary(let isPeek):
            let part = try binaryPart()
            attributes.add(.binary(BinarySection(part: part, partial: try partial(), isPeek: isPeek)))
        case .binarySize: attributes.add(.binarySize(part: try binaryPart()))
        }
    }

    /// `["LAZY"]` in parentheses (RFC 8970 section 3.1); perhaps absent.
    private mutating func previewModifier() throws(GrammarStop) -> Bool {
        guard current == Ascii.space, position + 1 < bytes.count, bytes[position + 1] == Ascii.open else {
            return false
        }
        let start = position
        advance()
        advance()
        // Outside a list of items, a parenthesis may also begin the modifiers of FETCH.
        guard skip(word: "LAZY") else {
            move(to: start)
            return false
        }
        while skip(Ascii.space) { guard skip(word: "LAZY") else { throw .bad("A modifier of PREVIEW is not known") } }
        try expect(Ascii.close, "A closing parenthesis")
        return true
    }
}

/// The items of one FETCH, each once.
private struct FetchAttributes {
    var all: [FetchAttribute] = []
    /// As the client named them, repeats too.
    var count = 0
    var headerFieldCount = 0

    mutating func add(_ attribute: FetchAttribute) {
        if !all.contains(attribute) { all.append(attribute) }
    }
}

/// What an item begins with.
private enum FetchWord {
    case plain(FetchAttribute)
    case preview
    case body(isPeek: Bool)
    case binary(isPeek: Bool)
    case binarySize

    private static let names: [(StaticString, FetchWord)] = [
        ("FLAGS", .plain(.flags)),
        ("UID", .plain(.uid)),
        ("BODY.PEEK", .body(isPeek: true)),
        ("BODY", .body(isPeek: false)),
        ("RFC822.SIZE", .plain(.rfc822Size)),
        ("INTERNALDATE", .plain(.internalDate)),
        ("ENVELOPE", .plain(.envelope)),
        ("BODYSTRUCTURE", .plain(.bodyStructure(extended: true))),
        ("MODSEQ", .plain(.modSeq)),
        // RFC 3501 section 6.4.5: RFC822.HEADER does not set \Seen, the other two do.
        ("RFC822", .plain(.body(BodySection(name: .rfc822)))),
        ("RFC822.HEADER", .plain(.body(BodySection(.header, isPeek: true, name: .rfc822Header)))),
        ("RFC822.TEXT", .plain(.body(BodySection(.text, name: .rfc822Text)))),
        ("BINARY", .binary(isPeek: false)),
        ("BINARY.PEEK", .binary(isPeek: true)),
        ("BINARY.SIZE", .binarySize),
        ("EMAILID", .plain(.emailID)),
        ("THREADID", .plain(.threadID)),
        ("SAVEDATE", .plain(.saveDate)),
        ("PREVIEW", .preview),
    ]

    init?(_ name: UnsafeRawBufferPointer) {
        for (text, word) in Self.names where name.count == text.utf8CodeUnitCount {
            var index = 0
            while index < name.count, Ascii.uppercased(name[index]) == text.utf8Start[index] { index += 1 }
            guard index == name.count else { continue }
            self = word
            return
        }
        return nil
    }
}
