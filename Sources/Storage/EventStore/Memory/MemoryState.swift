// One shard's state in memory, typed: the state of the in-memory store, and what a rebuild folds a whole log into.
//
// Invariants: a frozen state never changes again and may be read from any thread; a state that is not frozen belongs to
// one thread. `fork` freezes and gives a successor that shares every object until it writes to it, so dropping the
// successor undoes a batch.
// Nothing is sorted while folding but what arrives in order anyway; the rest is sorted when it is asked for.
import MailCore
import MailTypes

// Sendable because a frozen state is immutable, its look-up caches included, and a state that is not frozen is used by
// the thread that made it.
package final class MemoryState: StateEditor, @unchecked Sendable {
    struct CommandKey: Hashable {
        var account: AccountID
        var command: CommandID
    }

    struct Remembered: Hashable {
        var position: ModSeq
        var day: UInt32
    }

    private let generation: UInt64
    private var isFrozen = false
    private(set) var accounts: [UInt32: AccountRows]
    /// Ascending. Every account of which a row was written.
    private(set) var accountOrder: [UInt32]
    private(set) var directory: [OctetText: AccountID]
    private(set) var following: AccountID
    private(set) var referencePages: [UInt64: ReferencePage]
    private(set) var queueEntries: [QueueID: QueueEntry]
    private(set) var remembered: [CommandKey: Remembered]
    private var rememberedFrom: UInt32

    // What was looked up last: consecutive events nearly always concern the same rows.
    private var lastAccount: AccountRows?
    private var lastMailbox: MailboxRows?
    private var lastPage: (number: UInt64, page: ReferencePage)?

    /// The empty state, before the first event.
    package init() {
        generation = 0
        accounts = [:]
        accountOrder = []
        directory = [:]
        following = .firstPersonal
        referencePages = [:]
        queueEntries = [:]
        remembered = [:]
        rememberedFrom = 0
    }

    private init(after other: MemoryState) {
        generation = other.generation + 1
        accounts = other.accounts
        accountOrder = other.accountOrder
        directory = other.directory
        following = other.following
        referencePages = other.referencePages
        queueEntries = other.queueEntries
        remembered = other.remembered
        rememberedFrom = other.rememberedFrom
    }

    /// From now on this state only answers.
    package func freeze() {
        // Other threads may be reading a state that is frozen already.
        if !isFrozen { isFrozen = true }
    }

    /// Freezes this state and gives one that starts equal to it and can be changed.
    package func fork() -> MemoryState {
        freeze()
        return MemoryState(after: self)
    }

    /// Takes over the rows of a state folded from the log of other accounts, which must not be used afterwards.
    package func absorb(_ other: MemoryState) throws(StateFault) {
        for (raw, rows) in other.accounts {
            guard accounts[raw] == nil else { throw .inconsistent("account \(raw) was folded twice") }
            insertAccount(AccountRows(copying: rows, generation: generation))
        }
        directory.merge(other.directory) { _, new in new }
        following = max(following, other.following)
        queueEntries.merge(other.queueEntries) { _, new in new }
        remembered.merge(other.remembered) { _, new in new }
        for (number, page) in other.referencePages {
            let mine = writablePage(number)
            for index in page.counts.indices { mine.counts[index] += page.counts[index] }
        }
    }

    // MARK: Objects

    func rows(_ account: AccountID) -> AccountRows? {
        if let lastAccount, lastAccount.id == account { return lastAccount }
        guard let rows = accounts[account.rawValue] else { return nil }
        if !isFrozen { lastAccount = rows }
        return rows
    }

    func rows(_ account: AccountID, _ mailbox: MailboxID) -> MailboxRows? {
        if let lastMailbox, lastMailbox.id == mailbox, lastMailbox.account == account { return lastMailbox }
        guard let rows = rows(account)?.mailboxes[mailbox.rawValue] else { return nil }
        if !isFrozen { lastMailbox = rows }
        return rows
    }

    private func writable(_ account: AccountID) -> AccountRows {
        if let lastAccount, lastAccount.id == account, lastAccount.generation == generation { return lastAccount }
        precondition(!isFrozen, "a frozen state cannot be changed")
        let rows: AccountRows
        if let existing = accounts[account.rawValue] {
            if existing.generation == generation {
                rows = existing
            } else {
                rows = AccountRows(copying: existing, generation: generation)
                accounts[account.rawValue] = rows
            }
        } else {
            rows = AccountRows(account, generation: generation)
            insertAccount(rows)
        }
        lastAccount = rows
        return rows
    }

    private func insertAccount(_ rows: AccountRows) {
        let raw = rows.id.rawValue
        accounts[raw] = rows
        var index = accountOrder.count
        while index > 0, accountOrder[index - 1] > raw { index -= 1 }
        accountOrder.insert(raw, at: index)
    }

    private func writable(_ account: AccountID, _ mailbox: MailboxID) -> MailboxRows {
        if let lastMailbox, lastMailbox.id == mailbox, lastMailbox.account == account,
            lastMailbox.generation == generation
        {
            return lastMailbox
        }
        let owner = writable(account)
        let rows: MailboxRows
        if let existing = owner.mailboxes[mailbox.rawValue] {
            rows =
                existing.generation == generation
                ? existing : MailboxRows(copying: existing, generation: generation)
        } else {
            rows = MailboxRows(account, mailbox, generation: generation)
        }
        owner.mailboxes[mailbox.rawValue] = rows
        lastMailbox = rows
        return rows
    }

    private func writablePage(_ number: UInt64) -> ReferencePage {
        if let lastPage, lastPage.number == number, lastPage.page.generation == generation { return lastPage.page }
        precondition(!isFrozen, "a frozen state cannot be changed")
        let page: ReferencePage
        if let existing = referencePages[number] {
            page =
                existing.generation == generation
                ? existing : ReferencePage(copying: existing, generation: generation)
        } else {
            page = ReferencePage(generation: generation)
        }
        referencePages[number] = page
        lastPage = (number, page)
        return page
    }

    // MARK: Editing

    package func setHead(_ account: AccountID, _ head: AccountHead) { writable(account).head = head }

    package func setNextAccount(_ account: AccountID) { following = account }

    package func setOwner(ofAddress key: String, _ account: AccountID?) { directory[OctetText(key)] = account }

    package func setAddress(_ account: AccountID, _ row: AddressRow) {
        let rows = writable(account)
        rows.addresses.removeAll { $0.id == row.id }
        rows.addresses.insert(row, at: rows.addresses.firstIndex { $0.id > row.id } ?? rows.addresses.count)
    }

    package func removeAddress(_ account: AccountID, id: UInt32) {
        writable(account).addresses.removeAll { $0.id == id }
    }

    package func setCredential(_ account: AccountID, _ row: CredentialRow) {
        let rows = writable(account)
        rows.credentials.removeAll { $0.id == row.id }
        rows.credentials.insert(row, at: rows.credentials.firstIndex { $0.id > row.id } ?? rows.credentials.count)
    }

    package func removeCredential(_ account: AccountID, id: UInt32) {
        writable(account).credentials.removeAll { $0.id == id }
    }

    package func setSetting(_ account: AccountID, _ key: String, _ value: String?) {
        writable(account).settings[OctetText(key)] = value
    }

    package func setSubscription(_ account: AccountID, _ name: String, _ on: Bool) {
        if on {
            writable(account).subscriptions.insert(OctetText(name))
        } else {
            writable(account).subscriptions.remove(OctetText(name))
        }
    }

    package func setMailbox(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxRow?) {
        let rows = writable(account, mailbox)
        if (rows.row == nil) != (row == nil) { writable(account).setLive(mailbox, row != nil) }
        rows.row = row
    }

    package func setMailboxID(_ account: AccountID, parent: MailboxID, leaf: String, _ mailbox: MailboxID?) {
        writable(account).names[ChildName(parent: parent.rawValue, leaf: OctetText(leaf))] = mailbox
    }

    package func setTombstone(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxTombstone?) {
        writable(account, mailbox).tombstone = row
    }

    package func setMessage(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: MessageRow, isNew: Bool)
        throws(StateFault)
    {
        guard writable(account, mailbox).setMessage(uid, row, isNew: isNew) else {
            throw .inconsistent("UID \(uid.rawValue) of mailbox \(mailbox.rawValue) is not above all others")
        }
    }

    package func removeMessage(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) throws(StateFault) {
        guard writable(account, mailbox).removeMessage(uid) else {
            throw .inconsistent("removal of UID \(uid.rawValue) of mailbox \(mailbox.rawValue), which is not there")
        }
    }

    package func setExpunged(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: ExpungedRow?) {
        writable(account, mailbox).expunged[uid.rawValue] = row
    }

    package func addChange(_ account: AccountID, _ mailbox: MailboxID, _ position: ModSeq, _ row: ChangeRow)
        throws(StateFault)
    {
        guard writable(account, mailbox).addChange(position, row) else {
            throw .inconsistent("change \(position.rawValue) of mailbox \(mailbox.rawValue) comes after a later one")
        }
    }

    package func setKeyword(_ account: AccountID, _ id: KeywordID, _ keyword: Keyword) {
        let rows = writable(account)
        rows.keywords[id.rawValue] = keyword
        rows.keywordIDs[keyword] = id
    }

    package func setSpilledKeywords(
        _ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ ids: [KeywordID]
    ) {
        if ids.isEmpty, rows(account, mailbox)?.spilled.isEmpty ?? true { return }
        writable(account, mailbox).spilled[uid.rawValue] = ids.isEmpty ? nil : ids
    }

    package func setUIDL(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ uidl: String?) {
        if uidl == nil, rows(account, mailbox)?.uidls.isEmpty ?? true { return }
        writable(account, mailbox).uidls[uid.rawValue] = uidl
    }

    package func adjustReferences(_ blob: BlobNumber, by delta: Int) throws(StateFault) {
        let page = writablePage(blob.rawValue / UInt64(ReferencePage.bodies))
        let index = Int(blob.rawValue % UInt64(ReferencePage.bodies))
        guard let count = UInt32(exactly: Int(page.counts[index]) + delta) else {
            throw .inconsistent("body \(blob.rawValue) has \(page.counts[index]) references, change by \(delta)")
        }
        page.counts[index] = count
    }

    package func scheduleCollection(day: UInt32, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID) {
        writable(account).due[day, default: []].insert(Self.packed(mailbox, uid))
    }

    package func cancelCollection(day: UInt32, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID) {
        let rows = writable(account)
        rows.due[day]?.remove(Self.packed(mailbox, uid))
        if rows.due[day]?.isEmpty ?? false { rows.due[day] = nil }
    }

    package func setQueueEntry(_ id: QueueID, _ entry: QueueEntry?) { queueEntries[id] = entry }

    static func packed(_ mailbox: MailboxID, _ uid: UID) -> UInt64 {
        UInt64(mailbox.rawValue) << 32 | UInt64(uid.rawValue)
    }

    // MARK: Retryable commands

    /// Days for which a retryable command is remembered, counted in log time.
    package static let rememberedDays: UInt32 = 7

    /// Remembers where the account stood after a retryable command, and forgets what is past the window.
    /// - Parameter day: the day of the command's record.
    package func remember(_ command: CommandID, _ account: AccountID, _ position: ModSeq, day: UInt32) {
        precondition(!isFrozen, "a frozen state cannot be changed")
        let from = day > Self.rememberedDays ? day - Self.rememberedDays : 0
        if from > rememberedFrom {
            rememberedFrom = from
            remembered = remembered.filter { $0.value.day >= from }
        }
        remembered[CommandKey(account: account, command: command)] = Remembered(position: position, day: day)
    }

    /// - Parameter day: the day of the newest record; what is older than the window is not found.
    package func outcome(of command: CommandID, _ account: AccountID, day: UInt32) -> ModSeq? {
        guard let found = remembered[CommandKey(account: account, command: command)],
            found.day + Self.rememberedDays >= day
        else { return nil }
        return found.position
    }

    /// References to a body; 0 when there is none.
    package func references(_ blob: BlobNumber) -> UInt32 {
        let page = referencePages[blob.rawValue / UInt64(ReferencePage.bodies)]
        return page?.counts[Int(blob.rawValue % UInt64(ReferencePage.bodies))] ?? 0
    }
}
