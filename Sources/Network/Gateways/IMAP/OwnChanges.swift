// Which positions of the account a session's own flag changes got, so that the sync after STORE tells others' changes
// and not these (engine.md correction C8).
import MailCore
import MailEngine
import MailTypes
import Synchronization

/// Gathers, on the writer's thread, the positions of a command that is done in parts.
final class PositionLog: Sendable {
    private let positions = Mutex<Set<ModSeq>>([])

    func note(_ outcome: CommandOutcome) {
        positions.withLock { $0.formUnion(outcome.flagPositions) }
    }

    var all: Set<ModSeq> { positions.withLock { $0 } }
}

extension CommandOutcome {
    /// A change of flags is one event for each part of at most `batchTouchesMax` messages, the last of its command.
    var flagPositions: Set<ModSeq> {
        guard case .done(.flags(let changed, _), let position) = self, !changed.isEmpty else { return [] }
        return [position]
    }
}
