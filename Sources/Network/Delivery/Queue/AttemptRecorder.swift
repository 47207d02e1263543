// Writes down what came of an attempt, together with what follows from it: the reports to the sender.
//
// One request holds both, and a report is left out when the record is refused: so it is neither lost nor made twice.
import EventStore
import Logging
import MailCore
import MailEngine
import MailTypes
import NIOPosix
import SMTP

struct AttemptRecorder: Sendable {
    let engine: MailEngine
    var options: DeliveryOptions
    let log: Logger
    let fileThreads: NIOThreadPool
    let inbox: @Sendable (String) throws -> LocalRecipient
    /// The engine, but for tests of one that takes nothing.
    let submit: @Sendable (Request) async -> [CommandOutcome]
    /// Told of results once they are recorded.
    let recorded: @Sendable ([RecipientResult]) -> Void

    /// What became of a record.
    enum Recording: Sendable {
        /// On stable storage, or of no use any more: the entry has gone.
        case done
        /// What happened is written nowhere, and the queue shows the message as it was.
        case failed
        /// Nor will anything be until the node is started again.
        case stopped

        func worse(_ other: Recording) -> Recording {
            if self == .stopped || other == .stopped { return .stopped }
            return self == .failed ? .failed : other
        }
    }

    /// The header of a stored message from `start` on, whole lines, for a report.
    static func header(of body: any BodyHandle, from start: Int = 0) throws(StoreError) -> [UInt8] {
        var octets: [UInt8] = []
        try body.read(at: start, count: DeliveryLimits.reportHeaderOctetsMax, into: &octets)
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

    /// The message as it is stored: what goes to mailboxes here, and what a report carries back.
    struct Original: Sendable {
        var body: any BodyHandle
        var nature: BodyNature
    }

    func record(_ message: QueuedMessage, _ results: [RecipientResult], _ original: Original?) async -> Recording {
        guard !results.isEmpty else { return .done }
        let now = engine.clock()
        let settled = results.map { settle($0, message, now) }
        var items: [Request.Item] = []
        for (kind, members) in Dictionary(grouping: settled, by: \.kind) {
            items.append(item(message, kind, members, now))
        }
        return recording(await perform(items, reportingOn: settled, of: message, original, now))
    }

    func recording(_ outcomes: [CommandOutcome]) -> Recording {
        switch outcomes.first {
        case .failed(.stopped)?: .stopped
        case .failed?, nil: .failed
        case .done?, .duplicate?, .refused?: .done
        }
    }

    /// Performs what an attempt led to, with the reports that its results make necessary behind it, in one request; counts
    /// and logs what is recorded.
    ///
    /// Until it is taken, or the engine takes no more: what is not recorded would be sent again. So a node whose disk is full
    /// holds what it knows, for at most `messagesMax` messages, and tries again; it ends with the engine.
    func perform(
        _ items: [Request.Item], bodies: [any BodySource] = [], reportingOn results: [RecipientResult],
        of message: QueuedMessage, _ original: Original?, _ now: Timestamp
    ) async -> [CommandOutcome] {
        var pauseSeconds: UInt64 = 1
        while true {
            let outcomes = await tried(items, bodies, results, message, original, now)
            switch outcomes.first {
            case .failed(.busy)?, .failed(.full)?:
                if pauseSeconds > 1 {
                    log.warning("an attempt cannot be recorded yet: the node is busy or its disk full")
                }
                try? await Task.sleep(nanoseconds: pauseSeconds * 1_000_000_000)
                pauseSeconds = min(pauseSeconds * 4, DeliveryLimits.recordingPauseSecondsMax)
                continue
            case .failed(let failure)?:
                log.error("an attempt could not be recorded", metadata: ["failure": "\(failure)"])
            // A refusal means that the entry went meanwhile, or that the mailbox here takes nothing: told where that is seen.
            case .done?: note(results, message)
            default: break
            }
            return outcomes
        }
    }

    private func tried(
        _ items: [Request.Item], _ bodies: [any BodySource], _ results: [RecipientResult], _ message: QueuedMessage,
        _ original: Original?, _ now: Timestamp
    ) async -> [CommandOutcome] {
        var request = Request(items, bodies: bodies, origin: Origin(gateway: .engine))
        for (kind, reported) in reports(on: results, message, now) {
            do {
                let body = try await self.body(kind, reported, message, original, now)
                request.items += report(to: message, body: request.bodies.count)
                request.bodies.append(body)
            } catch {
                return items.map { _ in .failed(error) }
            }
        }
        return await submit(request)
    }

    private func note(_ results: [RecipientResult], _ message: QueuedMessage) {
        recorded(results)
        for (kind, members) in Dictionary(grouping: results, by: \.kind) {
            log.info(
                "delivery attempt",
                metadata: [
                    "queue": "\(message.id.rawValue)", "result": "\(kind.fate)", "recipients": "\(members.count)",
                    "host": "\(members[0].isHere ? "here" : kind.remoteHost)", "code": "\(kind.code)",
                    "text": "\(kind.text)",
                ])
        }
    }

    /// What has waited too long comes back.
    private func settle(_ result: RecipientResult, _ message: QueuedMessage, _ now: Timestamp) -> RecipientResult {
        guard result.fate == .deferred else { return result }
        var result = result
        let wishes = message.entry.wishes
        let since = max(message.entry.accepted, wishes.holdUntil ?? message.entry.accepted)
        if now.rawValue - since.rawValue > options.lifetime.nanoseconds / 1_000_000 { result.fate = .bounced }
        if let until = wishes.deliverBy, wishes.flags.contains(.deliverByReturn), now >= until {
            // RFC 2852 section 4.1.3.
            result.fate = .bounced
            let why = result.reply.map { "\($0.code) \($0.text)" } ?? result.text
            result.reply = SMTPServerReply(
                550, .init(5, 4, 7), lines: ["the time in which it was to be delivered is over; last: \(why)"])
            result.remoteHost = ""
        }
        return result
    }

    func item(
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
            let attempts = members.map { Int(message.recipient($0.index).attempts) + 1 }.min() ?? 1
            let delay = options.retryDelay(afterAttempts: attempts).nanoseconds / 1_000_000
            var until = Timestamp(milliseconds: now.rawValue + delay)
            // That moment has its own consequences.
            if let limit = message.entry.wishes.deliverBy, limit > now { until = min(until, limit) }
            outcome = .deferred(until: until)
        }
        return Request.Item(.queue, .recordAttempt(QueueAttempt(result: result, outcome: outcome)))
    }

    // MARK: Reports

    private func reports(
        on results: [RecipientResult], _ message: QueuedMessage, _ now: Timestamp
    ) -> [(DeliveryReport.Kind, [RecipientResult])] {
        // RFC 5321 section 6.1: the null sender gets none.
        guard !message.entry.mailFrom.isEmpty else { return [] }
        let wishes = message.entry.wishes
        let isLate = message.isLate(at: now)
        let failed = results.filter { $0.fate == .bounced && message.recipient($0.index).notify.wantsFailure }
        let delayed = results.filter {
            let recipient = message.recipient($0.index)
            guard $0.fate == .deferred, recipient.notify.wantsDelay else { return false }
            return isLate || Int(recipient.attempts) + 1 == options.attemptsBeforeWarning
        }
        let passedOn = results.filter { result in
            let notify = message.recipient(result.index).notify
            guard result.fate == .delivered, notify != .never else { return false }
            // RFC 3461 section 5.2.2: whoever takes over the duty to report is not forestalled.
            if notify.wantsSuccess, result.isHere || !result.relayed.contains(.reports) { return true }
            guard wishes.deliverBy != nil, !result.isHere else { return false }
            // RFC 2852 sections 4.1.4 and 4.1.4.2.
            return wishes.flags.contains(.deliverByTrace)
                || (!wishes.flags.contains(.deliverByReturn) && !result.relayed.contains(.deliverBy) && !isLate)
        }
        return [(.failure, failed), (.delay, delayed), (.success, passedOn)].filter { !$0.1.isEmpty }
    }

    /// Reports go to the sender, whose mailbox is here or elsewhere. One that his mailbox does not take, now or by the time
    /// of the commit, waits in the queue, and leaves for no other host: it was to stay here.
    private func report(to message: QueuedMessage, body: Int) -> [Request.Item] {
        let sender = message.entry.mailFrom
        // RFC 8689 section 5.
        var flags = message.entry.wishes.flags.intersection(.requireTLS)
        let local = try? inbox(sender)
        switch local {
        case .mailbox, .refused: flags.insert(.inward)
        case .elsewhere, nil: break
        }
        let enqueue = Enqueue(body: body, mailFrom: "", recipients: [sender], wishes: QueueWishes(flags: flags))
        guard case .mailbox(let account, let mailbox)? = local else {
            return [Request.Item(.queue, .enqueue(enqueue), needsPrevious: true)]
        }
        let append = AppendMessages(
            mailbox: mailbox, messages: [NewMessage(body: body)], origin: .smtp, envelopeFrom: "", envelopeTo: sender)
        return [
            Request.Item(account, .append(append), needsPrevious: true),
            Request.Item(.queue, .enqueue(enqueue), standsIn: true),
        ]
    }

    private func body(
        _ kind: DeliveryReport.Kind, _ results: [RecipientResult], _ message: QueuedMessage, _ original: Original?,
        _ now: Timestamp
    ) async throws(EngineFailure) -> any BodySource {
        let entry = message.entry
        let attempt = results.map { message.recipient($0.index).attempts }.max() ?? 0
        let until = Timestamp(milliseconds: entry.accepted.rawValue + options.lifetime.nanoseconds / 1_000_000)
        var report = DeliveryReport(
            kind: kind, hostName: options.hostName,
            id: "\(message.id.rawValue).\(attempt).\(results[0].index).\(kind.letter)",
            date: Self.date(now), arrival: Self.date(entry.accepted), sender: entry.mailFrom,
            recipients: results.map {
                let recipient = message.recipient($0.index)
                return ReportedRecipient(
                    address: recipient.address, reply: $0.reply, text: $0.text, remoteHost: $0.remoteHost,
                    original: recipient.original, isHere: $0.isHere)
            }, header: [], triedUntil: kind == .delay ? Self.date(until) : nil)
        report.envelopeID = entry.wishes.envelopeID
        let flags = entry.wishes.flags
        if let original, kind == .failure, flags.contains(.returnFull), !flags.contains(.requireTLS),
            !flags.contains(.binary), original.body.size <= DeliveryLimits.reportMessageOctetsMax
        {
            report.whole = DeliveryReport.Whole(is8Bit: original.nature.is8Bit)
        }
        let drawn = report
        do {
            return try await fileThreads.runIfActive { [engine] in
                try Self.write(drawn, original, engine.makeBody())
            }
        } catch is CancellationError {
            throw .stopped("the node ends")
        } catch {
            guard original != nil else { throw .full }
        }
        // A message that cannot be read is told of without it.
        return try await body(kind, results, message, nil, now)
    }

    /// Not on an event loop.
    private static func write(
        _ report: DeliveryReport, _ original: Original?, _ writer: BodyWriter
    ) throws -> any BodySource {
        // As if it had come from elsewhere: the first line is ours to write at delivery, and is cut off when it is relayed.
        try writer.append(Array("Return-Path: <>\r\n".utf8))
        var report = report
        if let original, report.whole == nil {
            report.header = try header(of: original.body, from: original.nature.start)
        }
        try writer.append(report.prologue)
        if let original, report.whole != nil {
            var offset = original.nature.start
            while offset < original.body.size {
                var octets: [UInt8] = []
                try original.body.read(at: offset, count: DeliveryLimits.bodyRunOctets, into: &octets)
                guard !octets.isEmpty else { break }
                offset += octets.count
                try writer.append(octets)
            }
        } else {
            try writer.append(report.header)
        }
        try writer.append(report.epilogue)
        return try writer.finish()
    }

    private static func date(_ time: Timestamp) -> String { MailDate.text(InternalDate(time: time)) }
}

extension QueuedMessage {
    /// RFC 2852 section 4.1.3: the attempt at which the sender is told that the time is over, which comes once. The one
    /// before put the next off to that very moment; or it was over when the message came.
    func isLate(at now: Timestamp) -> Bool {
        guard let until = entry.wishes.deliverBy, now >= until, !entry.wishes.flags.contains(.deliverByReturn) else {
            return false
        }
        return entry.nextAttempt == until
            || (until <= entry.accepted && entry.recipients.allSatisfy { $0.attempts == 0 })
    }
}

extension DeliveryReport.Kind {
    fileprivate var letter: String {
        switch self {
        case .failure: "f"
        case .delay: "d"
        case .success: "s"
        }
    }
}
