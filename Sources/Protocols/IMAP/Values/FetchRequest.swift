/// FETCH or UID FETCH (RFC 9051 section 6.4.5).
package struct FetchRequest: Equatable, Sendable {
    package var isUID: Bool
    package var set: SequenceSet
    /// In the client's order, without repeats, macros written out. `uid` is there for UID FETCH and `modSeq` for
    /// CHANGEDSINCE, whether the client named them or not.
    package var attributes: [FetchAttribute]
    /// CHANGEDSINCE (RFC 7162 section 3.1.4.1).
    package var changedSince: UInt64?
    /// VANISHED (RFC 7162 section 3.2.6): only with CHANGEDSINCE, in UID FETCH, after ENABLE QRESYNC.
    package var vanished: Bool

    package init(
        isUID: Bool, set: SequenceSet, attributes: [FetchAttribute], changedSince: UInt64? = nil,
        vanished: Bool = false
    ) {
        self.isUID = isUID
        self.set = set
        self.attributes = attributes
        self.changedSince = changedSince
        self.vanished = vanished
    }

    /// Some item sets `\Seen` (RFC 9051 section 6.4.5, BODY[...]).
    package var setsSeen: Bool {
        attributes.contains {
            switch $0 {
            case .body(let section): !section.isPeek
            case .binary(let section): !section.isPeek
            default: false
            }
        }
    }
}

/// One data item of FETCH.
package enum FetchAttribute: Equatable, Sendable {
    case flags
    case uid
    case internalDate
    case rfc822Size
    case envelope
    /// BODYSTRUCTURE; or BODY without a section, which has no extension data.
    case bodyStructure(extended: Bool)
    /// BODY[...], BODY.PEEK[...], RFC822, RFC822.HEADER, RFC822.TEXT.
    case body(BodySection)
    /// BINARY[...], BINARY.PEEK[...] (RFC 3516).
    case binary(BinarySection)
    /// BINARY.SIZE[...].
    case binarySize(part: [UInt32])
    /// RFC 7162 section 3.1.4.2.
    case modSeq
    /// RFC 8474 section 5.1.
    case emailID
    /// RFC 8474 section 5.2.
    case threadID
    /// RFC 8514 section 4.2.
    case saveDate
    /// RFC 8970 section 3.1; lazy: NIL where it is not at hand.
    case preview(lazy: Bool)
}

/// What a client wants of a message's octets, and how it called that.
package struct BodySection: Equatable, Sendable {
    /// Of a part, or of the whole message where `part` is empty.
    package enum Text: Equatable, Sendable {
        /// `[]` and `[1.2]`: all of it.
        case all
        /// HEADER.
        case header
        /// HEADER.FIELDS, with the names as the client wrote them.
        case headerFields([String])
        /// HEADER.FIELDS.NOT.
        case headerFieldsNot([String])
        /// TEXT.
        case text
        /// MIME; only of a part.
        case mime
    }

    /// Under which name the answer goes.
    package enum Name: Equatable, Sendable { case body, rfc822, rfc822Header, rfc822Text }

    /// Part numbers from the top; empty for the message itself.
    package var part: [UInt32]
    package var text: Text
    package var partial: PartialRange?
    /// Does not set `\Seen`.
    package var isPeek: Bool
    package var name: Name

    package init(
        part: [UInt32] = [], _ text: Text = .all, partial: PartialRange? = nil, isPeek: Bool = false, name: Name = .body
    ) {
        self.part = part
        self.text = text
        self.partial = partial
        self.isPeek = isPeek
        self.name = name
    }
}

/// A decoded part (RFC 3516, RFC 9051 section 6.4.5).
package struct BinarySection: Equatable, Sendable {
    package var part: [UInt32]
    package var partial: PartialRange?
    package var isPeek: Bool

    package init(part: [UInt32], partial: PartialRange? = nil, isPeek: Bool = false) {
        self.part = part
        self.partial = partial
        self.isPeek = isPeek
    }
}

/// `<offset.count>`: count is never 0. Both fit in 63 bits.
package struct PartialRange: Equatable, Sendable {
    package var offset: UInt64
    package var count: UInt64

    package init(offset: UInt64, count: UInt64) {
        self.offset = offset
        self.count = count
    }

    /// What of `octets` is meant; empty beyond the end.
    package func clamped(to octets: Int) -> Range<Int> {
        let start = Int(min(offset, UInt64(octets)))
        return start..<(start + Int(min(count, UInt64(octets - start))))
    }
}
