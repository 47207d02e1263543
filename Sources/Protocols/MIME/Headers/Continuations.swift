// Parameters in the parts and charsets of RFC 2231, put together as RFC 9051 section 7.5.2 wants them: `baz*0` and `baz*1`
// become `baz`; `foo*0*` and `foo*1*` become `foo*`, in UTF-8.
//
// The structure keeps them as they are, for that is what clients of IMAP4rev1 expect; whoever formats a BODYSTRUCTURE for
// IMAP4rev2 asks for `joined`.
extension Parameter {
    package static func joined(_ parameters: [Parameter]) -> [Parameter] {
        guard parameters.contains(where: { $0.name.contains(42) }) else { return parameters }
        var groups: [Group] = []
        var indexOf: [[UInt8]: Int] = [:]
        for parameter in parameters {
            let name = ParameterName(parameter.name)
            let key = name.base.map(\.lowered) + (name.section == nil && !name.isExtended ? [] : [42])
            if let index = indexOf[key] {
                groups[index].pieces.append((name, parameter.value))
            } else {
                indexOf[key] = groups.count
                groups.append(Group(name: name.base, pieces: [(name, parameter.value)]))
            }
        }
        return groups.flatMap { $0.parameters }
    }

    /// The value of a parameter, whose name is given in lower case, in UTF-8: of RFC 2231, or with the encoded words that
    /// programs put there although RFC 2047 section 5 forbids it.
    package static func text(_ name: StaticString, of parameters: [Parameter]) -> [UInt8]? {
        let joined = joined(parameters)
        let extended = joined.first {
            $0.name.last == 42 && Array($0.name.dropLast()).equalsIgnoringCase(name)
        }
        if let extended { return extended.value }
        return joined.first { $0.name.equalsIgnoringCase(name) }.map { EncodedWords.decode($0.value) }
    }
}

/// `base`, `base*`, `base*3` or `base*3*`.
private struct ParameterName {
    var base: [UInt8]
    var section: Int?
    var isExtended: Bool

    init(_ name: [UInt8]) {
        var rest = name[...]
        isExtended = rest.last == 42
        if isExtended { rest.removeLast() }
        base = Array(rest)
        guard let star = rest.lastIndex(of: 42) else { return }
        let digits = rest[(star + 1)...]
        guard (1...4).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }) else { return }
        section = digits.reduce(0) { $0 * 10 + Int($1 - 48) }
        base = Array(rest[..<star])
    }
}

/// All that bears one name.
private struct Group {
    var name: [UInt8]
    var pieces: [(name: ParameterName, value: [UInt8])]

    var parameters: [Parameter] {
        // Plain ones, twice or not, are left alone.
        guard pieces[0].name.section != nil || pieces[0].name.isExtended else {
            return pieces.map { Parameter(name: name, value: $0.value) }
        }
        // The whole value in one goes before parts.
        let whole = pieces.first { $0.name.section == nil }
        let ordered = whole.map { [$0] } ?? inOrder
        let isExtended = ordered.contains { $0.name.isExtended }
        return [Parameter(name: isExtended ? name + [42] : name, value: value(ordered, isExtended: isExtended))]
    }

    /// Section 3: the parts are numbered from 0 and may come in any order. Those after a gap are left out.
    private var inOrder: [(name: ParameterName, value: [UInt8])] {
        var ordered: [(name: ParameterName, value: [UInt8])] = []
        let sorted = pieces.sorted { ($0.name.section ?? 0) < ($1.name.section ?? 0) }
        for piece in sorted where piece.name.section == ordered.count && ordered.count < MIMELimits.continuationsMax {
            ordered.append(piece)
        }
        // A list that does not begin with 0 is taken as it comes.
        return ordered.isEmpty ? Array(sorted.prefix(MIMELimits.continuationsMax)) : ordered
    }

    private func value(_ ordered: [(name: ParameterName, value: [UInt8])], isExtended: Bool) -> [UInt8] {
        guard isExtended else { return ordered.flatMap(\.value) }
        var charset: [UInt8]?
        var octets: [UInt8] = []
        for (index, piece) in ordered.enumerated() {
            var value = piece.value[...]
            // Section 4: `charset'language'` stands before the first part.
            if index == 0, piece.name.isExtended, let first = value.firstIndex(of: 39),
                let second = value[(first + 1)...].firstIndex(of: 39)
            {
                charset = Array(value[..<first])
                value = value[(second + 1)...]
            }
            if piece.name.isExtended { octets += Self.percentDecoded(value) } else { octets += value }
        }
        return Charset(charset).decode(octets).filter { $0 != 0 && $0 != 13 && $0 != 10 }
    }

    private static func percentDecoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var out: [UInt8] = []
        var rest = text
        while let octet = rest.popFirst() {
            if octet == 37, rest.count >= 2, let high = hexadecimal(rest[rest.startIndex]),
                let low = hexadecimal(rest[rest.startIndex + 1])
            {
                out.append(high << 4 | low)
                rest.removeFirst(2)
            } else {
                out.append(octet)
            }
        }
        return out
    }
}
