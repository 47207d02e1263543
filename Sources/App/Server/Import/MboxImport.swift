// One mbox file on its way into a mailbox: read in pieces, bodies streamed to the engine, appended in batches.
//
// A message that cannot be taken is listed and left out; what stops a batch (quota, a full disk) ends the import, and
// what was appended before stays. A mailbox that is missing is made with the UIDVALIDITY that the file names, and then
// its messages keep their UIDs; into a mailbox that is there they get new ones.
import EventStore
import Foundation
import MIME
import MailCore
import MailEngine
import MailTypes

final class MboxImport {
    private let session: AdministrationSession
    private let account: AccountID
    private let name: MailboxName
    private var mailbox: MailboxID?
    private var keepsUIDs = false
    private var lastUID: UInt32 = 0

    private var date: InternalDate?
    private var body: BodyWriter?
    private var bodyFailure: String?

    private var messages: [NewMessage] = []
    private var bodies: [any BodySource] = []
    private var pendingOctets = 0

    private(set) var imported = 0
    private(set) var octets = 0
    private(set) var failed = 0

    init(_ session: AdministrationSession, account: AccountID, mailbox: MailboxName) {
        self.session = session
        self.account = account
        name = mailbox
    }

    func read(_ path: String) throws {
        mailbox = try session.engine.read { try $0.mailboxID(account, named: name) }
        let handle = try InputFile.open(path)
        let size = Int(clamping: (try? handle.seekToEnd()) ?? 0)
        try? handle.seek(toOffset: 0)
        var reader = MboxReader(dropsStatusFields: true)
        var seen = 0
        while let chunk = try handle.read(upToCount: 1 << 18), !chunk.isEmpty {
            try chunk.withUnsafeBytes { try reader.consume($0, take) }
            seen += chunk.count
            try session.progress(seen, of: size > 0 ? size : nil)
            if session.isCancelled { throw AdministrationFailure("the import was interrupted") }
        }
        try reader.finish(take)
        if reader.messages == 0, reader.strayOctets > 0 {
            throw AdministrationFailure("\(path) is no mbox: no line `From sender date` begins a message")
        }
        try flush()
        if reader.strayOctets > 0 {
            try session.note("\(reader.strayOctets) octets before the first message were passed over")
        }
    }

    private func take(_ event: MboxEvent) throws {
        switch event {
        case .began(let line):
            date = line.date
            body = session.engine.makeBody()
            bodyFailure = nil
        case .bytes(let bytes):
            guard bodyFailure == nil else { return }
            do {
                try body?.append(bytes)
            } catch {
                // A full spool ends the import; a message over the limit is left out.
                guard case .tooLarge = error else { throw error }
                bodyFailure = AdministrationFailure(error).text
            }
        case .ended(let status):
            try end(status)
        }
    }

    private func end(_ status: MboxStatus) throws {
        defer { body = nil }
        if mailbox == nil { try createMailbox(status) }
        if status.isMailboxData { return }
        if let bodyFailure { return try leaveOut(bodyFailure) }
        guard let source = try body?.finish() else { return }
        var message = NewMessage(
            body: bodies.count, flags: status.flags, keywords: status.keywords, internalDate: date)
        if keepsUIDs, let uid = status.uid, uid.rawValue > lastUID, uid.rawValue < .max {
            message.uid = uid
            lastUID = uid.rawValue
        }
        messages.append(message)
        bodies.append(source)
        pendingOctets += source.count
        let isFull =
            messages.count == ServerLimits.importMessagesPerCommandMax
            || pendingOctets >= ServerLimits.importOctetsPerCommandMax
        if isFull { try flush() }
    }

    private func createMailbox(_ status: MboxStatus) throws {
        func create(_ validity: UIDValidity?) throws -> CommandResult {
            try session.perform(
                account, .createMailbox(NewMailbox(name: name, subscribed: true, uidValidity: validity)))
        }
        let result: CommandResult
        do {
            result = try create(status.uidValidity)
            keepsUIDs = status.uidValidity != nil
        } catch Refusal.uidValidityNotAscending {
            result = try create(nil)
        }
        if case .mailbox(let id, _) = result { mailbox = id }
    }

    private func leaveOut(_ reason: String) throws {
        failed += 1
        guard failed <= ServerLimits.importErrorsListedMax else { return }
        let number = imported + messages.count + failed
        try session.item("message \(number): \(reason)", ["message": .count(number), "error": .string(reason)])
    }

    private func flush() throws {
        guard let mailbox, !messages.isEmpty else { return }
        let append = AppendMessages(mailbox: mailbox, messages: messages, origin: .import)
        _ = try session.perform(account, .append(append), bodies: bodies)
        imported += messages.count
        octets += pendingOctets
        messages = []
        bodies = []
        pendingOctets = 0
    }
}
