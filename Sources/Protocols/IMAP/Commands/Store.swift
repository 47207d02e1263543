extension IMAPCommandRow {
    /// STORE set [(UNCHANGEDSINCE n)] FLAGS flags (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3).
    static let store = IMAPCommandRow("STORE", in: .selected) { (reader) throws(GrammarStop) in
        .perform(.store(try reader.store(isUID: false)))
    }

    /// UID STORE (RFC 9051 section 6.4.9).
    static let uidStore = IMAPCommandRow("UID STORE", in: .selected) { (reader) throws(GrammarStop) in
        .perform(.store(try reader.store(isUID: true)))
    }
}

extension CommandReader {
    fileprivate mutating func store(isUID: Bool) throws(GrammarStop) -> StoreRequest {
        try space()
        let set = try sequenceSet()
        try space()
        var unchangedSince: UInt64?
        if current == Ascii.open {
            try list { (reader) throws(GrammarStop) in
                guard reader.word() == "UNCHANGEDSINCE", reader.context.offers(.condstore), unchangedSince == nil else {
                    throw .bad("A modifier is not known, or there twice")
                }
                try reader.space()
                unchangedSince = try reader.number64()
            }
            try space()
        }
        var operation = StoreRequest.Operation.replace
        if skip(Ascii.plus) { operation = .add } else if skip(Ascii.minus) { operation = .remove }
        let isSilent: Bool
        switch word() {
        case "FLAGS": isSilent = false
        case "FLAGS.SILENT": isSilent = true
        default: throw .bad("FLAGS expected")
        }
        try space()
        let flags = try flags(allowsBare: true)
        try end()
        return StoreRequest(
            isUID: isUID, set: set, operation: operation, flags: flags, isSilent: isSilent,
            unchangedSince: unchangedSince)
    }
}
