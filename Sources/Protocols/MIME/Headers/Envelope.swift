// ENVELOPE (RFC 9051 section 7.5.2) in one run of octets, which is also its form in the parse cache. A listing makes
// hundreds of thousands of them, so reading one allocates nothing and hands out what stands in the run.
//
//     envelope  = string(date) string(subject) list(from) list(sender) list(reply-to) list(to) list(cc) list(bcc)
//                 string(in-reply-to) string(message-id)
//     string    = varint: 0 for NIL, otherwise octets + 1, then the octets
//     list      = 00 for NIL, 02 for the list of From, otherwise *(01 address) 00
//     address   = string(name) string(route) string(mailbox) string(host)
//
// Strings are unfolded and hold no CR, LF or NUL. Encoded words stay encoded.
import Octets

/// An address structure. A group begins with one without a host, and ends with one without a host and a mailbox.
package struct EmailAddress: Hashable, Sendable {
    package var name: [UInt8]?
    /// The source route of RFC 5322 section 4.4, as in `@a,@b`.
    package var route: [UInt8]?
    /// The local part without quotes, or the name of a group; empty where the message has none that can be read.
    package var mailbox: [UInt8]?
    /// Empty where the message has none.
    package var host: [UInt8]?

    package init(name: [UInt8]? = nil, route: [UInt8]? = nil, mailbox: [UInt8]? = nil, host: [UInt8]? = nil) {
        self.name = name
        self.route = route
        self.mailbox = mailbox
        self.host = host
    }

    package var isGroupStart: Bool { host == nil && mailbox != nil }
    package var isGroupEnd: Bool { host == nil && mailbox == nil }
}

package struct Envelope: Hashable, Sendable {
    /// In the order of the response.
    package enum Field: Int, CaseIterable, Sendable {
        case date, subject, from, sender, replyTo, to, cc, bcc, inReplyTo, messageID

        var isList: Bool { (Field.from.rawValue...Field.bcc.rawValue).contains(rawValue) }
    }

    /// What a reading comes across, in the order of the response.
    package enum Item {
        /// `date`, `subject`, `inReplyTo` and `messageID`; nil for NIL.
        case string(Field, UnsafeRawBufferPointer?)
        /// A list begins; `isNIL` when there is none, and no more of it comes.
        case list(Field, isNIL: Bool)
        case address(Address)
        /// A list that is not NIL ends.
        case listEnd
    }

    /// An address structure whose strings stand in the envelope: good for the length of the call.
    package struct Address {
        package var name: UnsafeRawBufferPointer?
        package var route: UnsafeRawBufferPointer?
        package var mailbox: UnsafeRawBufferPointer?
        package var host: UnsafeRawBufferPointer?
    }

    /// The form above.
    package let bytes: [UInt8]

    /// An envelope without any field.
    package init() { bytes = [UInt8](repeating: 0, count: Field.allCases.count) }

    /// Takes what `bytes` of another envelope held; nil when it does not have the form.
    package init?(bytes: [UInt8]) {
        guard bytes.withUnsafeBytes({ Envelope.read($0) { _ in } }) else { return nil }
        self.bytes = bytes
    }

    init(trusted bytes: [UInt8]) { self.bytes = bytes }

    /// Hands out every item in the order of the response.
    package func read(_ item: (Item) throws -> Void) rethrows {
        try bytes.withUnsafeBytes { _ = try Envelope.read($0, item) }
    }

    /// The same from the form alone. Answers false, at the place where it is so, when the octets do not have it.
    @discardableResult
    package static func read(
        _ bytes: UnsafeRawBufferPointer, _ item: (Item) throws -> Void
    ) rethrows -> Bool {
        var reader = EnvelopeReader(bytes)
        var from = 0
        for field in Field.allCases {
            guard field.isList else {
                guard reader.string() else { return false }
                try item(.string(field, reader.value))
                continue
            }
            if field == .from { from = reader.position }
            guard let kind = reader.octet() else { return false }
            var list = reader
            if kind == 2 {
                guard field == .sender || field == .replyTo else { return false }
                list.position = from
            } else {
                list.position -= 1
            }
            guard try Envelope.readList(&list, field, item) else { return false }
            if kind != 2 { reader = list }
        }
        return reader.isAtEnd
    }

    private static func readList(
        _ list: inout EnvelopeReader, _ field: Field, _ item: (Item) throws -> Void
    ) rethrows -> Bool {
        guard let kind = list.octet() else { return false }
        try item(.list(field, isNIL: kind == 0))
        guard kind != 0 else { return true }
        guard kind == 1 else { return false }
        while true {
            guard let address = list.address() else { return false }
            try item(.address(address))
            guard let next = list.octet() else { return false }
            guard next != 0 else { break }
            guard next == 1 else { return false }
        }
        try item(.listEnd)
        return true
    }
}

extension Envelope {
    package var date: [UInt8]? { string(.date) }
    package var subject: [UInt8]? { string(.subject) }
    package var inReplyTo: [UInt8]? { string(.inReplyTo) }
    package var messageID: [UInt8]? { string(.messageID) }
    package var from: [EmailAddress] { addresses(.from) }
    package var sender: [EmailAddress] { addresses(.sender) }
    package var replyTo: [EmailAddress] { addresses(.replyTo) }
    package var to: [EmailAddress] { addresses(.to) }
    package var cc: [EmailAddress] { addresses(.cc) }
    package var bcc: [EmailAddress] { addresses(.bcc) }

    /// A copy of one of the strings.
    package func string(_ field: Field) -> [UInt8]? {
        bytes.withUnsafeBytes { Envelope.string(field, in: $0).map { [UInt8]($0) } }
    }

    /// One of the strings of an envelope in its form.
    package static func string(_ field: Field, in bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard var reader = EnvelopeReader(bytes, at: field), reader.string() else { return nil }
        return reader.value
    }

    /// The first address of a list of an envelope in its form; nil when the list is NIL.
    package static func firstAddress(_ field: Field, in bytes: UnsafeRawBufferPointer) -> Address? {
        guard var reader = EnvelopeReader(bytes, at: field) else { return nil }
        return reader.next()
    }

    /// Copies of the addresses of one list, groups included.
    package func addresses(_ field: Field) -> [EmailAddress] {
        var found: [EmailAddress] = []
        var isWanted = false
        read { item in
            switch item {
            case .list(let list, _): isWanted = list == field
            case .address(let address) where isWanted:
                found.append(
                    EmailAddress(
                        name: address.name.map { [UInt8]($0) }, route: address.route.map { [UInt8]($0) },
                        mailbox: address.mailbox.map { [UInt8]($0) }, host: address.host.map { [UInt8]($0) }))
            default: break
            }
        }
        return found
    }
}

/// Steps over the form of an envelope.
struct EnvelopeReader {
    private let bytes: UnsafeRawBufferPointer
    var position = 0
    /// What `string` read.
    private(set) var value: UnsafeRawBufferPointer?

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    @inline(__always)
    mutating func octet() -> UInt8? {
        guard position < bytes.count else { return nil }
        position += 1
        return bytes[position - 1]
    }

    /// Whether there was one; it is then in `value`.
    @inline(__always)
    mutating func string() -> Bool {
        guard let first = octet() else { return false }
        var length = Int(first)
        if first >= 0x80 {
            length = Int(first & 0x7F)
            var shift = 7
            while true {
                guard shift <= 28, let next = octet() else { return false }
                length |= Int(next & 0x7F) << shift
                shift += 7
                if next < 0x80 { break }
            }
        }
        guard length > 0 else {
            value = nil
            return true
        }
        guard length - 1 <= bytes.count - position else { return false }
        value = UnsafeRawBufferPointer(rebasing: bytes[position..<position + length - 1])
        position += length - 1
        return true
    }

    /// At the beginning of a field: a string, or the first address of a list. Nil when there is none, or the octets do not
    /// have the form.
    init?(_ bytes: UnsafeRawBufferPointer, at field: Envelope.Field) {
        self.init(bytes)
        var from = 0
        for before in Envelope.Field.allCases {
            if before == .from { from = position }
            if before == field { break }
            guard before.isList ? skipList() : string() else { return nil }
        }
        if field.isList, position < bytes.count, bytes[position] == 2 { position = from }
    }

    private mutating func skipList() -> Bool {
        while true {
            guard let kind = octet() else { return false }
            if kind != 1 { return true }
            for _ in 0..<4 { guard string() else { return false } }
        }
    }

    /// The next address of the list.
    @inline(__always)
    mutating func next() -> Envelope.Address? { octet() == 1 ? address() : nil }

    @inline(__always)
    mutating func address() -> Envelope.Address? {
        guard string() else { return nil }
        let name = value
        guard string() else { return nil }
        let route = value
        guard string() else { return nil }
        let mailbox = value
        guard string() else { return nil }
        return Envelope.Address(name: name, route: route, mailbox: mailbox, host: value)
    }
}
