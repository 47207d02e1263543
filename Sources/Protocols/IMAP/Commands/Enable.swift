extension IMAPCommandRow {
    /// ENABLE capability... (RFC 5161, RFC 9051 section 6.3.1). Names that are not known are no error.
    static let enable = IMAPCommandRow("ENABLE", in: .loggedIn, .enable) { (reader) throws(GrammarStop) in
        var names: [String] = []
        try reader.space()
        repeat {
            guard names.count < IMAPLimits.optionsMax else { throw .no(.limit, "Too many names") }
            names.append(try reader.atom().uppercased())
        } while reader.skip(Ascii.space)
        try reader.end()
        return .enable(names)
    }
}
