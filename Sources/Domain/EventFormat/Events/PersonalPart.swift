// The personal fields of events: how they are written, and what they read as once they are erased.
import MailCore
import MailTypes
import Octets

extension ByteWriter {
    /// Writes nothing for an event without personal fields.
    mutating func personalPart(of event: Event) {
        switch event {
        case .accountCreated(let event):
            field(1, event.loginName)
            field(2, event.displayName)
        case .credentialSet(let row):
            field(1, row.label)
            field(2, row.verifier)
        case .addressAdded(let row): field(1, row.address)
        case .sessionOpened(let event):
            field(1, event.clientAddress)
            field(2, event.client)
        case .settingSet(_, let value): optionalField(1, value)
        case .mailboxCreated(let event): field(1, event.leaf)
        case .mailboxRenamed(let event): field(1, event.newLeaf)
        case .subscriptionChanged(let name, _): field(1, name)
        case .keywordDefined(_, let keyword): field(1, keyword.name)
        case .messageAppended(let event):
            optionalField(1, event.envelopeFrom)
            optionalField(2, event.envelopeTo)
        case .queueAccepted(let event):
            field(1, event.mailFrom)
            field(2, list: event.recipients)
            field(3, event.wishes.envelopeID)
            field(4, list: event.originals)
        case .queueAttempted(let result), .queueDelivered(let result), .queueDeferred(let result),
            .queueBounced(let result):
            field(1, result.remoteHost)
            field(2, result.text)
        case .accountStatusSet, .credentialRevoked, .credentialUsed, .addressRemoved, .quotaSet, .retentionPolicySet,
            .mailboxDeleted,
            .specialUseSet, .uidValidityBumped, .uidNextRaised, .recentClaimed, .flagsChanged, .messagesExpunged,
            .messagesCopied, .messagesMoved, .messageRestored, .messagesCollected, .queueRemoved, .queueRescheduled,
            .shardOpened,
            .clockStepped:
            break
        }
    }
}

/// Reads personal fields, or answers with what stands for them once they are erased.
struct PersonalFields {
    static let saltOctets = 16
    static let octetsMin = 32

    let isErased: Bool
    private var fields: FieldReader

    /// - Parameter part: the whole part, salt and padding included; empty when the record has none.
    init(_ part: UnsafeRawBufferPointer, isErased: Bool) throws(FormatError) {
        self.isErased = isErased
        if part.isEmpty || isErased {
            // An erased part is a digest and zeros.
            guard part.dropFirst(32).allSatisfy({ $0 == 0 }) else { throw .invalid("erased part") }
            fields = try FieldReader(UnsafeRawBufferPointer(start: nil, count: 0))
        } else {
            fields = try FieldReader(
                UnsafeRawBufferPointer(rebasing: part[Self.saltOctets...]), allowsPadding: part.count == Self.octetsMin)
        }
    }

    mutating func text(_ number: UInt8, erased: @autoclosure () -> String = "") throws(FormatError) -> String {
        isErased ? erased() : try fields.text(number)
    }

    mutating func optionalText(_ number: UInt8) throws(FormatError) -> String? {
        try fields.optionalText(number)
    }

    /// - Parameter count: how many there must be, which the open part says.
    mutating func texts(_ number: UInt8, count: Int, erased: (Int) -> String) throws(FormatError) -> [String] {
        if isErased { return (0..<count).map(erased) }
        let texts = try fields.texts(number)
        guard texts.count == count else { throw .invalid("count of field \(number)") }
        return texts
    }

    /// None, or as many as there must be.
    mutating func optionalTexts(_ number: UInt8, count: Int) throws(FormatError) -> [String] {
        let texts = try fields.texts(number)
        guard texts.isEmpty || texts.count == count else { throw .invalid("count of field \(number)") }
        return texts
    }

    mutating func finish() throws(FormatError) { try fields.finish() }
}

/// What erased fields read as; unique where the domain needs them to differ.
enum Placeholder {
    static func login(_ account: AccountID) -> String { "erased-\(account.rawValue)@erased.invalid" }

    static func label(_ credential: UInt32) -> String { "erased-\(credential)" }

    static func address(_ account: AccountID, _ id: UInt32, _ kind: AddressKind) -> String {
        kind == .catchAll
            ? "*@erased-\(account.rawValue)-\(id).invalid" : "erased-\(account.rawValue)-\(id)@erased.invalid"
    }

    static func leaf(_ mailbox: MailboxID) -> String { "erased-\(mailbox.rawValue)" }

    static func subscription(_ account: AccountID, _ position: ModSeq) -> String {
        "erased-\(account.rawValue)-\(position.rawValue)"
    }

    static func keyword(_ id: KeywordID) -> String { "erased-\(id.rawValue)" }

    static func recipient(_ id: QueueID, _ index: Int) -> String { "erased-\(id.rawValue)-\(index)@erased.invalid" }
}
