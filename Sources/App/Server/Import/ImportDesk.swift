// What the threads of an import share: the engine, the way out for lines, and the named points at which a test stops one.
import EventStore
import MailCore
import MailEngine
import MailTypes
import Synchronization

/// What an import has just done; a test may stop it there as a crash would.
package enum ImportStep: String, CaseIterable, Sendable {
    case folderPrepared, batchAppended, journalWritten, flagsChanged, folderChecked
}

// What the session prints goes through the lock alone. Its engine and `perform` are for all threads: they read what never
// changes.
final class ImportDesk: @unchecked Sendable {
    private let session: AdministrationSession
    private let lock = Mutex(Totals())
    let reached: (ImportStep) throws -> Void

    private struct Totals {
        var done = 0
        var total = 0
        var stopped = false
    }

    init(_ session: AdministrationSession, reached: @escaping (ImportStep) throws -> Void = { _ in }) {
        self.session = session
        self.reached = reached
    }

    var engine: MailEngine { session.engine }

    /// Whoever asked has gone.
    var isCancelled: Bool { lock.withLock { $0.stopped || session.isCancelled } }

    func perform(
        _ account: AccountID, _ command: AccountCommand, bodies: [any BodySource] = []
    ) throws -> CommandResult {
        try session.perform(account, command, bodies: bodies)
    }

    func begin(
        _ account: AccountID, _ command: AccountCommand, bodies: [any BodySource] = []
    ) -> PendingOutcomes {
        session.begin(account, command, bodies: bodies)
    }

    func item(_ text: String, _ value: JSONValue) {
        lock.withLock { totals in
            do { try session.item(text, value) } catch { totals.stopped = true }
        }
    }

    func expect(_ messages: Int) { lock.withLock { $0.total += messages } }

    func did(_ messages: Int) {
        lock.withLock { totals in
            totals.done += messages
            do { try session.progress(totals.done, of: totals.total) } catch { totals.stopped = true }
        }
    }
}
