// Keys of the state tree: account, row type, suffix; all numbers big-endian, so that keys sort as numbers do.
//
// A prefix for a scan is the key up to the part that varies; the parsers take what follows the prefix.
import Digests
import MailCore
import MailTypes
import Octets

package enum StateKey {
    package static let headType: UInt8 = 0x00
    package static let mailboxType: UInt8 = 0x01
    package static let messageType: UInt8 = 0x02
    package static let changeType: UInt8 = 0x03
    package static let expungedType: UInt8 = 0x05
    package static let nameType: UInt8 = 0x06
    package static let keywordType: UInt8 = 0x07
    package static let keywordNameType: UInt8 = 0x08
    package static let subscriptionType: UInt8 = 0x09
    package static let personalType: UInt8 = 0x0A
    package static let spillType: UInt8 = 0x0B
    package static let uidlType: UInt8 = 0x0C
    package static let tombstoneType: UInt8 = 0x0E
    package static let ownerType: UInt8 = 0x10
    package static let nextAccountType: UInt8 = 0x11
    package static let queueEntryType: UInt8 = 0x20
    package static let queueDueType: UInt8 = 0x21

    private static let credentialKind: UInt8 = 1
    private static let addressKind: UInt8 = 2
    private static let settingKind: UInt8 = 3

    /// The key of a live or an expunged message.
    package static func isMessage(_ key: [UInt8]) -> Bool {
        key.count > 4 && (key[4] == messageType || key[4] == expungedType)
    }

    /// The key of a POP3 UIDL.
    package static func isUIDL(_ key: [UInt8]) -> Bool { key.count > 4 && key[4] == uidlType }

    // MARK: Account

    package static func head(_ account: AccountID) -> [UInt8] { start(account, headType, 0).bytes }

    /// Everything of one account.
    package static func account(_ account: AccountID) -> [UInt8] {
        var key = ByteWriter(capacity: 4)
        key.be(account.rawValue)
        return key.bytes
    }

    package static func credentials(_ account: AccountID) -> [UInt8] { kinded(account, credentialKind, 0).bytes }
    package static func credential(_ account: AccountID, id: UInt32) -> [UInt8] {
        var key = kinded(account, credentialKind, 4)
        key.be(id)
        return key.bytes
    }

    package static func addresses(_ account: AccountID) -> [UInt8] { kinded(account, addressKind, 0).bytes }
    package static func address(_ account: AccountID, id: UInt32) -> [UInt8] {
        var key = kinded(account, addressKind, 4)
        key.be(id)
        return key.bytes
    }

    package static func settings(_ account: AccountID) -> [UInt8] { kinded(account, settingKind, 0).bytes }
    package static func setting(_ account: AccountID, _ name: String) -> [UInt8] {
        var key = kinded(account, settingKind, name.utf8.count)
        key.keyText(name)
        return key.bytes
    }

    package static func subscriptions(_ account: AccountID) -> [UInt8] { start(account, subscriptionType, 0).bytes }
    package static func subscription(_ account: AccountID, _ name: String) -> [UInt8] {
        var key = start(account, subscriptionType, name.utf8.count)
        key.keyText(name)
        return key.bytes
    }

    // MARK: Mailbox

    package static func mailboxes(_ account: AccountID) -> [UInt8] { start(account, mailboxType, 0).bytes }
    package static func mailbox(_ account: AccountID, _ mailbox: MailboxID) -> [UInt8] {
        boxed(account, mailboxType, mailbox, 0).bytes
    }

    package static func tombstones(_ account: AccountID) -> [UInt8] { start(account, tombstoneType, 0).bytes }
    package static func tombstone(_ account: AccountID, _ mailbox: MailboxID) -> [UInt8] {
        boxed(account, tombstoneType, mailbox, 0).bytes
    }

    /// The children of `parent` by leaf.
    package static func names(_ account: AccountID, parent: MailboxID) -> [UInt8] {
        boxed(account, nameType, parent, 0).bytes
    }
    /// - Parameter leaf: at most `MailboxName.componentOctetsMax`.
    package static func name(_ account: AccountID, parent: MailboxID, leaf: String) -> [UInt8] {
        var key = boxed(account, nameType, parent, leaf.utf8.count)
        key.raw(leaf.utf8)
        return key.bytes
    }

    package static func keywords(_ account: AccountID) -> [UInt8] { start(account, keywordType, 0).bytes }
    package static func keyword(_ account: AccountID, _ id: KeywordID) -> [UInt8] {
        var key = start(account, keywordType, 2)
        key.be(id.rawValue)
        return key.bytes
    }
    package static func keywordName(_ account: AccountID, _ keyword: Keyword) -> [UInt8] {
        let folded = keyword.folded
        var key = start(account, keywordNameType, folded.utf8.count)
        key.raw(folded.utf8)
        return key.bytes
    }

    // MARK: Message

    package static func messages(_ account: AccountID, _ mailbox: MailboxID) -> [UInt8] {
        boxed(account, messageType, mailbox, 0).bytes
    }
    package static func message(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) -> [UInt8] {
        numbered(account, messageType, mailbox, uid)
    }

    package static func expungedMessages(_ account: AccountID, _ mailbox: MailboxID) -> [UInt8] {
        boxed(account, expungedType, mailbox, 0).bytes
    }
    package static func expunged(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) -> [UInt8] {
        numbered(account, expungedType, mailbox, uid)
    }

    package static func spills(_ account: AccountID, _ mailbox: MailboxID) -> [UInt8] {
        boxed(account, spillType, mailbox, 0).bytes
    }
    package static func spill(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) -> [UInt8] {
        numbered(account, spillType, mailbox, uid)
    }

    package static func uidls(_ account: AccountID, _ mailbox: MailboxID) -> [UInt8] {
        boxed(account, uidlType, mailbox, 0).bytes
    }
    package static func uidl(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) -> [UInt8] {
        numbered(account, uidlType, mailbox, uid)
    }

    package static func changes(_ account: AccountID, _ mailbox: MailboxID) -> [UInt8] {
        boxed(account, changeType, mailbox, 0).bytes
    }
    package static func change(
        _ account: AccountID, _ mailbox: MailboxID, _ position: ModSeq, part: UInt8
    ) -> [UInt8] {
        var key = boxed(account, changeType, mailbox, 9)
        key.be(position.rawValue)
        key.u8(part)
        return key.bytes
    }

    // MARK: Shard

    /// - Parameter text: an `Address.directoryKey`, or `*@domain`.
    package static func owner(_ text: String) -> [UInt8] {
        var key = start(.system, ownerType, text.utf8.count)
        key.keyText(text)
        return key.bytes
    }

    package static let nextAccount = start(.system, nextAccountType, 0).bytes

    package static let queueEntries = start(.queue, queueEntryType, 0).bytes
    package static func queueEntry(_ id: QueueID) -> [UInt8] {
        var key = start(.queue, queueEntryType, 8)
        key.be(id.rawValue)
        return key.bytes
    }

    package static let queueDuePrefix = start(.queue, queueDueType, 0).bytes
    package static func queueDue(_ nextAttempt: Timestamp, _ id: QueueID) -> [UInt8] {
        var key = start(.queue, queueDueType, 16)
        key.be(UInt64(bitPattern: nextAttempt.rawValue) ^ signBit)
        key.be(id.rawValue)
        return key.bytes
    }

    // MARK: Parsing

    /// Account and row type of any key; what follows them is left to the parser of the type.
    package static func parse(
        _ key: UnsafeRawBufferPointer
    ) throws(FormatError) -> (account: AccountID, type: UInt8, suffix: UnsafeRawBufferPointer) {
        var reader = ByteReader(key)
        let account = AccountID(try reader.be())
        let type = try reader.u8()
        return (account, type, try reader.slice(reader.remaining))
    }

    /// What follows `mailboxes` or `tombstones`.
    package static func parseMailbox(_ suffix: UnsafeRawBufferPointer) throws(FormatError) -> MailboxID {
        MailboxID(try only(suffix))
    }

    /// What follows `messages`, `expungedMessages`, `spills` or `uidls`.
    package static func parseUID(_ suffix: UnsafeRawBufferPointer) throws(FormatError) -> UID { UID(try only(suffix)) }

    /// What follows `credentials` or `addresses`.
    package static func parseID(_ suffix: UnsafeRawBufferPointer) throws(FormatError) -> UInt32 { try only(suffix) }

    /// What follows `keywords`.
    package static func parseKeyword(_ suffix: UnsafeRawBufferPointer) throws(FormatError) -> KeywordID {
        KeywordID(try only(suffix))
    }

    /// What follows `queueEntries`.
    package static func parseQueueEntry(_ suffix: UnsafeRawBufferPointer) throws(FormatError) -> QueueID {
        QueueID(try only(suffix))
    }

    /// What follows `names`.
    package static func parseLeaf(_ suffix: UnsafeRawBufferPointer) throws(FormatError) -> String {
        var reader = ByteReader(suffix)
        return try reader.rest()
    }

    /// What follows `changes`.
    package static func parseChange(
        _ suffix: UnsafeRawBufferPointer
    ) throws(FormatError) -> (position: ModSeq, part: UInt8) {
        var reader = ByteReader(suffix)
        let change = (position: ModSeq(try reader.be()), part: try reader.u8())
        try reader.end()
        return change
    }

    /// What follows `queueDuePrefix`.
    package static func parseQueueDue(
        _ suffix: UnsafeRawBufferPointer
    ) throws(FormatError) -> (nextAttempt: Timestamp, id: QueueID) {
        var reader = ByteReader(suffix)
        let biased: UInt64 = try reader.be()
        let due = (
            nextAttempt: try checkedTime(Int64(bitPattern: biased ^ signBit)), id: QueueID(try reader.be())
        )
        try reader.end()
        return due
    }

    private static let signBit: UInt64 = 1 << 63

    private static func only<T: FixedWidthInteger>(_ suffix: UnsafeRawBufferPointer) throws(FormatError) -> T {
        var reader = ByteReader(suffix)
        let number: T = try reader.be()
        try reader.end()
        return number
    }

    // MARK: Pieces

    private static func start(_ account: AccountID, _ type: UInt8, _ more: Int) -> ByteWriter {
        var key = ByteWriter(capacity: 5 + more)
        key.be(account.rawValue)
        key.u8(type)
        return key
    }

    private static func kinded(_ account: AccountID, _ kind: UInt8, _ more: Int) -> ByteWriter {
        var key = start(account, personalType, 1 + more)
        key.u8(kind)
        return key
    }

    private static func boxed(_ account: AccountID, _ type: UInt8, _ mailbox: MailboxID, _ more: Int) -> ByteWriter {
        var key = start(account, type, 4 + more)
        key.be(mailbox.rawValue)
        return key
    }

    private static func numbered(_ account: AccountID, _ type: UInt8, _ mailbox: MailboxID, _ uid: UID) -> [UInt8] {
        var key = boxed(account, type, mailbox, 4)
        key.be(uid.rawValue)
        return key.bytes
    }
}

/// Whether a text is too long to stand in a key as it is.
func isHashedInKeys(_ text: String) -> Bool { text.utf8.count > FormatLimits.keyTextOctetsMax }

extension ByteWriter {
    /// The text, or 0xFF (which no UTF-8 text contains) and its digest when it is too long for a key.
    fileprivate mutating func keyText(_ text: String) {
        guard isHashedInKeys(text) else { return raw(text.utf8) }
        u8(0xFF)
        SHA256Digest.of(Array(text.utf8)).withBytes { raw($0) }
    }
}
