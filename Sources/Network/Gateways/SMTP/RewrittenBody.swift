import Digests
import EventStore
import MailTypes

/// A body whose beginning is replaced: what stands before its first `dropped` octets, and instead of them.
///
/// The rest is read from where it is; nothing is copied but the beginning.
final class RewrittenBody: BodySource {
    let count: Int
    let hash: ContentHash
    private let beginning: [UInt8]
    private let source: any BodySource
    private let dropped: Int

    /// Reads the whole body for its hash: not on an event loop.
    init(_ beginning: [UInt8], instead dropped: Int, of source: any BodySource) throws(StoreError) {
        self.beginning = beginning
        self.source = source
        self.dropped = dropped
        count = beginning.count + source.count - dropped
        var hasher = SHA256Hasher()
        try Self.read(beginning, dropped, source) { (run: UnsafeRawBufferPointer) in hasher.update(run) }
        hash = ContentHash(hasher.finalize())
    }

    func read(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) {
        try Self.read(beginning, dropped, source, body)
    }

    func read(at offset: Int, count: Int, into bytes: inout [UInt8]) throws(StoreError) {
        let end = min(offset + count, self.count)
        guard offset < end else { return }
        if offset < beginning.count { bytes += beginning[offset..<min(end, beginning.count)] }
        let behind = max(offset, beginning.count)
        guard behind < end else { return }
        try source.read(at: behind - beginning.count + dropped, count: end - behind, into: &bytes)
    }

    private static func read(
        _ beginning: [UInt8], _ dropped: Int, _ source: any BodySource,
        _ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void
    ) throws(StoreError) {
        for start in stride(from: 0, to: beginning.count, by: BodyLimits.runOctetsMax) {
            try Array(beginning[start..<min(start + BodyLimits.runOctetsMax, beginning.count)]).lend(body)
        }
        var rest = dropped
        try source.read { (run: UnsafeRawBufferPointer) throws(StoreError) in
            guard rest < run.count else {
                rest -= run.count
                return
            }
            try body(UnsafeRawBufferPointer(rebasing: run[rest...]))
            rest = 0
        }
    }
}
