// Values of the state tree: accounts and mailboxes. Each begins with a version byte; `StateValue+Messages.swift` has
// the rows of messages, changes and the queue.
//
// Encoders trust their rows, which evolve made from decoded events. Decoders trust nothing and never trap.
import Digests
import MailCore
import MailTypes
import Octets

/// An account's head with what this store keeps beside it.
package struct StoredHead: Hashable, Sendable {
    package var head: AccountHead
    /// Where the account's last event stands; 0 before the first.
    package var lastLSN: UInt64
    /// The account chain after the last event.
    package var chain: SHA256Digest
    package init(head: AccountHead, lastLSN: UInt64, chain: SHA256Digest) {
        self.head = head
        self.lastLSN = lastLSN
        self.chain = chain
    }
}

package enum StateValue {
    static let version: UInt8 = 1

    // MARK: Account

    package static let headOctets = 120

    package static func encode(_ stored: StoredHead) -> [UInt8] {
        let head = stored.head
        var out = start(headOctets)
        out.u8(head.status.rawValue)
        out.le(head.nextKeyword)
        out.le(head.nextMailbox)
        out.le(head.nextCredential)
        out.le(head.nextAddress)
        out.le(head.lastUIDValidity)
        out.le(head.retention.undeleteDays)
        out.le(head.retention.historyDays)
        out.le(head.aseq.rawValue)
        out.le(head.nextEmail)
        out.le(head.used.bytes)
        out.le(head.used.messages)
        out.le(head.quota.bytes)
        out.le(head.quota.messages)
        out.le(head.historyFloor.rawValue)
        out.le(stored.lastLSN)
        stored.chain.withBytes { out.raw($0) }
        return out.bytes
    }

    package static func decodeHead(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> StoredHead {
        var reader = try open(bytes)
        var head = AccountHead()
        head.status = try choice(try reader.u8(), "account status")
        head.nextKeyword = try reader.le()
        head.nextMailbox = try reader.le()
        head.nextCredential = try reader.le()
        head.nextAddress = try reader.le()
        head.lastUIDValidity = try reader.le()
        head.retention = Retention(undeleteDays: try reader.le(), historyDays: try reader.le())
        head.aseq = ModSeq(try reader.le())
        head.nextEmail = try reader.le()
        head.used = Quota(bytes: try reader.le(), messages: try reader.le())
        head.quota = Quota(bytes: try reader.le(), messages: try reader.le())
        head.historyFloor = ModSeq(try reader.le())
        let stored = StoredHead(head: head, lastLSN: try reader.le(), chain: try reader.digest())
        try reader.end()
        return stored
    }

    package static func encodeNextAccount(_ account: AccountID) -> [UInt8] { number(account.rawValue) }
    package static func decodeNextAccount(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> AccountID {
        AccountID(try number(bytes))
    }

    package static func encodeOwner(_ account: AccountID) -> [UInt8] { number(account.rawValue) }
    package static func decodeOwner(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> AccountID {
        AccountID(try number(bytes))
    }

    package static func encode(_ row: CredentialRow) -> [UInt8] {
        var out = start(22 + row.label.utf8.count + row.verifier.utf8.count)
        out.u8(row.scheme.rawValue)
        out.u8(row.scopes.rawValue)
        out.u8((row.expires == nil ? 0 : 1) | (row.lastUsed == nil ? 0 : 2))
        out.le(row.expires?.rawValue ?? 0)
        if let used = row.lastUsed { out.le(used.rawValue) }
        out.le(UInt16(row.label.utf8.count))
        out.raw(row.label.utf8)
        out.raw(row.verifier.utf8)
        return out.bytes
    }

    /// - Parameter id: from the key.
    package static func decodeCredential(
        _ bytes: UnsafeRawBufferPointer, id: UInt32
    ) throws(FormatError) -> CredentialRow {
        var reader = try open(bytes)
        let scheme: CredentialScheme = try choice(try reader.u8(), "credential scheme")
        let scopes = CredentialScopes(rawValue: try reader.u8())
        let flags = try reader.u8()
        let time = try reader.time()
        guard scopes.isSubset(of: .all), flags <= 3, flags & 1 == 1 || time.rawValue == 0 else {
            throw .invalid("credential row")
        }
        let used = flags & 2 == 2 ? try reader.time() : nil
        let label = try reader.text(Int(try reader.le(UInt16.self)))
        return CredentialRow(
            id: id, scheme: scheme, scopes: scopes, expires: flags & 1 == 1 ? time : nil, label: label,
            verifier: try reader.rest(), lastUsed: used)
    }

    package static func encode(_ row: AddressRow) -> [UInt8] {
        var out = start(2 + row.address.utf8.count)
        out.u8(row.kind.rawValue)
        out.raw(row.address.utf8)
        return out.bytes
    }

    /// - Parameter id: from the key.
    package static func decodeAddress(_ bytes: UnsafeRawBufferPointer, id: UInt32) throws(FormatError) -> AddressRow {
        var reader = try open(bytes)
        return AddressRow(id: id, kind: try choice(try reader.u8(), "address kind"), address: try reader.rest())
    }

    package static func encodeSetting(_ value: String) -> [UInt8] { text(value) }
    package static func decodeSetting(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> String {
        try text(bytes)
    }

    /// Empty unless the name is too long to stand in the key.
    package static func encodeSubscription(_ name: String) -> [UInt8] { isHashedInKeys(name) ? text(name) : [] }

    /// - Parameter keySuffix: what follows `StateKey.subscriptions` in the key.
    package static func decodeSubscription(
        _ bytes: UnsafeRawBufferPointer, keySuffix: UnsafeRawBufferPointer
    ) throws(FormatError) -> String {
        if !bytes.isEmpty { return try text(bytes) }
        var reader = ByteReader(keySuffix)
        return try reader.rest()
    }

    // MARK: Mailbox

    package static func encode(_ row: MailboxRow) -> [UInt8] {
        var out = start(64 + row.leaf.utf8.count)
        write(row, to: &out)
        return out.bytes
    }

    package static func decodeMailbox(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> MailboxRow {
        var reader = try open(bytes)
        return try mailbox(&reader)
    }

    package static func encode(_ tombstone: MailboxTombstone) -> [UInt8] {
        var out = start(88 + tombstone.row.leaf.utf8.count)
        out.zeros(3)
        out.le(tombstone.dueDay)
        out.le(tombstone.deleted.rawValue)
        out.le(tombstone.time.rawValue)
        out.u8(version)
        write(tombstone.row, to: &out)
        return out.bytes
    }

    package static func decodeTombstone(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> MailboxTombstone {
        var reader = try open(bytes)
        try reader.zeros(3)
        let dueDay: UInt32 = try reader.le()
        let deleted = ModSeq(try reader.le())
        let time = try reader.time()
        try reader.version(version)
        return MailboxTombstone(row: try mailbox(&reader), deleted: deleted, time: time, dueDay: dueDay)
    }

    /// All of the row but its version byte.
    private static func write(_ row: MailboxRow, to out: inout ByteWriter) {
        out.u8(row.specialUse?.rawValue ?? 0)
        out.zeros(2)
        out.le(row.parent.rawValue)
        out.le(row.uidValidity.rawValue)
        out.le(row.uidNext)
        out.le(row.exists)
        out.le(row.unseen)
        out.le(row.deleted)
        out.le(row.recentFloor)
        out.le(row.created.rawValue)
        out.le(row.highestModSeq.rawValue)
        out.le(row.bytes)
        out.le(row.lastExpunge.rawValue)
        out.raw(row.leaf.utf8)
    }

    private static func mailbox(_ reader: inout ByteReader) throws(FormatError) -> MailboxRow {
        let use = try reader.u8()
        try reader.zeros(2)
        var row = MailboxRow(
            parent: MailboxID(try reader.le()), leaf: "", specialUse: use == 0 ? nil : try choice(use, "special use"),
            uidValidity: UIDValidity(try reader.le()), created: .zero)
        row.uidNext = try reader.le()
        row.exists = try reader.le()
        row.unseen = try reader.le()
        row.deleted = try reader.le()
        row.recentFloor = try reader.le()
        row.created = ModSeq(try reader.le())
        row.highestModSeq = ModSeq(try reader.le())
        row.bytes = try reader.le()
        row.lastExpunge = ModSeq(try reader.le())
        row.leaf = try checkedLeaf(try reader.rest())
        return row
    }

    package static func encodeMailboxID(_ mailbox: MailboxID) -> [UInt8] { number(mailbox.rawValue) }
    package static func decodeMailboxID(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> MailboxID {
        MailboxID(try number(bytes))
    }

    package static func encodeKeyword(_ keyword: Keyword) -> [UInt8] { text(keyword.name) }
    package static func decodeKeyword(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> Keyword {
        guard let keyword = Keyword(try text(bytes)) else { throw .invalid("keyword") }
        return keyword
    }

    package static func encodeKeywordID(_ id: KeywordID) -> [UInt8] { number(id.rawValue) }
    package static func decodeKeywordID(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> KeywordID {
        KeywordID(try number(bytes))
    }

    // MARK: Pieces

    static func start(_ octets: Int) -> ByteWriter {
        var out = ByteWriter(capacity: octets)
        out.u8(version)
        return out
    }

    static func open(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> ByteReader {
        var reader = ByteReader(bytes)
        try reader.version(version)
        return reader
    }

    static func choice<T: RawRepresentable>(_ value: T.RawValue, _ what: String) throws(FormatError) -> T {
        guard let choice = T(rawValue: value) else { throw .invalid(what) }
        return choice
    }

    private static func number(_ number: some FixedWidthInteger) -> [UInt8] {
        var out = start(9)
        out.le(number)
        return out.bytes
    }

    private static func number<T: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> T {
        var reader = try open(bytes)
        let number: T = try reader.le()
        try reader.end()
        return number
    }

    private static func text(_ text: String) -> [UInt8] {
        var out = start(1 + text.utf8.count)
        out.raw(text.utf8)
        return out.bytes
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> String {
        var reader = try open(bytes)
        return try reader.rest()
    }
}
