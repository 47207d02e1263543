// The doors through which decide and evolve see the folded state. LMDB, memory and the rebuild each implement them.
//
// They speak of one shard's accounts by value; nothing borrowed from a store leaves through them.
import MailTypes

/// The state could not be read or written, or contradicts itself. Never a client's fault.
package enum StateFault: Error, Equatable, Sendable {
    /// A row or record does not hold what its format says; names the row.
    case corrupt(String)
    /// An event refers to what does not exist; names the event and the row.
    case inconsistent(String)
    /// The store below failed.
    case storage(String)
    /// No space is left where the store lives.
    case full
}

/// Reads one consistent state of a shard.
package protocol StateReader: AnyObject {
    func head(_ account: AccountID) throws(StateFault) -> AccountHead?
    /// Calls `body` with every account that was ever created, ascending, until it answers false.
    func accounts(_ body: (AccountID, AccountHead) -> Bool) throws(StateFault)
    /// The identifier the next account gets.
    func nextAccount() throws(StateFault) -> AccountID
    /// The account that receives for `key`, an `Address.directoryKey` or `*@domain`.
    func owner(ofAddress key: String) throws(StateFault) -> AccountID?
    func addresses(_ account: AccountID) throws(StateFault) -> [AddressRow]
    func credentials(_ account: AccountID) throws(StateFault) -> [CredentialRow]
    func setting(_ account: AccountID, _ key: String) throws(StateFault) -> String?
    func subscriptions(_ account: AccountID) throws(StateFault) -> [String]

    func mailbox(_ account: AccountID, _ mailbox: MailboxID) throws(StateFault) -> MailboxRow?
    func mailboxID(_ account: AccountID, parent: MailboxID, leaf: String) throws(StateFault) -> MailboxID?
    /// Ascending by identifier.
    func mailboxes(_ account: AccountID, _ body: (MailboxID, MailboxRow) -> Bool) throws(StateFault)
    func tombstone(_ account: AccountID, _ mailbox: MailboxID) throws(StateFault) -> MailboxTombstone?

    func message(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) throws(StateFault) -> MessageRow?
    /// Ascending from `first`, until `body` answers false.
    func messages(_ account: AccountID, _ mailbox: MailboxID, from first: UID, _ body: (UID, MessageRow) -> Bool)
        throws(StateFault)
    /// Those of a set, ascending from `first`, until `body` answers false. Its cost is what is there, however wide the
    /// set and its gaps.
    func messages(
        _ account: AccountID, _ mailbox: MailboxID, in uids: UIDSet, from first: UID, _ body: (UID, MessageRow) -> Bool)
        throws(StateFault)
    func expunged(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) throws(StateFault) -> ExpungedRow?
    /// Ascending by position, those after `position` only. One event may come in several consecutive calls.
    func changes(
        _ account: AccountID, _ mailbox: MailboxID, after position: ModSeq, _ body: (ModSeq, ChangeRow) -> Bool)
        throws(StateFault)
    func keyword(_ account: AccountID, _ id: KeywordID) throws(StateFault) -> Keyword?
    func keywordID(_ account: AccountID, _ keyword: Keyword) throws(StateFault) -> KeywordID?
    /// Keywords of a message beyond the inline ones, ascending.
    func spilledKeywords(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) throws(StateFault) -> [KeywordID]

    /// POP3 UIDLs that messages of a mailbox came with, live or expunged; ascending by UID.
    func uidls(_ account: AccountID, _ mailbox: MailboxID, _ body: (UID, String) -> Bool) throws(StateFault)

    func queueEntry(_ id: QueueID) throws(StateFault) -> QueueEntry?
    /// Entries by the moment of their next attempt, ascending.
    func queue(_ body: (QueueID, QueueEntry) -> Bool) throws(StateFault)
    /// Messages whose retention ends on or before `day`, ascending by day; UID 0 means a whole deleted mailbox.
    func collectable(through day: UInt32, _ body: (UInt32, AccountID, MailboxID, UID) -> Bool) throws(StateFault)
}

/// Changes one shard's state. Only `evolve` calls it.
package protocol StateEditor: StateReader {
    func setHead(_ account: AccountID, _ head: AccountHead) throws(StateFault)
    func setNextAccount(_ account: AccountID) throws(StateFault)
    func setOwner(ofAddress key: String, _ account: AccountID?) throws(StateFault)
    func setAddress(_ account: AccountID, _ row: AddressRow) throws(StateFault)
    func removeAddress(_ account: AccountID, id: UInt32) throws(StateFault)
    func setCredential(_ account: AccountID, _ row: CredentialRow) throws(StateFault)
    func removeCredential(_ account: AccountID, id: UInt32) throws(StateFault)
    func setSetting(_ account: AccountID, _ key: String, _ value: String?) throws(StateFault)
    func setSubscription(_ account: AccountID, _ name: String, _ on: Bool) throws(StateFault)

    func setMailbox(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxRow?) throws(StateFault)
    func setMailboxID(_ account: AccountID, parent: MailboxID, leaf: String, _ mailbox: MailboxID?) throws(StateFault)
    func setTombstone(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxTombstone?) throws(StateFault)

    /// `isNew` says that no row with an equal or higher UID exists in the mailbox, so that it can be appended.
    func setMessage(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: MessageRow, isNew: Bool)
        throws(StateFault)
    func removeMessage(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) throws(StateFault)
    func setExpunged(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: ExpungedRow?) throws(StateFault)
    func addChange(_ account: AccountID, _ mailbox: MailboxID, _ position: ModSeq, _ row: ChangeRow) throws(StateFault)
    func setKeyword(_ account: AccountID, _ id: KeywordID, _ keyword: Keyword) throws(StateFault)
    func setSpilledKeywords(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ ids: [KeywordID])
        throws(StateFault)
    func setUIDL(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ uidl: String?) throws(StateFault)

    /// Counts a reference to a body; at 0 its bytes are dead.
    func adjustReferences(_ blob: BlobNumber, by delta: Int) throws(StateFault)
    func scheduleCollection(day: UInt32, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID) throws(StateFault)
    func cancelCollection(day: UInt32, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID) throws(StateFault)
    func setQueueEntry(_ id: QueueID, _ entry: QueueEntry?) throws(StateFault)
}

extension StateReader {
    package func messages(
        _ account: AccountID, _ mailbox: MailboxID, in uids: UIDSet, from first: UID, _ body: (UID, MessageRow) -> Bool
    ) throws(StateFault) {
        for run in uids.runs where run.upperBound >= first.rawValue {
            let low = max(run.lowerBound, first.rawValue)
            var goesOn = true
            if low == run.upperBound {
                if let row = try message(account, mailbox, UID(low)) { goesOn = body(UID(low), row) }
            } else {
                try messages(account, mailbox, from: UID(low)) { uid, row in
                    guard uid.rawValue <= run.upperBound else { return false }
                    goesOn = body(uid, row)
                    return goesOn
                }
            }
            guard goesOn else { return }
        }
    }

    /// The mailbox of that full name.
    package func mailboxID(_ account: AccountID, named name: MailboxName) throws(StateFault) -> MailboxID? {
        var parent = MailboxID.root
        for component in name.components {
            guard let next = try mailboxID(account, parent: parent, leaf: component) else { return nil }
            parent = next
        }
        return parent
    }

    /// The full name of a live mailbox.
    package func name(_ account: AccountID, of mailbox: MailboxID) throws(StateFault) -> MailboxName? {
        var components: [String] = []
        var current = mailbox
        while current != .root {
            guard components.count < MailboxName.depthMax, let row = try self.mailbox(account, current) else {
                return nil
            }
            components.append(row.leaf)
            current = row.parent
        }
        return MailboxName(components: components.reversed())
    }

    /// All keywords of a message.
    package func keywords(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: MessageRow)
        throws(StateFault) -> [KeywordID]
    {
        var ids = (0..<MessageRow.inlineKeywordsMax).filter { row.keywordBits >> UInt64($0) & 1 == 1 }.map {
            KeywordID($0)
        }
        if row.keywordBits & MessageRow.spillBit != 0 {
            ids.append(contentsOf: try spilledKeywords(account, mailbox, uid))
        }
        return ids
    }

    /// POP3 UIDLs that messages of a mailbox came with, live or expunged.
    package func uidls(_ account: AccountID, _ mailbox: MailboxID) throws(StateFault) -> [UID: String] {
        var found: [UID: String] = [:]
        try uidls(account, mailbox) { uid, uidl in
            found[uid] = uidl
            return true
        }
        return found
    }
}

extension StateReader {
    /// The account that receives for an address, in whichever form it was written down.
    package func owner(of address: Address) throws(StateFault) -> AccountID? {
        for key in address.directoryKeys {
            if let owner = try owner(ofAddress: key) { return owner }
        }
        return nil
    }

    /// The address an account was made with.
    package func primaryAddress(_ account: AccountID) throws(StateFault) -> String? {
        try addresses(account).first { $0.kind == .primary }?.address
    }
}
