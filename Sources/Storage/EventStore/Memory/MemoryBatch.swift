// One transaction of the in-memory store: a fork of the committed state, which becomes the committed one or is dropped.
import MailCore
import MailTypes

final class MemoryBatch: ShardBatch, MemoryBacked {
    private enum Phase {
        case open
        /// An event could not be folded; nothing but `abort` is left.
        case broken(String)
        case ended
    }

    let state: MemoryState
    private let store: MemoryStore
    private let editor: any StateEditor
    private let time: Timestamp
    private let clock: Timestamp
    private var cursor: UInt64
    private var events: [LoggedEvent] = []
    private var retryable: [Cursor] = []
    private var registered: [BlobNumber: BodyReference] = [:]
    private var phase = Phase.open

    init(_ store: MemoryStore, _ image: MemoryImage, now: Timestamp) throws(StateFault) {
        self.store = store
        state = image.state.fork()
        editor = store.foldThrough(state)
        time = max(now, image.time)
        clock = now
        cursor = image.nextCursor
        guard now < image.clock, let system = state.head(.system) else { return }
        let back = UInt64(image.clock.rawValue - now.rawValue)
        _ = try append(
            Append(
                account: .system, expected: system.aseq, events: [.clockStepped(backMilliseconds: back)],
                origin: Origin(gateway: .engine)))
    }

    deinit { abort() }

    func register(_ body: StagedBody) { registered[body.reference.blob] = body.reference }

    func append(_ append: Append) throws(StateFault) -> ModSeq {
        guard case .open = phase else { throw .storage("the batch has ended") }
        var position = state.head(append.account)?.aseq ?? .zero
        guard position == append.expected else {
            throw .inconsistent(
                "account \(append.account.rawValue) is at \(position.rawValue), not \(append.expected.rawValue)")
        }
        do {
            for event in append.events {
                position = position.next
                try add(event, EventContext(account: append.account, aseq: position, time: time), append)
            }
        } catch {
            phase = .broken("\(error)")
            throw error
        }
        if append.retryable, let command = append.command, !append.events.isEmpty {
            state.remember(command, append.account, position, day: dayNumber(time))
        }
        return position
    }

    private func add(_ event: Event, _ context: EventContext, _ append: Append) throws(StateFault) {
        if let blob = event.newBody, registered[blob] == nil, !store.knows(blob) {
            throw .inconsistent("an event names body \(blob.rawValue), which is not known")
        }
        try evolve(event, at: context, in: editor)
        events.append(
            LoggedEvent(
                cursor: Cursor(cursor), context: context, origin: append.origin, command: append.command,
                event: event, isErased: false))
        if append.retryable, append.command != nil { retryable.append(Cursor(cursor)) }
        cursor += 1
    }

    func outcome(of command: CommandID, _ account: AccountID) -> ModSeq? {
        state.outcome(of: command, account, day: dayNumber(time))
    }

    func commit() throws(StoreError) -> CommitReceipt {
        switch phase {
        case .ended: throw .failed("the batch has ended")
        case .broken(let reason):
            abort()
            store.contents.withLock { $0.health = .failed(reason) }
            throw .failed(reason)
        case .open: phase = .ended
        }
        state.freeze()
        return try store.commit(
            MemoryCommit(
                state: state, events: events, retryable: retryable, registered: registered.values.map { $0 },
                nextCursor: cursor, time: time, clock: clock))
    }

    func abort() {
        if case .ended = phase { return }
        phase = .ended
        store.contents.withLock { $0.batchIsOpen = false }
    }
}

/// All that a batch wants to make durable.
struct MemoryCommit: Sendable {
    var state: MemoryState
    var events: [LoggedEvent]
    var retryable: [Cursor]
    var registered: [BodyReference]
    var nextCursor: UInt64
    var time: Timestamp
    var clock: Timestamp
}

extension MemoryStore {
    func knows(_ blob: BlobNumber) -> Bool { contents.withLock { $0.image.bodies[blob] != nil } }

    func commit(_ batch: MemoryCommit) throws(StoreError) -> CommitReceipt {
        try contents.withLock { contents throws(StoreError) in
            contents.batchIsOpen = false
            if case .closed = contents.health { throw .failed("the store is closed") }
            let unsynced = batch.registered.first { !contents.synced.contains($0.blob) }
            if let unsynced {
                contents.health = .failed("body \(unsynced.blob.rawValue) was not synced before its commit")
                throw .failed("body \(unsynced.blob.rawValue) was not synced before its commit")
            }
            let fault = contents.fault
            contents.fault = nil
            switch fault {
            case .full: throw .full
            case .lost:
                contents.health = .failed("a commit failed")
                throw .failed("a commit failed")
            case .durable:
                contents.afterRestart = contents.image
                contents.afterRestart?.take(batch, bodies: contents.staged)
                contents.health = .failed("a commit failed")
                throw .failed("a commit failed")
            case .crash:
                contents.health = .closed
                throw .failed("the process died")
            case .forgotten: contents.afterRestart = contents.afterRestart ?? contents.image
            case nil: break
            }
            contents.image.take(batch, bodies: contents.staged)
            for body in batch.registered {
                contents.staged[body.blob] = nil
                contents.synced.remove(body.blob)
            }
            contents.statistics.batches += 1
            contents.statistics.events += UInt64(batch.events.count)
            return CommitReceipt(
                head: contents.image.log.last?.cursor ?? .start, events: batch.events.count)
        }
    }
}

extension MemoryImage {
    /// Adds a batch. One without events leaves the log, and the cursor of its seal, alone.
    mutating func take(_ batch: MemoryCommit, bodies staged: [BlobNumber: Body]) {
        for reference in batch.registered { bodies[reference.blob] = staged[reference.blob] }
        state = batch.state
        clock = batch.clock
        guard !batch.events.isEmpty else { return }
        for event in batch.events {
            histories[event.context.account.rawValue, default: []].append(log.count)
            log.append(event)
        }
        retryable.formUnion(batch.retryable)
        nextCursor = batch.nextCursor + 1
        time = batch.time
    }
}

extension Event {
    /// The body that this event is the first to name.
    var newBody: BlobNumber? {
        switch self {
        case .messageAppended(let event): event.blob
        case .queueAccepted(let event): event.blob
        default: nil
        }
    }
}
