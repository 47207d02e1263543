/// A reference and a pattern of LIST, joined (RFC 9051 section 6.3.9): `*` takes anything, `%` anything without a
/// separator. INBOX in any case is INBOX.
///
/// The time is bounded by the product of the lengths: a set of places in the pattern moves along the name, so no pattern
/// is dear.
package struct ListPattern: Sendable {
    private let octets: [UInt8]
    /// The pattern with letters in upper case, for INBOX.
    private let folded: [UInt8]

    package init(reference: String, pattern: String) {
        // Runs of wildcards take what one takes; `%*` is `*`.
        var joined: [UInt8] = []
        for octet in (reference + pattern).utf8 {
            if let last = joined.last, last == Ascii.asterisk || last == Ascii.percent,
                octet == Ascii.asterisk || octet == Ascii.percent
            {
                if octet == Ascii.asterisk { joined[joined.count - 1] = octet }
            } else {
                joined.append(octet)
            }
        }
        octets = joined
        folded = joined.map(Ascii.uppercased)
    }

    /// - Parameter name: in UTF-8, as the server has it.
    package func matches(_ name: String) -> Bool {
        // The first component has no case where it is INBOX (RFC 9051 section 5.1); what lies below keeps it.
        if name == "INBOX" { return Self.matches(name.utf8, folded) }
        if name.hasPrefix("INBOX/") {
            let fold = min(5, octets.count)
            return Self.matches(name.utf8, Array(folded[..<fold] + octets[fold...]))
                || Self.matches(name.utf8, octets)
        }
        return Self.matches(name.utf8, octets)
    }

    private static func matches(_ name: String.UTF8View, _ pattern: [UInt8]) -> Bool {
        // The common cases cost nothing.
        if pattern == [Ascii.asterisk] { return true }
        // places[j]: the pattern up to j takes the name read so far.
        var places = [Bool](repeating: false, count: pattern.count + 1)
        var next = places
        places[0] = true
        passWildcards(&places, pattern)
        for octet in name {
            var isAlive = false
            for index in next.indices { next[index] = false }
            for index in pattern.indices where places[index] {
                switch pattern[index] {
                case Ascii.asterisk: next[index] = true
                case Ascii.percent: if octet != Ascii.slash { next[index] = true }
                case octet: next[index + 1] = true
                default: continue
                }
                isAlive = true
            }
            guard isAlive else { return false }
            swap(&places, &next)
            passWildcards(&places, pattern)
        }
        return places[pattern.count]
    }

    /// A wildcard may take nothing.
    private static func passWildcards(_ places: inout [Bool], _ pattern: [UInt8]) {
        for index in pattern.indices
        where places[index] && (pattern[index] == Ascii.asterisk || pattern[index] == Ascii.percent) {
            places[index + 1] = true
        }
    }
}
