// `queue retry`, `hold`, `release` and `remove`: an operator's word about entries of the queue.
import EventStore
import MailCore
import MailEngine
import MailTypes

package enum QueueWork: String, Codable, Sendable, CaseIterable {
    case retry, hold, release, remove

    fileprivate func command(_ id: QueueID) -> AccountCommand {
        switch self {
        case .retry: .retryQueued(id)
        case .hold: .holdQueued(id)
        case .release: .releaseQueued(id)
        case .remove: .removeFromQueue(id)
        }
    }

    fileprivate var past: String {
        switch self {
        case .retry: "to be tried now"
        case .hold: "held"
        case .release: "released"
        case .remove: "removed, without a report to the sender"
        }
    }
}

package struct QueueChange: AdministrationCommand {
    package static let words = "queue change"

    package var work: QueueWork
    /// Empty takes those of the filter.
    package var ids: [UInt64]
    package var filter: QueueFilter
    /// Every entry, where neither names any.
    package var all: Bool

    package init(_ work: QueueWork, ids: [UInt64], filter: QueueFilter, all: Bool) {
        self.work = work
        self.ids = ids
        self.filter = filter
        self.all = all
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        guard !ids.isEmpty || !filter.isEmpty || all else {
            throw AdministrationFailure("which messages? Name identifiers, --sender, --domain, --held or --all", .usage)
        }
        let chosen = try chosen(session)
        var done = 0
        var gone: [UInt64] = []
        for start in stride(from: 0, to: chosen.count, by: ServerLimits.queueChangedPerCommandMax) {
            if session.isCancelled { break }
            let part = chosen[start..<min(chosen.count, start + ServerLimits.queueChangedPerCommandMax)]
            let outcomes = session.engine.performAndWait(
                Request(part.map { Request.Item(.queue, work.command($0)) }, origin: session.origin))
            for (id, outcome) in zip(part, outcomes) {
                do {
                    _ = try outcome.result()
                    done += 1
                } catch Refusal.noSuchQueueEntry {
                    // It was delivered, or came back, meanwhile.
                    gone.append(id.rawValue)
                }
            }
            try session.progress(done, of: chosen.count)
        }
        var text = done == 1 ? "1 message is \(work.past)" : "\(done) messages are \(work.past)"
        if !ids.isEmpty, !gone.isEmpty { text += "; left the queue meanwhile: \(Self.list(gone))" }
        return AdministrationResult(text, ["changed": .count(done), "gone": .array(gone.map { .count($0) })])
    }

    private static func list(_ ids: [UInt64]) -> String {
        let shown = ids.prefix(ServerLimits.queueNamedMax).map(String.init).joined(separator: ", ")
        return ids.count > ServerLimits.queueNamedMax
            ? "\(shown) and \(ids.count - ServerLimits.queueNamedMax) more" : shown
    }

    /// What was named has to be there, all of it, or nothing is done.
    private func chosen(_ session: AdministrationSession) throws -> [QueueID] {
        try session.engine.read { state in
            guard ids.isEmpty else {
                var seen: Set<UInt64> = []
                let distinct = ids.filter { seen.insert($0).inserted }
                let missing = try distinct.filter { try state.queueEntry(QueueID($0)) == nil }
                guard missing.isEmpty else {
                    throw AdministrationFailure(
                        "there is no such entry in the queue: \(Self.list(missing)); nothing was changed")
                }
                return distinct.map { QueueID($0) }
            }
            var found: [QueueID] = []
            try state.queue { id, entry in
                if filter.accepts(entry) { found.append(id) }
                return true
            }
            return found
        }
    }
}
