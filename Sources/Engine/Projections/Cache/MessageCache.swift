// The parse cache: what FETCH, SEARCH, SORT and THREAD need to know of messages, so that listing a mailbox twice parses
// nothing twice. Filled when it is first needed; it can be thrown away at any time.
//
// Invariants
// - A row is a function of the message's octets alone. An EmailID names the same octets for ever and is not used again,
//   so no row is ever wrong and none needs to follow the log.
// - Nothing fails because of the cache: what it does not have is read from the message.
//
// Reading blocks on files as reading the message does. Writing never blocks: rows wait, visible, until a thread of the
// cache's own has put them.
import Dispatch
import EventStore
import MIME
import MailCore
import MailEngine
import MailTypes
import Synchronization

package final class MessageCache: Sendable {
    /// What a row holds.
    private enum Kind: UInt8 {
        case summary = 1
        case preview = 2
    }

    /// Rows of another version are not read.
    private static let version = UInt32(PackedSummary.version)

    private let rows: DisposableCache?
    /// Rows that wait to be put together: a transaction costs more than a row.
    private let pending = Mutex<[CacheKey: [UInt8]]>([:])
    private let writer = DispatchQueue(label: "letterlog.cache", qos: .utility)

    /// Keeps nothing: each question reads the message.
    package init() { rows = nil }

    /// - Parameter octetsMax: about what it may take on disk; 0 keeps nothing.
    package init(directory: String, octetsMax: Int) throws(StoreError) {
        rows = octetsMax > 0 ? try DisposableCache(directory, version: Self.version, octetsMax: octetsMax) : nil
    }

    /// Where a store's cache is.
    package static func directory(ofStore store: String) -> String { store + "/shard-0000/cache" }

    package var statistics: CacheStatistics { rows?.statistics ?? CacheStatistics() }

    /// Keeps what is there for the next start.
    package func close() {
        writer.sync { putPending() }
        rows?.close()
    }

    /// Forgets everything.
    package func removeAll() {
        writer.sync {
            pending.withLock { $0 = [:] }
            rows?.removeAll()
        }
    }

    /// Forgets an account.
    package func remove(_ account: AccountID) {
        writer.sync {
            putPending()
            rows?.remove(account)
        }
    }

    // MARK: Summaries

    /// The summaries of messages, in their order, from the cache as far as it has them; the others are read and kept. Nil
    /// for a message whose body is gone.
    ///
    /// Ask for some hundreds at a time: the cache is looked up in one snapshot for all of them.
    /// - Parameter octetsMax: how much is read of messages that the cache does not have; those beyond are nil too.
    package func summaries(
        _ account: AccountID, _ messages: [MessageRow], in engine: MailEngine, octetsMax: Int = .max
    ) throws -> [PackedSummary?] {
        var found = known(account, messages.map(\.email))
        var fresh: [(key: CacheKey, bytes: [UInt8])] = []
        var octets = 0
        for (index, message) in messages.enumerated() where found[index] == nil {
            octets += Int(message.size)
            guard octets <= octetsMax else { break }
            guard let handle = try open(message.blob, engine) else { continue }
            let summary = PackedSummary(try MessageSummary(scanning: handle))
            found[index] = summary
            fresh.append((CacheKey(account, message.email, kind: Kind.summary.rawValue), summary.bytes))
        }
        keep(fresh)
        return found
    }

    /// The summary of a message whose body is open.
    package func summary(
        _ account: AccountID, _ email: EmailID, _ handle: any BodyHandle
    ) throws(StoreError) -> PackedSummary {
        if let summary = known(account, [email])[0] { return summary }
        return try read(account, email, handle)
    }

    /// The summary of a message that the cache was seen not to have: read from the message, and kept.
    package func read(
        _ account: AccountID, _ email: EmailID, _ handle: any BodyHandle
    ) throws(StoreError) -> PackedSummary {
        let summary = PackedSummary(try MessageSummary(scanning: handle))
        keep(summary, account, email)
        return summary
    }

    /// What the cache has, and nothing more.
    package func known(_ account: AccountID, _ emails: [EmailID]) -> [PackedSummary?] {
        guard let rows else { return [PackedSummary?](repeating: nil, count: emails.count) }
        return look(rows, emails.map { CacheKey(account, $0, kind: Kind.summary.rawValue) }).map { bytes in
            bytes.flatMap { PackedSummary(bytes: $0) }
        }
    }

    /// Keeps a summary that someone has anyway, as after a delivery.
    package func keep(_ summary: PackedSummary, _ account: AccountID, _ email: EmailID) {
        keep([(CacheKey(account, email, kind: Kind.summary.rawValue), summary.bytes)])
    }

    private func keep(_ fresh: [(key: CacheKey, bytes: [UInt8])]) {
        guard rows != nil, !fresh.isEmpty else { return }
        let isDue = pending.withLock { pending in
            let before = pending.count
            for row in fresh where row.bytes.count <= CacheLimits.rowOctetsMax {
                // More than the writer keeps up with is not kept.
                guard pending.count < MessageCacheLimits.pendingRowsMax else { break }
                pending[row.key] = row.bytes
            }
            let due = MessageCacheLimits.rowsPerPut
            return before / due < pending.count / due
        }
        if isDue { writer.async { [self] in putPending() } }
    }

    /// What waits stays visible until it has been put.
    private func putPending() {
        guard let rows else { return }
        let due = pending.withLock { $0 }
        guard !due.isEmpty else { return }
        rows.put(due.sorted { $0.key.email < $1.key.email }.map { ($0.key, $0.value) })
        pending.withLock { pending in
            for key in due.keys { pending[key] = nil }
        }
    }

    /// Rows that would be lost with the older generation are put into the current one.
    private func look(_ rows: DisposableCache, _ keys: [CacheKey]) -> [[UInt8]?] {
        // Those that wait first: between the two looks a row can only come from there into the cache.
        var found = pending.withLock { pending in
            pending.isEmpty ? [[UInt8]?](repeating: nil, count: keys.count) : keys.map { pending[$0] }
        }
        let missing = keys.indices.filter { found[$0] == nil }
        guard !missing.isEmpty else { return found }
        var aging: [(key: CacheKey, bytes: [UInt8])] = []
        for (index, row) in zip(missing, rows.rows(missing.map { keys[$0] })) {
            found[index] = row?.bytes
            if let row, row.isAging { aging.append((keys[index], row.bytes)) }
        }
        keep(aging)
        return found
    }

    /// Nil when the body is gone.
    private func open(_ blob: BlobNumber, _ engine: MailEngine) throws -> (any BodyHandle)? {
        do throws(StoreError) {
            return try engine.openBody(blob)
        } catch {
            if try engine.read({ try $0.body(blob) }) == nil { return nil }
            throw error
        }
    }

    // MARK: Previews

    /// The preview of a message (RFC 8970) in UTF-8; empty when there is nothing to show.
    /// - Parameter lazily: nil rather than read the message.
    package func preview(
        _ account: AccountID, _ email: EmailID, lazily: Bool, _ handle: @autoclosure () throws -> any BodyHandle
    ) throws -> [UInt8]? {
        let key = CacheKey(account, email, kind: Kind.preview.rawValue)
        if let rows, let known = look(rows, [key])[0] { return known }
        guard !lazily else { return nil }
        let handle = try handle()
        var text: [UInt8] = []
        if let structure = try summary(account, email, handle).structure, let part = Preview.part(of: structure) {
            var preview = Preview(part)
            var octets: [UInt8] = []
            let count = min(part.body.count, MIMELimits.previewSourceOctetsMax)
            try handle.read(at: part.body.offset, count: count, into: &octets)
            _ = octets.withUnsafeBytes { preview.take($0) }
            text = preview.finish()
        }
        keep([(key, text)])
        return text
    }
}

extension MessageSummary {
    /// Reads a stored message, a piece at a time.
    package init(scanning handle: any BodyHandle) throws(StoreError) {
        var scanner = StructureScanner()
        var offset = 0
        var piece: [UInt8] = []
        while offset < handle.size {
            piece.removeAll(keepingCapacity: true)
            try handle.read(at: offset, count: MessageCacheLimits.pieceOctets, into: &piece)
            guard !piece.isEmpty else { throw .damaged("a body is shorter than it says") }
            piece.withUnsafeBytes { scanner.consume($0) }
            offset += piece.count
        }
        self = scanner.finish()
    }
}
