// Free space, and what is refused when it runs out (engine.md section 9.1).
//
// Three steps: below the soft limit no new mail; below the hard one only deletions and administration that frees space;
// when a batch cannot get its blocks, the store's reserve is released, and until it is held again only what frees space
// is taken, so that nothing else uses the reserve up.
import EventStore
import MailCore
import MailTypes
import Synchronization

final class DiskWatch: Sendable {
    private struct State {
        var looked = Timestamp(rawValue: .min)
        var free = UInt64.max
        var holdsReserve: Bool
    }

    private let store: any ShardStore
    private let options: EngineOptions
    private let state: Mutex<State>

    /// Free space is asked for at most this often.
    private static let intervalMilliseconds: Int64 = 1000

    init(store: any ShardStore, options: EngineOptions) {
        self.store = store
        self.options = options
        state = Mutex(State(holdsReserve: store.holdsReserve))
    }

    /// Asks for the free space again when the last answer is old. Any thread.
    func look(at now: Timestamp) {
        state.withLock { state in
            let age = now.rawValue &- state.looked.rawValue
            guard state.looked.rawValue == .min || abs(age) >= Self.intervalMilliseconds else { return }
            state.looked = now
            // When the file system does not answer, the next write will say so better.
            state.free = (try? store.freeBytes()) ?? state.free
        }
    }

    /// As it was last seen. Whoever asks about the parts of one request asks the same answer each time: others look meanwhile.
    var room: DiskRoom {
        let (free, holdsReserve) = state.withLock { ($0.free, $0.holdsReserve) }
        let takesChanges = free >= options.hardFreeOctets && holdsReserve
        return DiskRoom(takesMail: takesChanges && free >= options.softFreeOctets, takesChanges: takesChanges)
    }

    /// After a batch met a full disk.
    /// - Returns: whether there is room now that was not there before.
    func releaseReserve() -> Bool {
        guard store.reserveOctets > 0, store.holdsReserve, (try? store.releaseReserve()) != nil else { return false }
        state.withLock { $0.holdsReserve = false }
        return true
    }

    /// Takes the reserve again once there is room for it twice over beside the hard limit; with less, the next batch
    /// would have to give it back.
    func restoreReserve() {
        let isDue = state.withLock { !$0.holdsReserve && $0.free >= options.hardFreeOctets + 2 * store.reserveOctets }
        guard isDue else { return }
        if store.holdsReserve || (try? store.restoreReserve()) != nil { state.withLock { $0.holdsReserve = true } }
    }
}

/// What there is room for.
struct DiskRoom: Sendable {
    let takesMail: Bool
    let takesChanges: Bool

    func refusal(of command: AccountCommand) -> EngineFailure? {
        if command.addsMail { return takesMail ? nil : .full }
        return takesChanges || command.freesSpace ? nil : .full
    }

    /// Why nothing of a request is done: all of it adds what there is no room for, or something in it that does belongs to
    /// the item before. Nil when something can be done.
    func refusal(of request: Request) -> EngineFailure? {
        var first: EngineFailure?
        var isAllRefused = true
        for item in request.items {
            guard let refusal = refusal(of: item.command) else {
                isAllRefused = false
                continue
            }
            if item.needsPrevious { return refusal }
            first = first ?? refusal
        }
        return isAllRefused ? first : nil
    }
}
