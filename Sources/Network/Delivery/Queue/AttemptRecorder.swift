// Writes down what came of an attempt, together with what follows from it: the report to the sender, or a copy in a
// mailbox of this node.
import EventStore
import Logging
import MailCore
import MailEngine
import MailTypes
import SMTP

struct AttemptRecorder: Sendable {
    let engine: MailEngine
    let options: DeliveryOptions
    let log: Logger
    let inbox: @Sendable (String) throws -> (account: AccountID, mailbox: MailboxID)?

    /// The header of a stored message, whole lines, for a report.
    static func header(of body: any BodyHandle) throws(StoreError) -> [UInt8] {
        var octets: [UInt8] = []
        try body.read(at: 0, count: DeliveryLimits.reportHeaderOctetsMax, into: &octets)
        var end = 0
        var start = 0
        while start < octets.count, let lineFeed = octets[start...].firstIndex(of: 0x0A) {
            // The empty line that ends the header is not part of it.
            if octets[start..<lineFeed].allSatisfy({ $0 == 0x0D }) { break }
            end = lineFeed + 1
            start = end
        }
        return Array(octets[..<end])
    }

    // MARK: Here

    /// Delivers to a recipient whose address is ours, in one transaction with the record of it.
    /// - Returns: whether it was ours to deal with.
    func deliverHere(_ message: QueuedMessage, _ index: UInt16) async -> Bool {
        let recipient = message.entry.recipients[Int(index)].address
        guard let target = try? inbox(recipient) else { return false }
        var bodies: [any BodySource] = []
        do {
            bodies = [try StoredBody(engine: engine, blob: message.entry.blob)]
        } catch {
            return false
        }
        let append = AppendMessages(
            mailbox: target.mailbox, messages: [NewMessage(body: 0)], origin: .smtp,
            envelopeFrom: message.entry.mailFrom, envelopeTo: recipient)
        let result = QueueResult(id: message.id, recipients: [index], code: 250, remoteHost: "", text: "delivered here")
        let request = Request(
            [
                Request.Item(target.account, .append(append)),
                Request.Item(.queue, .recordAttempt(QueueAttempt(result: result, outcome: .delivered))),
            ], bodies: bodies, origin: Origin(gateway: .engine))
        let outcomes = await perform(request)
        if case .refused(let refusal)? = outcomes.first {
            log.warning("a queued message was refused by a mailbox here", metadata: ["refusal": "\(refusal)"])
        }
        return true
    }

    // MARK: Elsewhere

    func record(_ message: QueuedMessage, _ results: [RecipientResult], header: [UInt8]) async {
        guard !results.isEmpty else { return }
        let now = engine.clock()
        let age = now.rawValue - message.entry.accepted.rawValue
        let isExpired = age > options.lifetime.nanoseconds / 1_000_000
        var settled = results
        for place in settled.indices where isExpired && settled[place].fate == .deferred {
            settled[place].fate = .bounced
        }

        var items: [Request.Item] = []
        for (kind, members) in Dictionary(grouping: settled, by: \.kind) {
            items.append(item(message, kind, members, now))
            log.info(
                "delivery attempt",
                metadata: [
                    "queue": "\(message.id.rawValue)", "result": "\(kind.fate)", "recipients": "\(members.count)",
                    "host": "\(kind.remoteHost)", "code": "\(kind.code)", "text": "\(kind.text)",
                ])
        }
        var bodies: [any BodySource] = []
        addReport(.failure, settled.filter { $0.fate == .bounced }, message, header, now, &items, &bodies)
        let delayed = settled.filter {
            $0.fate == .deferred
                && Int(message.entry.recipients[Int($0.index)].attempts) + 1 == options.attemptsBeforeWarning
        }
        addReport(.delay, delayed, message, header, now, &items, &bodies)
        _ = await perform(Request(items, bodies: bodies, origin: Origin(gateway: .engine)))
    }

    private func item(
        _ message: QueuedMessage, _ kind: RecipientResult.Kind, _ members: [RecipientResult], _ now: Timestamp
    ) -> Request.Item {
        let result = QueueResult(
            id: message.id, recipients: members.map(\.index), code: kind.code, remoteHost: kind.remoteHost,
            text: kind.text)
        let outcome: QueueAttempt.Outcome
        switch kind.fate {
        case .delivered: outcome = .delivered
        case .bounced: outcome = .bounced
        case .deferred:
            let attempts = members.map { Int(message.entry.recipients[Int($0.index)].attempts) + 1 }.min() ?? 1
            let delay = options.retryDelay(afterAttempts: attempts).nanoseconds / 1_000_000
            outcome = .deferred(until: Timestamp(milliseconds: now.rawValue + delay))
        }
        return Request.Item(.queue, .recordAttempt(QueueAttempt(result: result, outcome: outcome)))
    }

    /// Reports go to the sender, whose mailbox is here or elsewhere; the null sender gets none.
    private func addReport(
        _ kind: DeliveryReport.Kind, _ results: [RecipientResult], _ message: QueuedMessage, _ header: [UInt8],
        _ now: Timestamp, _ items: inout [Request.Item], _ bodies: inout [any BodySource]
    ) {
        let sender = message.entry.mailFrom
        guard !results.isEmpty, !sender.isEmpty else { return }
        let attempt = results.map { message.entry.recipients[Int($0.index)].attempts }.max() ?? 0
        let until = Timestamp(milliseconds: message.entry.accepted.rawValue + options.lifetime.nanoseconds / 1_000_000)
        let report = DeliveryReport(
            kind: kind, hostName: options.hostName,
            id: "\(message.id.rawValue).\(attempt).\(results[0].index).\(kind == .failure ? "f" : "d")",
            date: Self.date(now), arrival: Self.date(message.entry.accepted), sender: sender,
            recipients: results.map {
                ReportedRecipient(
                    address: message.entry.recipients[Int($0.index)].address, reply: $0.reply, text: $0.text,
                    remoteHost: $0.remoteHost)
            }, header: header, triedUntil: kind == .delay ? Self.date(until) : nil)
        let place = bodies.count
        if let target = try? inbox(sender) {
            let trace = Array("Return-Path: <>\r\n".utf8)
            bodies.append(MemoryBody(trace + report.octets))
            let append = AppendMessages(
                mailbox: target.mailbox, messages: [NewMessage(body: place)], origin: .smtp, envelopeFrom: "",
                envelopeTo: sender)
            items.append(Request.Item(target.account, .append(append)))
        } else {
            bodies.append(MemoryBody(report.octets))
            items.append(Request.Item(.queue, .enqueue(Enqueue(body: place, mailFrom: "", recipients: [sender]))))
        }
    }

    private static func date(_ time: Timestamp) -> String { MailDate.text(InternalDate(time: time)) }

    /// Until it is taken, or the engine takes no more: what is not recorded would be sent again.
    private func perform(_ request: Request) async -> [CommandOutcome] {
        for delaySeconds: UInt64 in [1, 5, 30, 60, 60, 60, 60, 60, 60, 60] {
            let outcomes = await engine.perform(request)
            switch outcomes.first {
            case .failed(.busy)?, .failed(.full)?: try? await Task.sleep(nanoseconds: delaySeconds * 1_000_000_000)
            case .failed(let failure)?:
                log.error("an attempt could not be recorded", metadata: ["failure": "\(failure)"])
                return outcomes
            default: return outcomes
            }
        }
        log.error("an attempt could not be recorded: the node is too busy or its disk full")
        return []
    }
}

/// A stored body as the source of a copy.
final class StoredBody: BodySource {
    let count: Int
    let hash: ContentHash
    private let handle: any BodyHandle

    init(engine: MailEngine, blob: BlobNumber) throws {
        guard let reference = try engine.read({ try $0.body(blob) }) else {
            throw StoreError.damaged("body \(blob.rawValue) of the queue is not there")
        }
        handle = try engine.openBody(blob)
        count = Int(reference.size)
        hash = reference.hash
    }

    func read(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) {
        var offset = 0
        while offset < count {
            var octets: [UInt8] = []
            try handle.read(at: offset, count: min(1 << 20, count - offset), into: &octets)
            guard !octets.isEmpty else { throw .damaged("a queued body ends at \(offset) of \(count) octets") }
            offset += octets.count
            let result: Result<Void, StoreError> = octets.withUnsafeBytes { bytes in
                do throws(StoreError) {
                    return .success(try body(bytes))
                } catch {
                    return .failure(error)
                }
            }
            try result.get()
        }
    }
}
