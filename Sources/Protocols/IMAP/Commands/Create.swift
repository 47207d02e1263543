import MailTypes

extension IMAPCommandRow {
    /// CREATE mailbox [(USE (attributes))] (RFC 9051 section 6.3.4, RFC 6154 section 3).
    static let create = IMAPCommandRow("CREATE", in: .loggedIn) { (reader) throws(GrammarStop) in
        try reader.space()
        let mailbox = try reader.mailbox(.new)
        var uses: [SpecialUse] = []
        if reader.skip(Ascii.space) {
            try reader.list { (reader) throws(GrammarStop) in
                guard reader.word() == "USE", reader.context.offers(.createSpecialUse) else {
                    throw .bad("A parameter is not known")
                }
                try reader.space()
                var count = 0
                try reader.list(allowsEmpty: true) { (reader) throws(GrammarStop) in
                    count += 1
                    guard count <= IMAPLimits.optionsMax else { throw .no(.limit, "Too many attributes") }
                    try reader.expect(Ascii.backslash, "An attribute")
                    let name = "\\" + (try reader.atom())
                    guard let use = SpecialUse.allCases.first(where: { $0.attribute.uppercased() == name.uppercased() })
                    else { throw .no(.useAttr, "The attribute is not known") }
                    if !uses.contains(use) { uses.append(use) }
                }
            }
        }
        try reader.end()
        return .perform(.create(mailbox, uses: uses))
    }
}
