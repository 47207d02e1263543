/// A list of `tag=value` (RFC 6376 section 3.2), as signatures, key records and records of DMARC have it.
struct TagList {
    struct Tag {
        /// In the order of the list; names are case-sensitive.
        let name: String
        /// Without blanks around it; folds within it stay.
        let value: [UInt8]
        /// Where the value stands in the text, blanks around it included: what is cut out of a signature that is hashed.
        let range: Range<Int>
    }

    let tags: [Tag]

    /// Nil when the text is no list, a tag comes twice, or there are more than `tagsMax`.
    ///
    /// - Parameter isLax: what is no tag, and what comes twice, is passed over (RFC 9989 section 4.8).
    init?(_ text: some Collection<UInt8>, isLax: Bool = false) {
        let text = Array(text)
        var tags: [Tag] = []
        var names: Set<String> = []
        var start = 0
        while start <= text.count {
            let end = text[start...].firstIndex(of: Ascii.semicolon) ?? text.count
            defer { start = end + 1 }
            let part = start..<end
            guard let first = part.first(where: { !Ascii.isFold(text[$0]) }) else {
                // One empty part is the end of the list; RFC 6376 has no other.
                if isLax || end == text.count { continue }
                return nil
            }
            guard let equals = text[first..<end].firstIndex(of: Ascii.equals),
                let name = Self.name(text[first..<equals])
            else {
                if isLax { continue }
                return nil
            }
            let value = Self.trimmed(text[(equals + 1)..<end])
            guard tags.count < CheckLimits.tagsMax, value.allSatisfy({ Ascii.isFold($0) || $0 > 0x20 }),
                names.insert(name).inserted
            else {
                if isLax, tags.count < CheckLimits.tagsMax { continue }
                return nil
            }
            tags.append(Tag(name: name, value: Array(value), range: (equals + 1)..<end))
        }
        self.tags = tags
    }

    func tag(_ name: String) -> Tag? { tags.first { $0.name == name } }

    subscript(name: String) -> String? { tag(name).map { String(decoding: $0.value, as: UTF8.self) } }

    /// The value with all blanks and folds taken out, as base64 and lists of names allow them.
    func bare(_ name: String) -> [UInt8]? { tag(name).map { $0.value.filter { !Ascii.isFold($0) } } }

    /// The parts of a list separated by colons, without blanks.
    func list(_ name: String) -> [String]? {
        bare(name).map { value in
            value.split(separator: Ascii.colon, omittingEmptySubsequences: false).map {
                String(decoding: $0, as: UTF8.self)
            }
        }
    }

    /// `ALPHA *(ALPHA / DIGIT / "_")` with blanks behind it.
    private static func name(_ octets: ArraySlice<UInt8>) -> String? {
        let name = trimmed(octets)
        guard let first = name.first, Ascii.isLetter(first),
            name.allSatisfy({ Ascii.isLetter($0) || Ascii.isDigit($0) || $0 == 95 })
        else { return nil }
        return String(decoding: name, as: UTF8.self)
    }

    private static func trimmed(_ octets: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var octets = octets
        while let first = octets.first, Ascii.isFold(first) { octets.removeFirst() }
        while let last = octets.last, Ascii.isFold(last) { octets.removeLast() }
        return octets
    }
}
