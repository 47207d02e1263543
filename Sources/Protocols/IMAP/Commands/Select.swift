import MailTypes

extension IMAPCommandRow {
    /// SELECT mailbox [(parameters)] (RFC 9051 section 6.3.2, RFC 4466 section 2.1, RFC 7162).
    static let select = IMAPCommandRow("SELECT", in: .loggedIn, opensMailbox: true) { (reader) throws(GrammarStop) in
        .perform(.select(try reader.select(isReadOnly: false)))
    }

    /// EXAMINE mailbox [(parameters)] (RFC 9051 section 6.3.3).
    static let examine = IMAPCommandRow("EXAMINE", in: .loggedIn, opensMailbox: true) { (reader) throws(GrammarStop) in
        .perform(.select(try reader.select(isReadOnly: true)))
    }
}

extension CommandReader {
    fileprivate mutating func select(isReadOnly: Bool) throws(GrammarStop) -> SelectRequest {
        try space()
        let mailbox = try mailbox(.existing)
        var request = SelectRequest(mailbox: mailbox, isReadOnly: isReadOnly)
        if skip(Ascii.space) {
            var count = 0
            try list { (reader) throws(GrammarStop) in
                count += 1
                guard count <= IMAPLimits.optionsMax else { throw .no(.limit, "Too many parameters") }
                try reader.selectParameter(into: &request)
            }
        }
        try end()
        return request
    }

    private mutating func selectParameter(into request: inout SelectRequest) throws(GrammarStop) {
        switch word() {
        case "CONDSTORE" where context.offers(.condstore): request.condstore = true
        case "QRESYNC":
            // RFC 7162 section 3.2.5: only after ENABLE QRESYNC, and once.
            guard context.enabled.contains(.qresync) else { throw .bad("ENABLE QRESYNC comes first") }
            guard request.qresync == nil else { throw .bad("QRESYNC is there twice") }
            try space()
            request.qresync = try resyncParameters()
        default: throw .bad("A parameter is not known")
        }
    }

    private mutating func resyncParameters() throws(GrammarStop) -> ResyncParameters {
        try expect(Ascii.open, "The values of QRESYNC in parentheses")
        let validity = UIDValidity(try nzNumber())
        try space()
        var parameters = ResyncParameters(uidValidity: validity, modSeq: try nzNumber64())
        if skip(Ascii.space), current != Ascii.open {
            parameters.knownUIDs = try knownSet()
            _ = skip(Ascii.space)
        }
        if current == Ascii.open {
            advance()
            let numbers = try ascendingRanges()
            try space()
            let uids = try ascendingRanges()
            guard numbers.count == uids.count else { throw .bad("There are not as many numbers as UIDs") }
            parameters.match = ResyncParameters.Match(sequenceNumbers: numbers.runs, uids: uids)
            try expect(Ascii.close, "A closing parenthesis")
        }
        try expect(Ascii.close, "A closing parenthesis")
        return parameters
    }
}
