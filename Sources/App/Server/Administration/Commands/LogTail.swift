import EventStore
import Foundation
import MailCore
import MailEngine
import MailTypes

/// `log tail`: the last events, then new ones as they are committed. Without a node nothing new can come, and it ends.
package struct LogTail: AdministrationCommand {
    package static let words = "log tail"

    package var account: String?
    package var mailbox: String?
    package var uid: UInt32?
    /// How many events of the past to begin with.
    package var count: Int
    package var follows: Bool

    package init(
        account: String? = nil, mailbox: String? = nil, uid: UInt32? = nil, count: Int = 20, follows: Bool = true
    ) {
        self.account = account
        self.mailbox = mailbox
        self.uid = uid
        self.count = count
        self.follows = follows
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        guard (0...100_000).contains(count) else {
            throw AdministrationFailure("--count is between 0 and 100000", .usage)
        }
        let filter = try LogFilter(account: account, mailbox: mailbox, uid: uid, session)
        let (lines, end) = try last(filter, session)
        for line in lines { try session.item(line.text, line.value) }
        if follows, session.backend.serves { try follow(LogPages(after: end, filter: filter), session) }
        return nil
    }

    private func last(_ filter: LogFilter, _ session: AdministrationSession) throws -> ([LogLine], Cursor) {
        try session.engine.read { state in
            var events: [LoggedEvent] = []
            let head = state.head
            if let account = filter.account {
                try state.history(account) { logged in
                    if events.count < count, filter.accepts(logged.event, of: account) { events.append(logged) }
                    return events.count < count
                }
                events.reverse()
            } else if count > 0 {
                // Seals lie between events, so look back further than `count` until enough are found.
                var span = UInt64(count) * 2
                while events.count < count {
                    let start = head.rawValue > span ? head.rawValue - span : 0
                    events = []
                    try state.log(after: Cursor(start)) { logged in
                        events.append(logged)
                        return true
                    }
                    if start == 0 { break }
                    span *= 2
                }
                events = Array(events.suffix(count))
            }
            var names = NameLookup(state)
            return (try events.map { try LogLine($0, &names) }, head)
        }
    }

    private func follow(_ start: LogPages, _ session: AdministrationSession) throws {
        var pages = start
        let news = DispatchSemaphore(value: 0)
        let subscription = session.engine.subscribeAll { _ in news.signal() }
        defer { subscription.cancel() }
        while !session.isCancelled {
            for line in try pages.next(session.engine) { try session.item(line.text, line.value) }
            // The time-out is for noticing that whoever asked has gone.
            if pages.reachedEnd { _ = news.wait(timeout: .now() + .milliseconds(500)) }
        }
    }
}
