extension IMAPCommandRow {
    /// LIST [(selection)] reference patterns [RETURN (options)] (RFC 9051 section 6.3.9, RFC 5258, 5819, 6154).
    static let list = IMAPCommandRow("LIST", in: .loggedIn) { (reader) throws(GrammarStop) in
        try reader.space()
        var request = ListRequest(reference: "", patterns: [])
        if reader.current == Ascii.open {
            request.isExtended = true
            request.selection = try reader.listSelection()
            try reader.space()
        }
        request.reference = try reader.listPattern(isPattern: false)
        try reader.space()
        if reader.current == Ascii.open {
            request.isExtended = true
            try reader.list { (reader) throws(GrammarStop) in
                guard request.patterns.count < IMAPLimits.listPatternsMax else {
                    throw .no(.limit, "Too many patterns")
                }
                request.patterns.append(try reader.listPattern(isPattern: true))
            }
        } else {
            request.patterns = [try reader.listPattern(isPattern: true)]
        }
        if reader.skip(Ascii.space) {
            guard reader.skip(word: "RETURN") else { throw .bad("RETURN expected") }
            request.isExtended = true
            try reader.space()
            try reader.listReturn(into: &request)
        }
        try reader.end()
        return .perform(.list(request))
    }
}

extension CommandReader {
    fileprivate mutating func listSelection() throws(GrammarStop) -> ListRequest.Selection {
        var selection: ListRequest.Selection = []
        var count = 0
        try list(allowsEmpty: true) { (reader) throws(GrammarStop) in
            count += 1
            guard count <= IMAPLimits.optionsMax else { throw .no(.limit, "Too many options") }
            switch reader.word() {
            case "SUBSCRIBED": selection.insert(.subscribed)
            case "REMOTE": selection.insert(.remote)
            case "RECURSIVEMATCH": selection.insert(.recursiveMatch)
            case "SPECIAL-USE": selection.insert(.specialUse)
            // RFC 5258 section 3: options that are not known are BAD.
            default: throw .bad("A selection option is not known")
            }
        }
        // RFC 5258 section 3.1: a modifier needs something to modify.
        guard !selection.contains(.recursiveMatch) || selection.contains(.subscribed) else {
            throw .bad("RECURSIVEMATCH needs SUBSCRIBED beside it")
        }
        return selection
    }

    fileprivate mutating func listReturn(into request: inout ListRequest) throws(GrammarStop) {
        var count = 0
        try list(allowsEmpty: true) { (reader) throws(GrammarStop) in
            count += 1
            guard count <= IMAPLimits.optionsMax else { throw .no(.limit, "Too many options") }
            switch reader.word() {
            case "SUBSCRIBED": request.returns.insert(.subscribed)
            case "CHILDREN": request.returns.insert(.children)
            case "SPECIAL-USE": request.returns.insert(.specialUse)
            case "STATUS":
                try reader.space()
                request.status = try reader.statusAttributes()
            default: throw .bad("A return option is not known")
            }
        }
    }
}
