// HEADER.FIELDS and HEADER.FIELDS.NOT (RFC 9051 section 6.4.5.1): the fields of a header with the names asked for, or
// with all others, in their order and with their folds, then the empty line where the header has one.
package struct HeaderFilter: Sendable {
    private enum Place {
        /// The name of a field is not complete, or it is not known whether the line is a continuation.
        case name
        /// Within a field that is kept or not.
        case field
        /// After the empty line.
        case end
    }

    /// In lower case.
    private let names: [[UInt8]]
    private let isExcluding: Bool
    private var place = Place.name
    private var isKept = false
    private var held: [UInt8] = []
    private var isFirst = true

    /// - Parameters:
    ///   - names: in any case.
    ///   - excluding: HEADER.FIELDS.NOT.
    package init(_ names: [[UInt8]], excluding: Bool = false) {
        self.names = Array(Set(names.map { $0.map(\.lowered) }))
        isExcluding = excluding
    }

    /// The fields of a header that is in memory.
    package func select(from header: UnsafeRawBufferPointer) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(Swift.min(header.count, 1024))
        var fields = HeaderFields(header)
        var end = 0
        while let field = fields.next() {
            if contains(field.name) != isExcluding { out.append(contentsOf: field.lines) }
            end += field.lines.count
        }
        // What is left begins with the empty line, unless it is a CR without a LF.
        if let feed = header.position(of: 10, from: end) {
            out.append(contentsOf: header.slice(end, feed + 1))
        } else if isExcluding {
            out.append(contentsOf: header.slice(end, header.count))
        }
        return out
    }

    private func contains(_ name: UnsafeRawBufferPointer) -> Bool {
        guard !name.isEmpty, name.count <= MIMELimits.fieldNameOctetsMax else { return false }
        return names.contains { candidate in
            guard candidate.count == name.count else { return false }
            for index in 0..<name.count where candidate[index] != name[index].lowered { return false }
            return true
        }
    }

    /// Takes the next octets of the header; appends what is kept.
    package mutating func take(_ piece: UnsafeRawBufferPointer, into out: inout [UInt8]) {
        var position = 0
        while position < piece.count {
            switch place {
            case .end: return
            case .field:
                let feed = piece.position(of: 10, from: position)
                let end = feed.map { $0 + 1 } ?? piece.count
                if isKept { out.append(contentsOf: piece.slice(position, end)) }
                if feed != nil { place = .name }
                position = end
            case .name:
                if held.isEmpty, !isFirst, piece[position].isBlank {
                    place = .field
                } else {
                    position = takeName(piece, position, into: &out)
                }
            }
        }
    }

    /// The header is at its end.
    package mutating func finish(into out: inout [UInt8]) {
        if place == .name, !held.isEmpty, isExcluding { out.append(contentsOf: held) }
        place = .end
    }

    /// Goes on with the beginning of a line up to what decides about it.
    private mutating func takeName(
        _ piece: UnsafeRawBufferPointer, _ start: Int, into out: inout [UInt8]
    ) -> Int {
        var position = start
        while position < piece.count {
            let octet = piece[position]
            position += 1
            held.append(octet)
            if octet == 10 {
                if held.count == 1 || held.count == 2 && held[0] == 13 {
                    out.append(contentsOf: held)
                    place = .end
                } else {
                    decide(nil, into: &out)
                    place = .name
                }
                held.removeAll(keepingCapacity: true)
                return position
            }
            if octet == 58 || held.count > MIMELimits.fieldNameOctetsMax + 1 {
                decide(octet == 58 && held.count <= MIMELimits.fieldNameOctetsMax + 1 ? name : nil, into: &out)
                held.removeAll(keepingCapacity: true)
                return position
            }
        }
        return position
    }

    /// What is held, without the colon and the spaces before it; nil when it is no name.
    private var name: [UInt8]? {
        var name = held.dropLast()
        while name.last?.isBlank == true { name.removeLast() }
        return name.contains { $0 <= 32 } ? nil : name.map(\.lowered)
    }

    private mutating func decide(_ name: [UInt8]?, into out: inout [UInt8]) {
        isKept = (name.map { names.contains($0) } ?? false) != isExcluding
        if isKept { out.append(contentsOf: held) }
        place = .field
        isFirst = false
    }
}
