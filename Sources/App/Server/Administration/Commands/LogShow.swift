import EventStore
import MailCore
import MailEngine
import MailTypes

/// `log show`: events in the order of the log.
package struct LogShow: AdministrationCommand {
    package static let words = "log show"

    package var account: String?
    /// Needs `account`.
    package var mailbox: String?
    /// Needs `mailbox`.
    package var uid: UInt32?
    /// The first position to show.
    package var from: UInt64

    package init(account: String? = nil, mailbox: String? = nil, uid: UInt32? = nil, from: UInt64 = 1) {
        self.account = account
        self.mailbox = mailbox
        self.uid = uid
        self.from = from
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let filter = try LogFilter(account: account, mailbox: mailbox, uid: uid, session)
        let end = try session.engine.read { $0.head }
        var reader = LogPages(after: Cursor(from == 0 ? 0 : from - 1), filter: filter)
        while reader.position < end, !session.isCancelled {
            for line in try reader.next(session.engine) { try session.item(line.text, line.value) }
            if reader.reachedEnd { break }
        }
        return nil
    }
}

/// Reads the log page by page, a snapshot for each, so that a long answer holds none.
struct LogPages {
    private(set) var position: Cursor
    private(set) var reachedEnd = false
    let filter: LogFilter

    init(after position: Cursor, filter: LogFilter) {
        self.position = position
        self.filter = filter
    }

    /// The lines of the next page; it may be empty before the end.
    mutating func next(_ engine: MailEngine) throws -> [LogLine] {
        var page = self
        let lines = try engine.read { state -> [LogLine] in
            var events: [LoggedEvent] = []
            var seen = 0
            try state.log(after: page.position) { logged in
                seen += 1
                page.position = logged.cursor
                if page.filter.accepts(logged.event, of: logged.context.account) { events.append(logged) }
                return seen < ServerLimits.eventsPerSnapshotMax
            }
            page.reachedEnd = seen < ServerLimits.eventsPerSnapshotMax
            var names = NameLookup(state)
            return try events.map { try LogLine($0, &names) }
        }
        self = page
        return lines
    }
}

extension LogFilter {
    init(account: String?, mailbox: String?, uid: UInt32?, _ session: AdministrationSession) throws {
        if mailbox != nil, account == nil { throw AdministrationFailure("--mailbox needs --account", .usage) }
        if uid != nil, mailbox == nil { throw AdministrationFailure("--uid needs --mailbox", .usage) }
        guard let account else { return }
        let id = try session.logAccount(account)
        self.account = id
        self.mailbox = try mailbox.map { try session.logMailbox(id, $0) }
        self.uid = uid.map { UID($0) }
    }
}

extension AdministrationSession {
    /// An account by address, or by its number as `#17`, which finds a removed one too.
    func logAccount(_ text: String) throws -> AccountID {
        if text == "system" { return .system }
        if text == "queue" { return .queue }
        if text.hasPrefix("#"), let number = UInt32(text.dropFirst()) { return AccountID(number) }
        return try account(text).id
    }

    /// A mailbox by name, or by its number as `#3`, which finds a deleted one too.
    func logMailbox(_ account: AccountID, _ text: String) throws -> MailboxID {
        let digits = text.dropFirst().prefix { $0 != ":" }
        if text.hasPrefix("#"), let number = UInt32(digits) { return MailboxID(number) }
        return try mailbox(account, text)
    }
}
