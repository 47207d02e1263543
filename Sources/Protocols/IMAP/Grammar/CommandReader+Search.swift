import MailTypes

extension CommandReader {
    /// `search-key *(SP search-key)`.
    mutating func searchProgram() throws(GrammarStop) -> SearchKey {
        var keyCount = 0
        return try searchKeys(depth: 0, count: &keyCount)
    }

    private mutating func searchKeys(depth: Int, count: inout Int) throws(GrammarStop) -> SearchKey {
        let first = try searchKey(depth: depth, count: &count)
        guard current == Ascii.space else { return first }
        var keys = [first]
        while skip(Ascii.space) { keys.append(try searchKey(depth: depth, count: &count)) }
        return .and(keys)
    }

    private mutating func searchKey(depth: Int, count: inout Int) throws(GrammarStop) -> SearchKey {
        count += 1
        guard count <= IMAPLimits.searchKeysMax else { throw .no(.limit, "Too many search keys") }
        guard depth <= IMAPLimits.searchDepthMax else { throw .no(.limit, "The search is nested too deeply") }
        switch current {
        case Ascii.open:
            advance()
            let key = try searchKeys(depth: depth + 1, count: &count)
            try expect(Ascii.close, "A closing parenthesis")
            return key
        case .some(let octet) where Ascii.isDigit(octet) || octet == Ascii.asterisk || octet == Ascii.dollar:
            return .sequence(try sequenceSet())
        default: break
        }
        let name = word()
        if let key = Self.plainKeys[name], context.offers(key.capability) { return key }
        switch name {
        case "NOT":
            try space()
            return .not(try searchKey(depth: depth + 1, count: &count))
        case "OR":
            try space()
            let first = try searchKey(depth: depth + 1, count: &count)
            try space()
            return .or(first, try searchKey(depth: depth + 1, count: &count))
        case "": throw .bad("A search key expected")
        default:
            guard let read = Self.argumentKeys[name] else { throw .bad("A search key is not known") }
            try space()
            let key = try read(&self)
            guard context.offers(key.capability) else { throw .bad("A search key is not known") }
            return key
        }
    }

    private static let plainKeys: [String: SearchKey] = [
        "ALL": .all,
        "ANSWERED": .flag(.answered), "UNANSWERED": .not(.flag(.answered)),
        "DELETED": .flag(.deleted), "UNDELETED": .not(.flag(.deleted)),
        "DRAFT": .flag(.draft), "UNDRAFT": .not(.flag(.draft)),
        "FLAGGED": .flag(.flagged), "UNFLAGGED": .not(.flag(.flagged)),
        "SEEN": .flag(.seen), "UNSEEN": .not(.flag(.seen)),
        // RFC 3501 section 6.4.4.
        "RECENT": .recent, "NEW": .and([.recent, .not(.flag(.seen))]), "OLD": .not(.recent),
        // RFC 8514 section 4.3.
        "SAVEDATESUPPORTED": .saveDateSupported,
    ]

    private typealias ReadKey = @Sendable (inout CommandReader) throws(GrammarStop) -> SearchKey

    /// What follows the name and a space.
    private static let argumentKeys: [String: ReadKey] = [
        "BCC": { (r) throws(GrammarStop) in .header("BCC", try r.astring()) },
        "CC": { (r) throws(GrammarStop) in .header("CC", try r.astring()) },
        "FROM": { (r) throws(GrammarStop) in .header("FROM", try r.astring()) },
        "SUBJECT": { (r) throws(GrammarStop) in .header("SUBJECT", try r.astring()) },
        "TO": { (r) throws(GrammarStop) in .header("TO", try r.astring()) },
        "HEADER": { (r) throws(GrammarStop) in try r.headerKey() },
        "BODY": { (r) throws(GrammarStop) in .body(try r.astring()) },
        "TEXT": { (r) throws(GrammarStop) in .text(try r.astring()) },
        "BEFORE": { (r) throws(GrammarStop) in .before(try r.date()) },
        "ON": { (r) throws(GrammarStop) in .on(try r.date()) },
        "SINCE": { (r) throws(GrammarStop) in .since(try r.date()) },
        "SENTBEFORE": { (r) throws(GrammarStop) in .sentBefore(try r.date()) },
        "SENTON": { (r) throws(GrammarStop) in .sentOn(try r.date()) },
        "SENTSINCE": { (r) throws(GrammarStop) in .sentSince(try r.date()) },
        "SAVEDBEFORE": { (r) throws(GrammarStop) in .savedBefore(try r.date()) },
        "SAVEDON": { (r) throws(GrammarStop) in .savedOn(try r.date()) },
        "SAVEDSINCE": { (r) throws(GrammarStop) in .savedSince(try r.date()) },
        "KEYWORD": { (r) throws(GrammarStop) in .keyword(try r.keyword()) },
        "UNKEYWORD": { (r) throws(GrammarStop) in .not(.keyword(try r.keyword())) },
        "LARGER": { (r) throws(GrammarStop) in .larger(try r.number64()) },
        "SMALLER": { (r) throws(GrammarStop) in .smaller(try r.number64()) },
        "UID": { (r) throws(GrammarStop) in .uid(try r.sequenceSet()) },
        // RFC 5032 section 3: an interval of 0 is no interval.
        "OLDER": { (r) throws(GrammarStop) in .older(try r.nzNumber()) },
        "YOUNGER": { (r) throws(GrammarStop) in .younger(try r.nzNumber()) },
        "MODSEQ": { (r) throws(GrammarStop) in try r.modSeqKey() },
        "EMAILID": { (r) throws(GrammarStop) in .emailID(try r.objectID()) },
        "THREADID": { (r) throws(GrammarStop) in .threadID(try r.objectID()) },
    ]

    private mutating func headerKey() throws(GrammarStop) -> SearchKey {
        let name = try astring()
        try space()
        let value = try astring()
        guard let text = String(validating: name, as: UTF8.self), !text.isEmpty else {
            throw .bad("A field's name expected")
        }
        return .header(text.uppercased(), value)
    }

    /// `[entry-name SP entry-type-req SP] mod-sequence-valzer` (RFC 7162 section 3.1.5).
    private mutating func modSeqKey() throws(GrammarStop) -> SearchKey {
        if current == Ascii.quote {
            let entry = try string()
            guard entry.starts(with: "/flags/".utf8), entry.count > 7 else { throw .bad("The entry is not known") }
            try space()
            guard skip(word: "ALL") || skip(word: "PRIV") || skip(word: "SHARED") else {
                throw .bad("all, priv or shared expected")
            }
            try space()
        }
        return .modSeq(try number64())
    }

    /// RFC 8474 section 7.
    private mutating func objectID() throws(GrammarStop) -> String {
        let octets = try astring()
        guard (1...255).contains(octets.count),
            octets.allSatisfy({
                Ascii.isDigit($0) || $0 == 0x5F || $0 == Ascii.minus || (0x61...0x7A).contains($0 | 0x20)
            })
        else { throw .bad("An object has no such identifier") }
        return String(decoding: octets, as: UTF8.self)
    }
}
