// Message identifiers (RFC 5322 section 3.6.4) in the normal form that RFC 5256 section 3 wants: `left@right` without
// brackets, quotes, spaces and comments, so that different spellings of one are the same.
package enum MessageIDs {
    /// All that are in a field, in order; what is none is passed over. Of more than `MIMELimits.referencesMax` the last
    /// ones are taken, for those are nearest to the message.
    package static func all(in text: [UInt8]) -> [[UInt8]] {
        var found: [[UInt8]] = []
        text.withUnsafeBytes { text in
            var position = 0
            while let open = text.position(of: 60, from: position) {
                var reader = IDReader(text, at: open + 1)
                if let id = reader.read() { found.append(id) }
                // What was read in vain is not read again, so that the work is that of the length.
                position = reader.position
            }
        }
        return found.count > MIMELimits.referencesMax ? Array(found.suffix(MIMELimits.referencesMax)) : found
    }

    package static func first(in text: [UInt8]?) -> [UInt8]? {
        guard let text else { return nil }
        return text.withUnsafeBytes { text in
            var position = 0
            while let open = text.position(of: 60, from: position) {
                var reader = IDReader(text, at: open + 1)
                if let id = reader.read() { return id }
                position = reader.position
            }
            return nil
        }
    }

    /// The references of a message for REFERENCES (RFC 5256 section 3): those of its References field, or else the first
    /// of In-Reply-To.
    package static func references(_ references: [UInt8]?, inReplyTo: [UInt8]?) -> [[UInt8]] {
        if let references {
            let found = all(in: references)
            if !found.isEmpty { return found }
        }
        return first(in: inReplyTo).map { [$0] } ?? []
    }
}

private struct IDReader {
    private let text: UnsafeRawBufferPointer
    private(set) var position: Int

    init(_ text: UnsafeRawBufferPointer, at position: Int) {
        self.text = text
        self.position = position
    }

    /// From after `<` to after `>`.
    mutating func read() -> [UInt8]? {
        var id: [UInt8] = []
        var at: Int?
        while position < text.count, id.count <= MIMELimits.messageIDOctetsMax {
            let octet = text[position]
            position += 1
            switch octet {
            case 62:
                guard let at, at > 0, at + 1 < id.count else { return nil }
                return id
            case 60:
                position -= 1
                return nil
            case 32, 9, 13, 10, 0: continue
            case 40: skipComment()
            case 34 where at == nil: takeQuoted(&id)
            case 91 where at != nil:
                id.append(octet)
                takeLiteral(&id)
            case 64:
                // The last one divides; a mailbox quoted badly may have others.
                at = id.count
                id.append(octet)
            default: id.append(octet)
            }
        }
        return nil
    }

    private mutating func takeQuoted(_ id: inout [UInt8]) {
        while position < text.count, text[position] != 34 {
            if text[position] == 92, position + 1 < text.count { position += 1 }
            id.append(text[position])
            position += 1
        }
        position = Swift.min(position + 1, text.count)
    }

    private mutating func takeLiteral(_ id: inout [UInt8]) {
        while position < text.count {
            let octet = text[position]
            position += 1
            if !octet.isSpace { id.append(octet) }
            if octet == 93 { return }
        }
    }

    private mutating func skipComment() {
        var depth = 1
        while position < text.count, depth > 0 {
            switch text[position] {
            case 92: position += 1
            case 40: depth += 1
            case 41: depth -= 1
            default: break
            }
            position += 1
        }
        position = Swift.min(position, text.count)
    }
}
