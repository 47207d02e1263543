// Rows as lines that begin with their keys in hexadecimal, so that the order of lines is the order of keys.
import EventStore
import MailCore
import MailTypes

struct KeyLines: RowVisitor {
    private(set) var lines: [String] = []

    private mutating func add(_ account: AccountID, _ type: UInt8, _ key: [UInt8], _ row: Any) {
        let bytes = big(account.rawValue) + [type] + key
        lines.append(bytes.map { hexadecimal($0) }.joined() + " \(row)")
    }

    private func hexadecimal(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    private func big<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        (0..<T.bitWidth / 8).reversed().map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
    }

    mutating func head(_ account: AccountID, _ row: AccountHead) { add(account, 0, [], row) }
    mutating func mailbox(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxRow) {
        add(account, 1, big(mailbox.rawValue), row)
    }
    mutating func message(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: MessageRow) {
        add(account, 2, big(mailbox.rawValue) + big(uid.rawValue), row)
    }
    mutating func change(_ account: AccountID, _ mailbox: MailboxID, _ position: ModSeq, _ row: ChangeRow) {
        add(account, 3, big(mailbox.rawValue) + big(position.rawValue), row)
    }
    mutating func expunged(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: ExpungedRow) {
        add(account, 5, big(mailbox.rawValue) + big(uid.rawValue), row)
    }
    mutating func name(_ account: AccountID, parent: MailboxID, leaf: String, _ mailbox: MailboxID) {
        add(account, 6, big(parent.rawValue) + leaf.utf8, mailbox)
    }
    mutating func keyword(_ account: AccountID, _ id: KeywordID, _ keyword: Keyword) {
        add(account, 7, big(id.rawValue), keyword)
    }
    mutating func keywordID(_ account: AccountID, _ keyword: Keyword, _ id: KeywordID) {
        add(account, 8, Array(keyword.folded.utf8), id)
    }
    mutating func subscription(_ account: AccountID, _ name: String) { add(account, 9, Array(name.utf8), "") }
    mutating func credential(_ account: AccountID, _ row: CredentialRow) { add(account, 10, [1] + big(row.id), row) }
    mutating func address(_ account: AccountID, _ row: AddressRow) { add(account, 10, [2] + big(row.id), row) }
    mutating func setting(_ account: AccountID, _ key: String, _ value: String) {
        add(account, 10, [3] + key.utf8, value)
    }
    mutating func spilledKeywords(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ ids: [KeywordID]) {
        add(account, 11, big(mailbox.rawValue) + big(uid.rawValue), ids)
    }
    mutating func uidl(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ uidl: String) {
        add(account, 12, big(mailbox.rawValue) + big(uid.rawValue), uidl)
    }
    mutating func tombstone(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxTombstone) {
        add(account, 14, big(mailbox.rawValue), row)
    }
    mutating func nextAccount(_ account: AccountID) { add(.system, 15, [], account) }
    mutating func owner(ofAddress key: String, _ account: AccountID) { add(.system, 16, Array(key.utf8), account) }
    mutating func queueEntry(_ id: QueueID, _ entry: QueueEntry) { add(.queue, 17, big(id.rawValue), entry) }
}
