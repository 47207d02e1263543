/// The tree of a message's parts, as a list: each part stands before those below it.
///
/// The first is the message itself. There is always one, whatever the message is.
package struct MessageStructure: Hashable, Sendable {
    package var parts: [Part]
    /// Octets of the whole message.
    package var octets: Int

    package init(parts: [Part], octets: Int) {
        self.parts = parts
        self.octets = octets
    }

    /// The header of the message.
    package var header: OctetRange { parts[0].header }

    /// The indices of the parts directly below one: those of a multipart, or the root of a message within a message.
    package func children(of index: Int) -> [Int] {
        var children: [Int] = []
        var next = index + 1
        while next < parts[index].end {
            children.append(next)
            next = parts[next].end
        }
        return children
    }

    /// The index of the `number`th part, from 1, directly below a multipart.
    private func child(_ number: Int, of index: Int) -> Int? {
        var next = index + 1
        var left = number
        while next < parts[index].end {
            left -= 1
            if left == 0 { return next }
            next = parts[next].end
        }
        return nil
    }

    /// The part that a list of part numbers names (RFC 9051 section 6.4.5.1); nil when there is none.
    package func index(of path: [Int]) -> Int? {
        guard let first = path.first, var at = part(first, ofMessage: 0) else { return nil }
        for number in path.dropFirst() {
            let below: Int?
            switch parts[at].kind {
            case .multipart: below = child(number, of: at)
            case .message: below = part(number, ofMessage: at + 1)
            case .text, .basic: below = nil
            }
            guard let below else { return nil }
            at = below
        }
        return at
    }

    /// A message that is no multipart has one part, number 1, which is its body.
    private func part(_ number: Int, ofMessage root: Int) -> Int? {
        parts[root].kind == .multipart ? child(number, of: root) : number == 1 ? root : nil
    }

    /// What a section specification ends with.
    package enum Specifier: Sendable {
        /// Nothing: the body of a part, or the whole message.
        case all
        /// HEADER, and what HEADER.FIELDS selects from.
        case header
        case text
        case mime
    }

    /// Where the octets of a section are; nil when the message has no such section.
    package func section(_ path: [Int], _ specifier: Specifier) -> OctetRange? {
        guard !path.isEmpty else {
            switch specifier {
            case .all: return OctetRange(offset: 0, count: octets)
            case .header: return parts[0].header
            case .text: return parts[0].body
            case .mime: return nil
            }
        }
        guard let at = index(of: path) else { return nil }
        switch specifier {
        case .all: return parts[at].body
        case .mime: return parts[at].header
        case .header: return parts[at].kind == .message ? parts[at + 1].header : nil
        case .text: return parts[at].kind == .message ? parts[at + 1].body : nil
        }
    }
}

/// All that is kept of a message's header and structure.
package struct MessageSummary: Hashable, Sendable {
    package var structure: MessageStructure
    package var envelope: Envelope
    /// The body of the References field, unfolded.
    package var references: [UInt8]?

    package init(structure: MessageStructure, envelope: Envelope, references: [UInt8]? = nil) {
        self.structure = structure
        self.envelope = envelope
        self.references = references
    }

    /// Reads a message that is in memory.
    package init(scanning message: UnsafeRawBufferPointer) {
        var scanner = StructureScanner()
        scanner.consume(message)
        self = scanner.finish()
    }
}
