import EventStore
import MailCore
import MailTypes
import Synchronization

/// How a view last moved forward, for other sessions that stand where it stood: a commit that wakes a thousand sessions of
/// a mailbox is looked up once.
///
/// Two views of a mailbox at one position with nothing pending are the same view, so what one has to tell, the other has.
package final class MailboxSteps: Sendable {
    private struct Step {
        let from: ModSeq
        let view: MailboxView
        let report: SyncReport
        /// The end of the log that the step was read from.
        let head: Cursor
    }

    /// Mailboxes of which a step is kept.
    private static let mailboxesMax = 256
    private let steps = Mutex<[MailboxKey: Step]>([:])

    package init() {}

    /// The view after a step from where it stands, and what its session has to tell; nil when nobody has made that step
    /// since `head` was the end of the log.
    package func next(_ view: MailboxView, since head: Cursor) -> (view: MailboxView, report: SyncReport)? {
        let key = MailboxKey(account: view.account, mailbox: view.mailbox)
        let step = steps.withLock { $0[key] }
        guard let step, step.from == view.position, step.head >= head, view.uidValidity == step.view.uidValidity,
            let next = view.followed(to: step.view)
        else { return nil }
        return (next, step.report)
    }

    /// Keeps a step that told everything.
    package func keep(from view: MailboxView, to next: MailboxView, _ report: SyncReport, head: Cursor) {
        guard report.end == nil, view.pendingGone.isEmpty, next.pendingGone.isEmpty else { return }
        let key = MailboxKey(account: view.account, mailbox: view.mailbox)
        let step = Step(from: view.position, view: next, report: report, head: head)
        // What is let go is let go outside the lock.
        let old = steps.withLock { steps in
            let old = steps[key].map { [key: $0] } ?? (steps.count >= Self.mailboxesMax ? steps : [:])
            if old.count > 1 { steps = [:] }
            steps[key] = step
            return old
        }
        withExtendedLifetime(old) {}
    }
}
