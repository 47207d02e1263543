// The store under a simulation. Any `ShardStore` can be put here; the in-memory one can also be made to fail.
//
// To drive another store: a class that opens it in a fresh directory, whose `reopen` drops it and opens the directory
// again, and `Runner { ThatDisk() }`. A store that cannot be told to fail still sees crashes, by `reopen`.
import EventStore
import MailCore
import MailTypes

protocol SimulatedDisk: AnyObject {
    /// The open store; another one after `reopen`.
    var store: any ShardStore { get }
    /// Makes the next commit fail; false when this store cannot be told to.
    func failNextCommit(_ fault: CommitFault) -> Bool
    /// Closes the store, as a process that dies would, and opens it again.
    func reopen() throws
    /// References to a body, where the store can say.
    func references(_ blob: BlobNumber) throws -> UInt32?
}

final class MemoryDisk: SimulatedDisk {
    private var memory: MemoryStore
    var store: any ShardStore { memory }

    init(foldThrough: @escaping MemoryStore.FoldThrough = { $0 }) { memory = MemoryStore(foldThrough: foldThrough) }

    func failNextCommit(_ fault: CommitFault) -> Bool {
        memory.failNextCommit(fault)
        return true
    }

    func reopen() { memory = memory.reopened() }

    func references(_ blob: BlobNumber) throws -> UInt32? {
        try memory.read { ($0 as? any MemoryBacked)?.state.references(blob) }
    }
}

/// A body of one repeated octet.
final class SimulatedBody: BodySource {
    let count: Int
    let hash: ContentHash

    init(count: Int) {
        self.count = count
        hash = ContentHash(UInt64(count), 1, 2, 3)
    }

    func read(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) {
        let bytes = [UInt8](repeating: 0x61, count: count)
        var failure: StoreError?
        bytes.withUnsafeBytes { pointer in
            do throws(StoreError) { try body(pointer) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
