extension IMAPCommandRow {
    /// GETQUOTA root (RFC 9208 section 4.1.1).
    static let getQuota = IMAPCommandRow("GETQUOTA", in: .loggedIn, .quota) { (reader) throws(GrammarStop) in
        try reader.space()
        let root = try reader.quotaRoot()
        try reader.end()
        return .perform(.getQuota(root: root))
    }

    /// GETQUOTAROOT mailbox (RFC 9208 section 4.1.2).
    static let getQuotaRoot = IMAPCommandRow("GETQUOTAROOT", in: .loggedIn, .quota) { (reader) throws(GrammarStop) in
        try reader.space()
        let mailbox = try reader.mailbox(.existing)
        try reader.end()
        return .perform(.getQuotaRoot(mailbox))
    }

    /// SETQUOTA root (resource limit ...) (RFC 9208 section 4.1.3).
    static let setQuota = IMAPCommandRow("SETQUOTA", in: .loggedIn, .quota) { (reader) throws(GrammarStop) in
        try reader.space()
        let root = try reader.quotaRoot()
        try reader.space()
        var limits: [QuotaLimit] = []
        try reader.list(allowsEmpty: true) { (reader) throws(GrammarStop) in
            guard limits.count < IMAPLimits.optionsMax else { throw .no(.limit, "Too many resources") }
            let name = try reader.atom().uppercased()
            try reader.space()
            limits.append(QuotaLimit(name, try reader.number64()))
        }
        try reader.end()
        return .perform(.setQuota(root: root, limits))
    }
}

extension CommandReader {
    fileprivate mutating func quotaRoot() throws(GrammarStop) -> String {
        let octets = try astring()
        guard let root = String(validating: octets, as: UTF8.self) else {
            throw .no(.nonExistent, "No such quota root")
        }
        return root
    }
}
