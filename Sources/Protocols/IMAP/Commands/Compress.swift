extension IMAPCommandRow {
    /// COMPRESS DEFLATE (RFC 4978).
    static let compress = IMAPCommandRow("COMPRESS", in: .loggedIn, .compressDeflate) { (reader) throws(GrammarStop) in
        try reader.space()
        let algorithm = try reader.atom().uppercased()
        try reader.end()
        guard algorithm == "DEFLATE" else { throw .bad("The algorithm is not known") }
        return .compress
    }
}
