extension IMAPCommandRow {
    /// THREAD algorithm charset keys (RFC 5256 section 3).
    static let thread = IMAPCommandRow("THREAD", in: .selected) { (reader) throws(GrammarStop) in
        .perform(.thread(try reader.thread(isUID: false)))
    }

    /// UID THREAD.
    static let uidThread = IMAPCommandRow("UID THREAD", in: .selected) {
        (reader) throws(GrammarStop) in
        .perform(.thread(try reader.thread(isUID: true)))
    }
}

extension CommandReader {
    fileprivate mutating func thread(isUID: Bool) throws(GrammarStop) -> ThreadRequest {
        try space()
        guard let algorithm = ThreadRequest.Algorithm(rawValue: word()), context.offers(algorithm.capability) else {
            throw .bad("The algorithm is not known")
        }
        try space()
        let charset = try charset()
        try space()
        let key = try searchProgram()
        try end()
        return ThreadRequest(isUID: isUID, algorithm: algorithm, charset: charset, key: key)
    }
}
