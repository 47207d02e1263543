// The rows of one account and of one mailbox in memory.
//
// Each object belongs to the `MemoryState` whose generation it carries and is changed by that one only; any other
// state shares it read-only and clones it before its first write. A clone is cheap: arrays and dictionaries are copied
// when they are first written, so a batch pays for the mailboxes it touches.
// Rejected: an undo journal, which would show readers what is not committed; one dictionary of all rows, which hashes
// for each access and must sort for each scan.
import MailCore
import MailTypes

/// Text compared and ordered by its octets, as keys of a store are; `String` compares by canonical equivalence.
struct OctetText: Hashable, Comparable {
    let text: String
    init(_ text: String) { self.text = text }
    static func == (a: Self, b: Self) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }
    static func < (a: Self, b: Self) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }
    func hash(into hasher: inout Hasher) {
        for octet in text.utf8 { hasher.combine(octet) }
        hasher.combine(0xFF as UInt8)
    }
}

/// A name below its parent.
struct ChildName: Hashable, Comparable {
    var parent: UInt32
    var leaf: OctetText
    static func < (a: Self, b: Self) -> Bool { a.parent == b.parent ? a.leaf < b.leaf : a.parent < b.parent }
}

final class AccountRows {
    let id: AccountID
    let generation: UInt64
    var head: AccountHead?
    /// Live, deleted and already collected ones.
    var mailboxes: [UInt32: MailboxRows] = [:]
    /// Identifiers of the live ones, ascending.
    var liveMailboxes: [UInt32] = []
    var names: [ChildName: MailboxID] = [:]
    var keywords: [UInt16: Keyword] = [:]
    var keywordIDs: [Keyword: KeywordID] = [:]
    var subscriptions: Set<OctetText> = []
    /// Ascending by identifier.
    var credentials: [CredentialRow] = []
    /// Ascending by identifier.
    var addresses: [AddressRow] = []
    var settings: [OctetText: String] = [:]
    /// By day: mailbox in the upper half, UID in the lower.
    var due: [UInt32: Set<UInt64>] = [:]

    init(_ id: AccountID, generation: UInt64) {
        self.id = id
        self.generation = generation
    }

    init(copying other: AccountRows, generation: UInt64) {
        id = other.id
        self.generation = generation
        head = other.head
        mailboxes = other.mailboxes
        liveMailboxes = other.liveMailboxes
        names = other.names
        keywords = other.keywords
        keywordIDs = other.keywordIDs
        subscriptions = other.subscriptions
        credentials = other.credentials
        addresses = other.addresses
        settings = other.settings
        due = other.due
    }

    func setLive(_ mailbox: MailboxID, _ isLive: Bool) {
        let raw = mailbox.rawValue
        // New mailboxes have the highest identifier so far, so this is the end of the array nearly always.
        var index = liveMailboxes.count
        while index > 0, liveMailboxes[index - 1] >= raw { index -= 1 }
        let isThere = index < liveMailboxes.count && liveMailboxes[index] == raw
        if isLive, !isThere { liveMailboxes.insert(raw, at: index) }
        if !isLive, isThere { liveMailboxes.remove(at: index) }
    }
}

final class MailboxRows {
    /// A message, or the place of one that is gone; 72 bytes.
    struct Slot {
        var row: MessageRow
        var isLive: Bool
        var uid: UInt32
    }

    let account: AccountID
    let id: MailboxID
    let generation: UInt64
    var row: MailboxRow?
    var tombstone: MailboxTombstone?
    /// Ascending by UID; removal marks, and the marked go when they are the majority.
    private(set) var slots: [Slot] = []
    private var goneSlots = 0
    var expunged: [UInt32: ExpungedRow] = [:]
    /// Ascending by position.
    private(set) var changes: [(position: ModSeq, row: ChangeRow)] = []
    var spilled: [UInt32: [KeywordID]] = [:]
    var uidls: [UInt32: String] = [:]

    init(_ account: AccountID, _ id: MailboxID, generation: UInt64) {
        self.account = account
        self.id = id
        self.generation = generation
    }

    init(copying other: MailboxRows, generation: UInt64) {
        account = other.account
        id = other.id
        self.generation = generation
        row = other.row
        tombstone = other.tombstone
        slots = other.slots
        goneSlots = other.goneSlots
        expunged = other.expunged
        changes = other.changes
        spilled = other.spilled
        uidls = other.uidls
    }

    func message(_ uid: UID) -> MessageRow? {
        guard let index = slotIndex(uid.rawValue), slots[index].isLive else { return nil }
        return slots[index].row
    }

    /// False when `isNew` was promised and an equal or higher UID is there.
    func setMessage(_ uid: UID, _ row: MessageRow, isNew: Bool) -> Bool {
        let raw = uid.rawValue
        if slots.isEmpty || slots[slots.count - 1].uid < raw {
            slots.append(Slot(row: row, isLive: true, uid: raw))
            return true
        }
        if isNew, slots[lowerBound(raw)...].contains(where: \.isLive) { return false }
        let index = lowerBound(raw)
        if slots[index].uid != raw {
            slots.insert(Slot(row: row, isLive: true, uid: raw), at: index)
            return true
        }
        if !slots[index].isLive { goneSlots -= 1 }
        slots[index].row = row
        slots[index].isLive = true
        return true
    }

    /// False when there is no such message.
    func removeMessage(_ uid: UID) -> Bool {
        guard let index = slotIndex(uid.rawValue), slots[index].isLive else { return false }
        slots[index].isLive = false
        goneSlots += 1
        if goneSlots > 32, goneSlots * 2 > slots.count {
            slots.removeAll { !$0.isLive }
            goneSlots = 0
        }
        return true
    }

    /// False when `position` is before one that is there.
    func addChange(_ position: ModSeq, _ row: ChangeRow) -> Bool {
        if let last = changes.last, last.position > position { return false }
        changes.append((position, row))
        return true
    }

    /// Index of the first change after `position`.
    func firstChange(after position: ModSeq) -> Int {
        var low = 0
        var high = changes.count
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].position <= position { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Index of the first slot at or above `uid`.
    func lowerBound(_ uid: UInt32) -> Int {
        if let index = guess(uid) { return index }
        var low = 0
        var high = slots.count
        while low < high {
            let middle = (low + high) / 2
            if slots[middle].uid < uid { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func slotIndex(_ uid: UInt32) -> Int? {
        let index = lowerBound(uid)
        return index < slots.count && slots[index].uid == uid ? index : nil
    }

    /// Where the UID is when none is missing below it.
    private func guess(_ uid: UInt32) -> Int? {
        guard let first = slots.first, uid >= first.uid else { return nil }
        let index = Int(uid - first.uid)
        return index < slots.count && slots[index].uid == uid ? index : nil
    }
}

/// Reference counts of a run of consecutive bodies.
final class ReferencePage {
    /// Bodies per page; a batch copies the pages it touches.
    static let bodies = 1024
    let generation: UInt64
    var counts: [UInt32]

    init(generation: UInt64) {
        self.generation = generation
        counts = Array(repeating: 0, count: Self.bodies)
    }

    init(copying other: ReferencePage, generation: UInt64) {
        self.generation = generation
        counts = other.counts
    }
}
