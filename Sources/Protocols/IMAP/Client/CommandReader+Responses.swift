// Reads one response that is there whole, but for a streamed body (RFC 9051 sections 7 and 9, `response`). The lexer is
// the server's own; where servers go beyond the grammar and the meaning is plain, that is taken:
// - quoted strings with 8-bit octets, also such as are not UTF-8 (mailbox names of old servers);
// - flags with octets that no flag can have: they are counted and left out;
// - dates that are no dates: the message has none then;
// - items of FETCH that are not known: they are passed over, lists within lists up to a limit.
import MailTypes

extension CommandReader {
    init(response bytes: UnsafeRawBufferPointer) { self.init(bytes, GrammarContext()) }

    /// - Parameter streamed: the body of this FETCH has come already; in its place stands an empty literal.
    mutating func response(streamed: Bool) throws(GrammarStop) -> IMAPServerResponse {
        if skip(Ascii.plus) {
            _ = skip(Ascii.space)
            return .continuation(rest())
        }
        if skip(Ascii.asterisk) {
            try space()
            return try untagged(streamed: streamed)
        }
        let tag = take(while: Ascii.isTag)
        guard (1...IMAPLimits.tagOctetsMax).contains(tag.count) else { throw .bad("a tag expected") }
        let name = String(decoding: tag, as: UTF8.self)
        try space()
        guard let kind = IMAPServerStatus.Kind(rawValue: word().lowercased()),
            kind == .ok || kind == .no || kind == .bad
        else { throw .bad("a tagged answer is OK, NO or BAD") }
        return .status(try status(kind, tag: name))
    }

    private mutating func untagged(streamed: Bool) throws(GrammarStop) -> IMAPServerResponse {
        if let octet = current, Ascii.isDigit(octet) { return try numbered(streamed: streamed) }
        let word = word()
        if let kind = IMAPServerStatus.Kind(rawValue: word.lowercased()) { return .status(try status(kind, tag: nil)) }
        switch word {
        case "CAPABILITY": return .capabilities(words())
        case "LIST", "LSUB": return .list(try listed(isFromLsub: word == "LSUB"))
        case "NAMESPACE":
            let personal = try places()
            let others = try places()
            return .namespace(IMAPNamespaces(personal: personal, others: others, shared: try places()))
        case "STATUS": return try figures()
        case "": throw .bad("a response expected")
        default: return .other
        }
    }

    private mutating func numbered(streamed: Bool) throws(GrammarStop) -> IMAPServerResponse {
        let number = try number()
        try space()
        switch word() {
        case "EXISTS": return .exists(number)
        case "EXPUNGE": return .expunged(number)
        case "FETCH":
            try space()
            return .fetch(try fetched(number, streamed: streamed))
        case "": throw .bad("a response expected after a number")
        default: return .other
        }
    }

    // MARK: Status

    private mutating func status(_ kind: IMAPServerStatus.Kind, tag: String?) throws(GrammarStop) -> IMAPServerStatus {
        _ = skip(Ascii.space)
        var code: IMAPServerCode?
        if skip(Ascii.openBracket) {
            code = try self.code()
            // What of the code was not read, in quotes or not, ends at the bracket.
            _ = take { $0 != Ascii.closeBracket }
            _ = skip(Ascii.closeBracket)
            _ = skip(Ascii.space)
        }
        return IMAPServerStatus(tag: tag, kind: kind, code: code, text: rest())
    }

    private mutating func code() throws(GrammarStop) -> IMAPServerCode {
        let name = word()
        func number(_ make: (UInt32) -> IMAPServerCode) throws(GrammarStop) -> IMAPServerCode {
            try space()
            return make(try self.number())
        }
        switch name {
        case "CAPABILITY": return .capabilities(words())
        case "UIDVALIDITY": return try number { .uidValidity($0) }
        case "UIDNEXT": return try number { .uidNext($0) }
        case "HIGHESTMODSEQ":
            try space()
            return .highestModSeq(try number64())
        default: return .other(name)
        }
    }

    /// Words with spaces between, up to the end or a bracket, in upper case.
    private mutating func words() -> [String] {
        var words: [String] = []
        while skip(Ascii.space), words.count < IMAPLimits.serverWordsMax {
            let run = take { Ascii.isAtom($0) && $0 != Ascii.closeBracket }
            guard !run.isEmpty else { break }
            words.append(String(decoding: run, as: UTF8.self).uppercased())
        }
        return words
    }

    /// Text for people: what of it can be printed, cut.
    private mutating func rest() -> String {
        let run = take { _ in true }.prefix(IMAPLimits.replyTextOctetsMax)
        return String(decoding: run.map { $0 < 0x20 || $0 == 0x7F ? 0x3F : $0 }, as: UTF8.self)
    }

    // MARK: LIST and NAMESPACE

    private mutating func listed(isFromLsub: Bool) throws(GrammarStop) -> IMAPListedMailbox {
        var attributes: [String] = []
        try space()
        try list(allowsEmpty: true) { reader throws(GrammarStop) in
            guard attributes.count < IMAPLimits.flagsMax else { throw .bad("more attributes than a mailbox can have") }
            let run = reader.take { Ascii.isAtom($0) || $0 == Ascii.backslash }
            guard !run.isEmpty else { throw .bad("an attribute expected") }
            attributes.append(String(decoding: run, as: UTF8.self).lowercased())
        }
        try space()
        let separator = try self.separator()
        try space()
        // What LIST-EXTENDED adds behind the name is not needed.
        let name = try anyString { Ascii.isList($0) || $0 >= 0x80 || $0 == Ascii.backslash }
        return IMAPListedMailbox(attributes: attributes, separator: separator, name: name, isFromLsub: isFromLsub)
    }

    private mutating func figures() throws(GrammarStop) -> IMAPServerResponse {
        try space()
        _ = try anyString { Ascii.isAstring($0) || $0 >= 0x80 || $0 == Ascii.backslash }
        try space()
        var messages: UInt32?
        var uidValidity: UInt32?
        var uidNext: UInt32?
        try list(allowsEmpty: true) { reader throws(GrammarStop) in
            let name = reader.word()
            try reader.space()
            switch name {
            case "MESSAGES": messages = try reader.number()
            case "UIDVALIDITY": uidValidity = try reader.number()
            case "UIDNEXT": uidNext = try reader.number()
            default: try reader.skipValue()
            }
        }
        return .figures(messages: messages, uidValidity: uidValidity, uidNext: uidNext)
    }

    /// `QUOTED-CHAR` in quotes, or NIL.
    private mutating func separator() throws(GrammarStop) -> UInt8? {
        if skip(word: "NIL") { return nil }
        let text = try anyString { _ in false }
        guard text.count == 1 else { throw .bad("a separator of one character expected") }
        return text[0]
    }

    /// NIL, or a list of places, each a list of a prefix and a separator, then what extensions add.
    private mutating func places() throws(GrammarStop) -> [IMAPNamespaces.Place] {
        try space()
        if skip(word: "NIL") { return [] }
        var places: [IMAPNamespaces.Place] = []
        try expect(Ascii.open, "a list of namespaces")
        while skip(Ascii.open) {
            guard places.count < IMAPLimits.serverWordsMax else { throw .bad("more namespaces than there can be") }
            let prefix = try anyString(orRunOf: Ascii.isAstring)
            try space()
            places.append(IMAPNamespaces.Place(prefix: prefix, separator: try separator()))
            while skip(Ascii.space) { try skipValue() }
            try expect(Ascii.close, "the end of a namespace")
            _ = skip(Ascii.space)
        }
        try expect(Ascii.close, "the end of the namespaces")
        return places
    }

    // MARK: FETCH

    private mutating func fetched(_ number: UInt32, streamed: Bool) throws(GrammarStop) -> IMAPFetchedMessage {
        var message = IMAPFetchedMessage(number: number)
        try list(allowsEmpty: true) { reader throws(GrammarStop) in
            let name = reader.word()
            guard !name.isEmpty else { throw .bad("the name of an item of FETCH expected") }
            let section = try reader.section()
            try reader.space()
            switch name {
            case "UID": message.uid = UID(try reader.nzNumber())
            case "FLAGS": try reader.flags(into: &message)
            case "INTERNALDATE": message.date = try reader.looseDateTime()
            case "RFC822.SIZE": message.size = UInt32(clamping: try reader.number64())
            case "MODSEQ":
                try reader.expect(Ascii.open, "a MODSEQ in parentheses")
                message.modSeq = try reader.number64()
                try reader.expect(Ascii.close, "the end of a MODSEQ")
            case "BODY" where section == [], "RFC822":
                guard message.body == .absent else { throw .bad("a message with two bodies") }
                if reader.skip(word: "NIL") {
                    message.body = .nothing
                } else {
                    let octets = try reader.anyString { _ in false }
                    message.body = streamed ? .streamed : .inline(octets)
                }
            default: try reader.skipValue()
            }
        }
        return message
    }

    /// What stands between the brackets after `BODY` or `BINARY`, and an offset; nil without brackets.
    private mutating func section() throws(GrammarStop) -> [UInt8]? {
        guard skip(Ascii.openBracket) else { return nil }
        let run = Array(take { $0 != Ascii.closeBracket })
        try expect(Ascii.closeBracket, "the end of a section")
        if skip(Ascii.less) {
            _ = take(while: Ascii.isDigit)
            try expect(Ascii.greater, "the end of an offset")
        }
        return run
    }

    private mutating func flags(into message: inout IMAPFetchedMessage) throws(GrammarStop) {
        var system: SystemFlags = []
        var count = 0
        var keywords: [Keyword] = []
        var odd = 0
        try expect(Ascii.open, "flags in parentheses")
        while !skip(Ascii.close) {
            let run = take { $0 > Ascii.space && $0 != Ascii.open && $0 != Ascii.close && $0 != 0x7F }
            guard !run.isEmpty, count < IMAPLimits.serverFlagsMax else { throw .bad("flags that do not end") }
            count += 1
            if run[0] == Ascii.backslash {
                // `\Recent` is a session's matter, and no other may be stored.
                if let flag = Self.systemFlag(UnsafeRawBufferPointer(rebasing: run.dropFirst())) { system.insert(flag) }
            } else if let keyword = Keyword(String(decoding: run, as: UTF8.self)) {
                if !keywords.contains(keyword) { keywords.append(keyword) }
            } else {
                odd += 1
            }
            _ = skip(Ascii.space)
        }
        message.flags = system
        message.keywords = keywords
        message.oddFlags = odd
    }

    private mutating func looseDateTime() throws(GrammarStop) -> InternalDate? {
        let start = position
        do throws(GrammarStop) { return try dateTime() } catch {
            move(to: start)
            try skipValue()
            return nil
        }
    }

    // MARK: Values

    /// `string`, or a run that `isPart` allows; in quotes any octet but those that end lines.
    private mutating func anyString(orRunOf isPart: (UInt8) -> Bool) throws(GrammarStop) -> [UInt8] {
        _ = skip(Ascii.tilde)
        if current == Ascii.openBrace {
            let count = try literalHeader(allowsBinary: false).octets
            guard count <= UInt64(bytes.count - position) else { throw .bad("a literal is cut short") }
            let octets = Array(bytes[position..<(position + Int(count))])
            move(to: position + Int(count))
            return octets
        }
        guard skip(Ascii.quote) else {
            let run = take(while: isPart)
            guard !run.isEmpty else { throw .bad("a string expected") }
            return Array(run)
        }
        var octets: [UInt8] = []
        while let octet = current {
            advance()
            if octet == Ascii.quote { return octets }
            if octet == Ascii.backslash, let quoted = current {
                advance()
                octets.append(quoted)
            } else {
                octets.append(octet)
            }
        }
        throw .bad("a quoted string does not end")
    }

    /// A value that nobody asked for: an atom, a string, or a list of such.
    private mutating func skipValue() throws(GrammarStop) {
        var depth = 0
        repeat {
            if skip(Ascii.open) {
                depth += 1
                guard depth <= IMAPLimits.serverListDepthMax else { throw .bad("lists too deep within each other") }
            } else if skip(Ascii.close) {
                depth -= 1
                guard depth >= 0 else { throw .bad("a list that was not opened") }
            } else if depth == 0 || !skip(Ascii.space) {
                _ = try anyString { $0 > Ascii.space && $0 != Ascii.open && $0 != Ascii.close && $0 != Ascii.quote }
            }
        } while depth > 0
    }
}
