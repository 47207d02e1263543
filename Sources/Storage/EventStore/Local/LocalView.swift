// Reading one shard inside a transaction: rows by value, nothing borrowed leaves.
//
// The same class serves snapshots and, as the base of `LocalEditor`, the open write transaction, so decide sees exactly
// what queries will see once the batch is committed. What is folded and not in LMDB yet lies over its tables.
import EventFormat
import Glibc
import LMDB
import MailCore
import MailTypes
import Octets

/// The named databases of a shard (docs/formats/event-log.md, "Tables").
struct LocalTables: Sendable {
    let log: Database
    let blob: Database
    let state: Database
    let dedup: Database
    let gc: Database
    let meta: Database
    /// A rebuild fills the other name and switches.
    let stateName: String

    /// The row of `meta` that names the state tree in use.
    static let stateNameKey = Array("schema.state".utf8)

    /// The row of `meta` that is there when each UIDL of the log has its row. A store that was raised from format 3 lacks it
    /// until its tree is made anew.
    static let uidlsCompleteKey = Array("state.uidls".utf8)

    func hasAllUIDLs(_ transaction: Transaction) throws(LMDBError) -> Bool {
        try transaction.getBytes(meta, key: Self.uidlsCompleteKey) != nil
    }

    func markUIDLsComplete(_ write: WriteTransaction) throws(LMDBError) {
        try write.put(meta, Self.uidlsCompleteKey, [1])
    }

    static func otherStateName(than name: String) -> String { name == "state.1" ? "state.2" : "state.1" }

    subscript(table: DerivedTable) -> Database {
        switch table {
        case .state: state
        case .blob: blob
        case .dedup: dedup
        case .gc: gc
        }
    }

    static func open(_ environment: Environment, create: Bool) throws(LMDBError) -> LocalTables {
        let meta = try environment.openDatabase("meta", create: create)
        let stored: [UInt8]?
        do {
            stored = try environment.read { try $0.getBytes(meta, key: stateNameKey) }
        } catch {
            throw error as? LMDBError ?? LMDBError(code: EIO, operation: "read the name of the state tree")
        }
        let name = stored.map { String(decoding: $0, as: UTF8.self) } ?? "state.1"
        return LocalTables(
            log: try environment.openDatabase("log", create: create),
            blob: try environment.openDatabase("blob", create: create),
            state: try environment.openDatabase(name, create: create),
            dedup: try environment.openDatabase("dedup", create: create),
            gc: try environment.openDatabase("gc", create: create), meta: meta, stateName: name)
    }
}

/// How many days a retryable command is remembered.
let dedupWindowDays: UInt32 = 7

class LocalView: StateReader {
    final var derived: DerivedRows
    final var transaction: Transaction { derived.transaction }
    final var tables: LocalTables { derived.tables }

    init(_ derived: DerivedRows) { self.derived = derived }

    // MARK: Rows, with errors in the domain's words

    final func faulting<R>(_ what: @autoclosure () -> String, _ body: () throws -> R) throws(StateFault) -> R {
        do {
            return try body()
        } catch let error as StateFault {
            throw error
        } catch let error as LMDBError {
            throw error.isNoSpace || error.isMapFull ? .full : .storage("\(what()): \(error)")
        } catch let error as FormatError {
            throw .corrupt("\(what()): \(error)")
        } catch {
            throw .storage("\(what()): \(error)")
        }
    }

    final func row<R>(
        _ key: [UInt8], _ what: @autoclosure () -> String, _ decode: (UnsafeRawBufferPointer) throws -> R
    ) throws(StateFault) -> R? {
        try faulting(what()) { try derived.get(.state, key, decode) }
    }

    /// Rows of the state tree whose key starts with `prefix`, from `start` on; `body` gets the rest of the key.
    final func rows(
        _ prefix: [UInt8], from start: [UInt8]? = nil, _ what: @autoclosure () -> String,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> Bool
    ) throws(StateFault) {
        try faulting(what()) {
            // A copy: `body` may change this view's rows, which the scan then does not see.
            let derived = derived
            try derived.scan(.state, from: start ?? prefix) { key, value in
                guard key.begins(with: prefix) else { return false }
                return try body(UnsafeRawBufferPointer(rebasing: key[prefix.count...]), value)
            }
        }
    }

    // MARK: Accounts

    func storedHead(_ account: AccountID) throws(StateFault) -> StoredHead? {
        try row(StateKey.head(account), "account head") { try StateValue.decodeHead($0) }
    }

    final func head(_ account: AccountID) throws(StateFault) -> AccountHead? { try storedHead(account)?.head }

    func accounts(_ body: (AccountID, AccountHead) -> Bool) throws(StateFault) {
        // One seek per account: everything else of an account sorts after its head.
        var next: UInt64 = 0
        while next <= UInt64(UInt32.max) {
            var found: (AccountID, AccountHead)?
            try faulting("accounts") {
                try derived.scan(.state, from: StateKey.head(AccountID(UInt32(next)))) { key, value in
                    var reader = ByteReader(key)
                    let account = AccountID(try reader.be(UInt32.self))
                    if try reader.u8() == StateKey.headType {
                        found = (account, try StateValue.decodeHead(value).head)
                    } else {
                        // Directory rows of an account without a head: go on behind it.
                        next = UInt64(account.rawValue) + 1
                    }
                    return false
                }
            }
            guard let (account, head) = found else {
                if next == 0 { return }
                if try !hasRows(from: UInt32(clamping: next)) { return }
                continue
            }
            guard body(account, head) else { return }
            next = UInt64(account.rawValue) + 1
        }
    }

    private func hasRows(from account: UInt32) throws(StateFault) -> Bool {
        var found = false
        try faulting("accounts") {
            try derived.scan(.state, from: StateKey.head(AccountID(account))) { _, _ in
                found = true
                return false
            }
        }
        return found
    }

    func nextAccount() throws(StateFault) -> AccountID {
        try row(StateKey.nextAccount, "next account") { try StateValue.decodeNextAccount($0) } ?? AccountID(0)
    }

    func owner(ofAddress key: String) throws(StateFault) -> AccountID? {
        try row(StateKey.owner(key), "directory") { try StateValue.decodeOwner($0) }
    }

    func addresses(_ account: AccountID) throws(StateFault) -> [AddressRow] {
        var found: [AddressRow] = []
        try rows(StateKey.addresses(account), "addresses") { key, value in
            var reader = ByteReader(key)
            found.append(try StateValue.decodeAddress(value, id: try reader.be(UInt32.self)))
            return true
        }
        return found
    }

    func credentials(_ account: AccountID) throws(StateFault) -> [CredentialRow] {
        var found: [CredentialRow] = []
        try rows(StateKey.credentials(account), "credentials") { key, value in
            var reader = ByteReader(key)
            found.append(try StateValue.decodeCredential(value, id: try reader.be(UInt32.self)))
            return true
        }
        return found
    }

    func setting(_ account: AccountID, _ key: String) throws(StateFault) -> String? {
        try row(StateKey.setting(account, key), "setting") { try StateValue.decodeSetting($0) }
    }

    func subscriptions(_ account: AccountID) throws(StateFault) -> [String] {
        var found: [String] = []
        try rows(StateKey.subscriptions(account), "subscriptions") { key, value in
            found.append(try StateValue.decodeSubscription(value, keySuffix: key))
            return true
        }
        return found
    }

    // MARK: Mailboxes

    func mailbox(_ account: AccountID, _ mailbox: MailboxID) throws(StateFault) -> MailboxRow? {
        try row(StateKey.mailbox(account, mailbox), "mailbox") { try StateValue.decodeMailbox($0) }
    }

    func mailboxID(_ account: AccountID, parent: MailboxID, leaf: String) throws(StateFault) -> MailboxID? {
        try row(StateKey.name(account, parent: parent, leaf: leaf), "name") { try StateValue.decodeMailboxID($0) }
    }

    func mailboxes(_ account: AccountID, _ body: (MailboxID, MailboxRow) -> Bool) throws(StateFault) {
        try rows(StateKey.mailboxes(account), "mailboxes") { key, value in
            var reader = ByteReader(key)
            return body(MailboxID(try reader.be(UInt32.self)), try StateValue.decodeMailbox(value))
        }
    }

    func tombstone(_ account: AccountID, _ mailbox: MailboxID) throws(StateFault) -> MailboxTombstone? {
        try row(StateKey.tombstone(account, mailbox), "tombstone") { try StateValue.decodeTombstone($0) }
    }

    // MARK: Messages

    func message(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) throws(StateFault) -> MessageRow? {
        try row(StateKey.message(account, mailbox, uid), "message") { try StateValue.decodeMessage($0) }
    }

    func messages(
        _ account: AccountID, _ mailbox: MailboxID, from first: UID, _ body: (UID, MessageRow) -> Bool
    ) throws(StateFault) {
        guard first.rawValue > 0 else { return try messages(account, mailbox, from: UID(1), body) }
        try messages(account, mailbox, in: UIDSet(first...UID(.max)), from: first, body)
    }

    /// One cursor for all runs. A gap of a few messages is walked over, a wider one is jumped.
    func messages(
        _ account: AccountID, _ mailbox: MailboxID, in uids: UIDSet, from first: UID, _ body: (UID, MessageRow) -> Bool
    ) throws(StateFault) {
        let gapWalkedMax: UInt32 = 16
        let runs = uids.runs
        guard var index = runs.firstIndex(where: { $0.upperBound >= first.rawValue }) else { return }
        let start = UID(max(first.rawValue, runs[index].lowerBound))
        let prefix = StateKey.messages(account, mailbox)
        try faulting("messages") {
            let derived = derived
            try derived.walk(.state, from: StateKey.message(account, mailbox, start)) { key, value in
                guard key.count == prefix.count + 4, key.begins(with: prefix) else { return .stop }
                let uid = UInt32(bigEndian: key.loadUnaligned(fromByteOffset: prefix.count, as: UInt32.self))
                while index < runs.count, runs[index].upperBound < uid { index += 1 }
                guard index < runs.count else { return .stop }
                let low = runs[index].lowerBound
                if uid < low {
                    return low - uid <= gapWalkedMax ? .next : .seek(StateKey.message(account, mailbox, UID(low)))
                }
                return body(UID(uid), try StateValue.decodeMessage(value)) ? .next : .stop
            }
        }
    }

    func expunged(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) throws(StateFault) -> ExpungedRow? {
        try row(StateKey.expunged(account, mailbox, uid), "expunged message") { try StateValue.decodeExpunged($0) }
    }

    func changes(
        _ account: AccountID, _ mailbox: MailboxID, after position: ModSeq, _ body: (ModSeq, ChangeRow) -> Bool
    ) throws(StateFault) {
        let start = StateKey.change(account, mailbox, position.next, part: 0)
        try rows(StateKey.changes(account, mailbox), from: start, "changes") { key, value in
            var reader = ByteReader(key)
            return body(ModSeq(try reader.be(UInt64.self)), try StateValue.decodeChange(value))
        }
    }

    func keyword(_ account: AccountID, _ id: KeywordID) throws(StateFault) -> Keyword? {
        try row(StateKey.keyword(account, id), "keyword") { try StateValue.decodeKeyword($0) }
    }

    func keywordID(_ account: AccountID, _ keyword: Keyword) throws(StateFault) -> KeywordID? {
        try row(StateKey.keywordName(account, keyword), "keyword name") { try StateValue.decodeKeywordID($0) }
    }

    func spilledKeywords(
        _ account: AccountID, _ mailbox: MailboxID, _ uid: UID
    ) throws(StateFault) -> [KeywordID] {
        try row(StateKey.spill(account, mailbox, uid), "keyword spill") { try StateValue.decodeSpill($0) } ?? []
    }

    func uidls(
        _ account: AccountID, _ mailbox: MailboxID, _ body: (UID, String) -> Bool
    ) throws(StateFault) {
        try rows(StateKey.uidls(account, mailbox), "UIDLs") { key, value in
            body(try StateKey.parseUID(key), try StateValue.decodeUIDL(value))
        }
    }

    // MARK: Queue and collection

    func queueEntry(_ id: QueueID) throws(StateFault) -> QueueEntry? {
        try row(StateKey.queueEntry(id), "queue entry") { try StateValue.decodeQueueEntry($0) }
    }

    func queue(_ body: (QueueID, QueueEntry) -> Bool) throws(StateFault) {
        try rows(StateKey.queueDuePrefix, "queue") { key, _ in
            let id = try StateKey.parseQueueDue(key).id
            guard let entry = try queueEntry(id) else {
                throw StateFault.corrupt("queue index names entry \(id.rawValue), which is not there")
            }
            return body(id, entry)
        }
    }

    func collectable(
        through day: UInt32, _ body: (UInt32, AccountID, MailboxID, UID) -> Bool
    ) throws(StateFault) {
        try faulting("collection") {
            try derived.scan(.gc, from: []) { key, _ in
                let row = try CollectionKey.parse(key)
                guard row.day <= day else { return false }
                return body(row.day, row.account, row.mailbox, row.uid)
            }
        }
    }

    // MARK: Log, bodies, remembered commands

    func blobRow(_ blob: BlobNumber) throws(StateFault) -> BlobRow? {
        try faulting("body row") { try derived.get(.blob, BlobKey.encode(blob)) { try BlobRow.decode($0) } }
    }

    final func outcome(of command: CommandID, _ account: AccountID) throws(StateFault) -> ModSeq? {
        try faulting("remembered command") {
            guard let last = try derived.lastKey(.dedup) else { return nil }
            let day = try last.withUnsafeBytes { try DedupKey.parse($0).day }
            let oldest = day > dedupWindowDays ? day - dedupWindowDays : 0
            for candidate in (oldest...day).reversed() {
                let key = DedupKey.encode(day: candidate, account: account, command: command)
                if let found = try derived.get(.dedup, key, { try DedupRow.decode($0).aseq }) { return found }
            }
            return nil
        }
    }
}

/// A snapshot: what one read transaction sees.
final class LocalReader: LocalView, ShardReader {
    var head: Cursor {
        get {
            let last = try? transaction.last(tables.log) { key, _ in try LogKey.parse(key) }
            return Cursor((last ?? nil) ?? 0)
        }
    }

    func log(after cursor: Cursor, _ body: (LoggedEvent) -> Bool) throws(StateFault) {
        guard cursor.rawValue < .max else { return }
        try faulting("log") {
            try transaction.scan(tables.log, from: LogKey.encode(cursor.rawValue + 1)) { key, value in
                let lsn = try LogKey.parse(key)
                let record = try RecordCodec.decode(value, lsn: lsn)
                guard case .event(let event) = record.content else { return true }
                return body(LoggedEvent(record, event, lsn))
            }
        }
    }

    func history(_ account: AccountID, _ body: (LoggedEvent) -> Bool) throws(StateFault) {
        try faulting("history") {
            guard var lsn = try storedHead(account)?.lastLSN else { return }
            while lsn > 0 {
                let record = try transaction.get(tables.log, LogKey.encode(lsn)) {
                    try RecordCodec.decode($0, lsn: lsn)
                }
                guard let record, case .event(let event) = record.content else {
                    throw StateFault.corrupt("history of account \(account.rawValue) breaks at record \(lsn)")
                }
                guard body(LoggedEvent(record, event, lsn)), record.header.previousLSN < lsn else { return }
                lsn = record.header.previousLSN
            }
        }
    }

    func body(_ blob: BlobNumber) throws(StateFault) -> BodyReference? {
        try blobRow(blob).map { BodyReference(blob: blob, size: UInt32(clamping: $0.rawOctets), hash: $0.hash) }
    }
}

extension LoggedEvent {
    init(_ record: DecodedRecord, _ event: Event, _ lsn: UInt64) {
        self.init(
            cursor: Cursor(lsn),
            context: EventContext(
                account: record.header.account, aseq: record.header.aseq, time: record.header.time),
            origin: record.origin, command: record.command, event: event, isErased: record.isErased)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func begins(with prefix: [UInt8]) -> Bool {
        guard count >= prefix.count, let start = baseAddress else { return prefix.isEmpty }
        return prefix.withUnsafeBytes { bytes in bytes.baseAddress.map { memcmp($0, start, bytes.count) == 0 } ?? true }
    }
}
