import Foundation
import LMDB
import MailCore
import MailTypes
import Synchronization

// The store on LMDB under a simulation, in a directory of its own: in memory where the system has such a place, as what a
// disk does to flushes is tested elsewhere.
@testable import EventStore

final class LocalDisk: SimulatedDisk {
    private let directory: String
    private let options: LMDBStoreOptions
    private let fault = PendingFault()
    private var local: LMDBStore?
    private var openings = 0
    var store: any ShardStore {
        guard let local else { preconditionFailure("the store could not be opened again") }
        return local
    }

    private final class PendingFault: Sendable {
        private let fault = Mutex<CommitFault?>(nil)
        func set(_ new: CommitFault) { fault.withLock { $0 = new } }

        func commit(_ write: WriteTransaction) throws {
            let fault = fault.withLock { fault in
                defer { fault = nil }
                return fault
            }
            switch fault {
            case nil: try write.commit()
            case .durable:
                try write.commit()
                throw LMDBError(code: EIO, operation: "commit")
            case .forgotten: write.abort()
            case .full, .lost, .crash:
                write.abort()
                throw LMDBError(code: EIO, operation: "commit")
            }
        }
    }

    /// - Parameter unfoldedRowsMax: 1 folds every batch.
    init(unfoldedRowsMax: Int) throws {
        let base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NSTemporaryDirectory()
        directory = base + "/letterlog-simulation-" + UUID().uuidString
        var options = LMDBStoreOptions()
        options.segments = SegmentOptions(segmentOctets: 256 << 10, ballastOctets: 0, prezero: false)
        options.limits.allocationStepOctets = 64 << 10
        options.limits.batchGrowthOctetsMax = 256 << 10
        options.limits.unfoldedRowsMax = unfoldedRowsMax
        options.commit = { [fault] in try fault.commit($0) }
        self.options = options
        try LMDBStore.create(directory, options: options)
        local = try LMDBStore(directory, options: options)
    }

    deinit {
        local = nil
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// A full disk is met before the commit, where no fault can be put.
    func failNextCommit(_ fault: CommitFault) -> Bool {
        guard fault != .full else { return false }
        self.fault.set(fault)
        return true
    }

    func reopen() throws {
        // In turn with a fold at the end and without.
        openings += 1
        if openings % 2 == 0 { local?.close() }
        local = nil
        let opened = try LMDBStore(directory, options: options)
        local = opened
        _ = try opened.compareStateWithReplay()
    }

    func references(_ blob: BlobNumber) throws -> UInt32? {
        try local?.readDerived { try LocalView($0).blobRow(blob)?.references ?? 0 }
    }
}
