/// SEARCH or UID SEARCH (RFC 9051 section 6.4.4).
package struct SearchRequest: Equatable, Sendable {
    package var isUID: Bool
    /// Nil where the client did not say RETURN: it gets a SEARCH response, or an ESEARCH response with ALL after
    /// ENABLE IMAP4rev2. `RETURN ()` is ALL.
    package var options: SearchReturn?
    /// In upper case; nil means US-ASCII, or UTF-8 where the session uses it. Strings of the key are in it.
    package var charset: String?
    package var key: SearchKey

    package init(isUID: Bool, options: SearchReturn? = nil, charset: String? = nil, key: SearchKey) {
        self.isUID = isUID
        self.options = options
        self.charset = charset
        self.key = key
    }
}

/// What a search gives back (RFC 4731 section 3.1, RFC 5182).
package struct SearchReturn: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let min = SearchReturn(rawValue: 1)
    package static let max = SearchReturn(rawValue: 2)
    package static let all = SearchReturn(rawValue: 4)
    package static let count = SearchReturn(rawValue: 8)
    package static let save = SearchReturn(rawValue: 16)
}

/// SORT or UID SORT (RFC 5256 section 3, RFC 5267 section 3 for RETURN).
package struct SortRequest: Equatable, Sendable {
    package var isUID: Bool
    /// Nil: a SORT response.
    package var options: SearchReturn?
    /// At least one; the first counts most.
    package var criteria: [SortCriterion]
    package var charset: String
    package var key: SearchKey

    package init(isUID: Bool, options: SearchReturn? = nil, criteria: [SortCriterion], charset: String, key: SearchKey)
    {
        self.isUID = isUID
        self.options = options
        self.criteria = criteria
        self.charset = charset
        self.key = key
    }
}

package struct SortCriterion: Equatable, Sendable {
    package enum Key: String, CaseIterable, Sendable {
        case arrival = "ARRIVAL"
        case cc = "CC"
        case date = "DATE"
        case from = "FROM"
        case size = "SIZE"
        case subject = "SUBJECT"
        case to = "TO"
        /// RFC 5957.
        case displayFrom = "DISPLAYFROM"
        case displayTo = "DISPLAYTO"
    }

    package var key: Key
    package var isReverse: Bool

    package init(_ key: Key, isReverse: Bool = false) {
        self.key = key
        self.isReverse = isReverse
    }
}

/// THREAD or UID THREAD (RFC 5256 section 3).
package struct ThreadRequest: Equatable, Sendable {
    package enum Algorithm: String, CaseIterable, Sendable {
        case orderedSubject = "ORDEREDSUBJECT"
        case references = "REFERENCES"
    }

    package var isUID: Bool
    package var algorithm: Algorithm
    package var charset: String
    package var key: SearchKey

    package init(isUID: Bool, algorithm: Algorithm, charset: String, key: SearchKey) {
        self.isUID = isUID
        self.algorithm = algorithm
        self.charset = charset
        self.key = key
    }
}
