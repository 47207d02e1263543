// What the threads of an import share: the engine, the way out for lines, and the named points at which a test stops one.
import EventStore
import MailCore
import MailEngine
import MailTypes
import Synchronization

/// What an import has just done; a test may stop it there as a crash would.
package enum ImportStep: String, CaseIterable, Sendable {
    /// The mailboxes are there, under the source's UIDVALIDITY where they can be.
    case roomMade
    case folderPrepared
    /// Messages are in the log.
    case batchAppended
    /// `import imap` alone: the same is in its journal.
    case journalWritten
    /// `import imap` alone: flags that changed in the source have changed here.
    case flagsChanged
    case nextUIDKept
    /// What came was compared with the source.
    case folderChecked
    /// Not for an mbox: it has none.
    case subscribed
}

// What the session prints goes through the lock alone. Its engine and `perform` are for all threads: they read what never
// changes.
package final class ImportDesk: @unchecked Sendable {
    private let session: AdministrationSession
    private let lock = Mutex(Totals())
    let reached: (ImportStep) throws -> Void

    private struct Totals {
        var done = 0
        var total = 0
        var stopped = false
    }

    package init(_ session: AdministrationSession, reached: @escaping (ImportStep) throws -> Void = { _ in }) {
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

    func note(_ text: String) {
        lock.withLock { totals in
            do { try session.note(text) } catch { totals.stopped = true }
        }
    }

    /// What became of a folder.
    func tell(_ report: FolderReport, _ address: String) {
        for (text, value) in report.complaints(address) { item(text, value) }
        item(report.text, report.value(address))
    }

    // MARK: Progress

    /// Of an import that knows how far it is.
    func progress(_ done: Int, of total: Int?) {
        lock.withLock { totals in
            do { try session.progress(done, of: total) } catch { totals.stopped = true }
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
