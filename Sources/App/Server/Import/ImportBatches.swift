import EventStore
import MailCore
import MailEngine
import MailTypes

/// Messages of files on their way into one mailbox: appended in batches, and compared afterwards with what was meant.
struct ImportBatches<Source> {
    private let desk: ImportDesk
    private let account: AccountID
    private let target: ImportMailbox
    /// The source's; nil when it says none.
    private let sourceNext: UInt32?
    /// UIDs from here on can be kept.
    private var nextUID: UInt32
    private var messages: [NewMessage] = []
    private var bodies: [any BodySource] = []
    private var waiting: [Source] = []
    private var pendingOctets = 0
    /// What was appended, with the UIDs it got.
    private var placed: [(source: Source, uid: UID)] = []

    init(_ desk: ImportDesk, _ account: AccountID, into target: ImportMailbox, sourceNext: UInt32?) {
        self.sourceNext = sourceNext
        self.desk = desk
        self.account = account
        self.target = target
        nextUID = target.uidNext
    }

    /// - Parameters:
    ///   - message: its body and its UID are seen to here.
    ///   - uid: in the source. One below those that are there, or behind a message without one, cannot be kept, nor any
    ///     after it: they get numbers that the source has not given.
    mutating func add(
        _ message: NewMessage, uid: UID?, _ body: any BodySource, from source: Source, _ report: inout FolderReport
    ) throws {
        var message = message
        if target.keepsUIDs, let uid, uid.rawValue >= nextUID, uid.rawValue < .max {
            message.uid = uid
            nextUID = uid.rawValue + 1
        } else {
            if target.keepsUIDs, nextUID < .max {
                try flush(&report)
                try target.keepNextUID(sourceNext, account, desk, &report)
            }
            if target.keepsUIDs, uid != nil { report.renumbered += 1 }
            nextUID = .max
        }
        message.body = bodies.count
        messages.append(message)
        bodies.append(body)
        waiting.append(source)
        pendingOctets += body.count
        let isFull =
            messages.count == ServerLimits.importMessagesPerCommandMax
            || pendingOctets >= ServerLimits.importOctetsPerCommandMax
        if isFull { try flush(&report) }
    }

    mutating func flush(_ report: inout FolderReport) throws {
        guard !messages.isEmpty else { return }
        let append = AppendMessages(mailbox: target.id, messages: messages, origin: .import)
        let result = try desk.perform(account, .append(append), bodies: bodies)
        if case .appended(_, let uids) = result { placed += zip(waiting, uids).map { (source: $0, uid: $1) } }
        report.imported += messages.count
        report.octets += pendingOctets
        messages = []
        bodies = []
        waiting = []
        pendingOctets = 0
        try desk.reached(.batchAppended)
    }

    /// Calls `body` with everything that was appended and is still there.
    func compare(_ body: (Source, MessageRow, Set<Keyword>) -> Void) throws {
        var rest = placed[...]
        while !rest.isEmpty {
            let slice = rest.prefix(ServerLimits.eventsPerSnapshotMax)
            rest = rest.dropFirst(slice.count)
            try desk.engine.read { state in
                for (source, uid) in slice {
                    guard let row = try state.message(account, target.id, uid) else { continue }
                    body(source, row, try state.importedKeywords(account, target.id, uid, row))
                }
            }
        }
    }
}
