// Readers and batches of the in-memory store answer from a `MemoryState`; these are the doors, once for both.
import MailCore
import MailTypes

/// Answers all that a `StateReader` must from one in-memory state.
package protocol MemoryBacked: StateReader {
    var state: MemoryState { get }
}

extension MemoryBacked {
    package func head(_ account: AccountID) -> AccountHead? { state.head(account) }
    package func accounts(_ body: (AccountID, AccountHead) -> Bool) { state.accounts(body) }
    package func nextAccount() -> AccountID { state.nextAccount() }
    package func owner(ofAddress key: String) -> AccountID? { state.owner(ofAddress: key) }
    package func addresses(_ account: AccountID) -> [AddressRow] { state.addresses(account) }
    package func credentials(_ account: AccountID) -> [CredentialRow] { state.credentials(account) }
    package func setting(_ account: AccountID, _ key: String) -> String? { state.setting(account, key) }
    package func subscriptions(_ account: AccountID) -> [String] { state.subscriptions(account) }
    package func mailbox(_ account: AccountID, _ mailbox: MailboxID) -> MailboxRow? { state.mailbox(account, mailbox) }
    package func mailboxID(_ account: AccountID, parent: MailboxID, leaf: String) -> MailboxID? {
        state.mailboxID(account, parent: parent, leaf: leaf)
    }
    package func mailboxes(_ account: AccountID, _ body: (MailboxID, MailboxRow) -> Bool) {
        state.mailboxes(account, body)
    }
    package func tombstone(_ account: AccountID, _ mailbox: MailboxID) -> MailboxTombstone? {
        state.tombstone(account, mailbox)
    }
    package func message(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) -> MessageRow? {
        state.message(account, mailbox, uid)
    }
    package func messages(
        _ account: AccountID, _ mailbox: MailboxID, from first: UID, _ body: (UID, MessageRow) -> Bool
    ) {
        state.messages(account, mailbox, from: first, body)
    }
    package func expunged(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) -> ExpungedRow? {
        state.expunged(account, mailbox, uid)
    }
    package func changes(
        _ account: AccountID, _ mailbox: MailboxID, after position: ModSeq, _ body: (ModSeq, ChangeRow) -> Bool
    ) {
        state.changes(account, mailbox, after: position, body)
    }
    package func keyword(_ account: AccountID, _ id: KeywordID) -> Keyword? { state.keyword(account, id) }
    package func keywordID(_ account: AccountID, _ keyword: Keyword) -> KeywordID? {
        state.keywordID(account, keyword)
    }
    package func spilledKeywords(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) -> [KeywordID] {
        state.spilledKeywords(account, mailbox, uid)
    }
    package func uidls(_ account: AccountID, _ mailbox: MailboxID, _ body: (UID, String) -> Bool) {
        state.uidls(account, mailbox, body)
    }
    package func queueEntry(_ id: QueueID) -> QueueEntry? { state.queueEntry(id) }
    package func queue(_ body: (QueueID, QueueEntry) -> Bool) { state.queue(body) }
    package func collectable(through day: UInt32, _ body: (UInt32, AccountID, MailboxID, UID) -> Bool) {
        state.collectable(through: day, body)
    }
}

/// The committed state and log, as they were when reading began.
final class MemoryReader: ShardReader, MemoryBacked {
    private let image: MemoryImage
    var state: MemoryState { image.state }
    var head: Cursor { image.log.last?.cursor ?? .start }

    init(_ image: MemoryImage) { self.image = image }

    func log(after cursor: Cursor, _ body: (LoggedEvent) -> Bool) {
        var low = 0
        var high = image.log.count
        while low < high {
            let middle = (low + high) / 2
            if image.log[middle].cursor <= cursor { low = middle + 1 } else { high = middle }
        }
        for index in low..<image.log.count where !body(image.log[index]) { return }
    }

    func history(_ account: AccountID, _ body: (LoggedEvent) -> Bool) {
        guard let positions = image.histories[account.rawValue] else { return }
        for index in positions.reversed() where !body(image.log[index]) { return }
    }

    func outcome(of command: CommandID, _ account: AccountID) -> ModSeq? {
        state.outcome(of: command, account, day: image.day)
    }

    func body(_ blob: BlobNumber) -> BodyReference? { image.bodies[blob]?.reference }
}
