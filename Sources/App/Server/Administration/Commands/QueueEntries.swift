// `queue list` and `queue show`: what waits for other hosts, and why.
import EventStore
import MailCore
import MailEngine
import MailTypes

/// Which entries of the queue. What is given must all fit.
package struct QueueFilter: Codable, Sendable, Equatable {
    package var sender: String?
    /// Of a recipient that waits.
    package var domain: String?
    package var held: Bool

    package init(sender: String? = nil, domain: String? = nil, held: Bool = false) {
        self.sender = sender
        self.domain = domain
        self.held = held
    }

    package var isEmpty: Bool { self == QueueFilter() }

    func accepts(_ entry: QueueEntry) -> Bool {
        if held, !entry.isHeld { return false }
        if let sender, Self.key(entry.mailFrom) != Self.key(sender) { return false }
        guard let domain = domain.map({ DomainLabels.ascii($0) }) else { return true }
        return entry.recipients.contains { $0.state == .waiting && Address($0.address)?.domain == domain }
    }

    private static func key(_ sender: String) -> String {
        Address(sender)?.directoryKey ?? sender.lowercased()
    }
}

/// `queue list`: a line for each entry, by the moment of its next attempt.
package struct QueueList: AdministrationCommand {
    package static let words = "queue list"

    package var filter: QueueFilter
    package var limit: Int

    package init(_ filter: QueueFilter, limit: Int = ServerLimits.queueListedDefault) {
        self.filter = filter
        self.limit = limit
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        var found: [QueuePicture] = []
        var count = 0
        let wanted = min(max(limit, 0), ServerLimits.queueListedMax)
        try session.engine.read { state in
            try state.queue { id, entry in
                guard filter.accepts(entry) else { return true }
                count += 1
                if found.count < wanted { found.append(QueuePicture(id: id, entry: entry)) }
                return true
            }
        }
        let now = session.engine.clock()
        for picture in found { try session.item(picture.line(now), picture.value(now, session.configuration)) }
        if count > found.count {
            try session.note("\(count - found.count) more are not shown; --limit shows more")
        }
        return AdministrationResult(
            count == 1 ? "1 message waits" : "\(count) messages wait", ["waiting": .count(count)])
    }
}

/// `queue show`: everything about one entry.
package struct QueueShow: AdministrationCommand {
    package static let words = "queue show"

    package var id: UInt64

    package init(id: UInt64) { self.id = id }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        guard let entry = try session.engine.read({ try $0.queueEntry(QueueID(id)) }) else {
            throw Refusal.noSuchQueueEntry
        }
        let picture = QueuePicture(id: QueueID(id), entry: entry)
        let now = session.engine.clock()
        return AdministrationResult(
            picture.lines(now, session.configuration).joined(separator: "\n"),
            picture.value(now, session.configuration), isAnswer: true)
    }
}

/// An entry as it is shown.
struct QueuePicture {
    let id: QueueID
    let entry: QueueEntry

    private var waiting: [QueueEntry.Recipient] { entry.recipients.filter { $0.state == .waiting } }

    /// Why it waits, in one sentence.
    func reason(_ now: Timestamp) -> String {
        if entry.isHeld { return "held" }
        if let until = entry.wishes.holdUntil, until > now { return "not before \(until.text), as its sender asked" }
        let due = entry.nextAttempt <= now ? "due now" : "next try \(entry.nextAttempt.text)"
        guard let tried = waiting.first(where: { $0.attempts > 0 }) else { return due }
        return "\(due); \(tried.answer)"
    }

    func line(_ now: Timestamp) -> String {
        let people =
            waiting.count == 1
            ? "<\(waiting[0].address)>" : "\(waiting.count) of \(entry.recipients.count) recipients"
        return "\(id.rawValue)  <\(entry.mailFrom)> to \(people), \(entry.size) octets, since \(entry.accepted.text): "
            + reason(now)
    }

    func lines(_ now: Timestamp, _ configuration: NodeConfiguration) -> [String] {
        let wishes = entry.wishes
        var lines = [
            "id         \(id.rawValue)", "sender     <\(entry.mailFrom)>", "octets     \(entry.size)",
            "accepted   \(entry.accepted.text)", "waits      \(reason(now))",
        ]
        if let until = wishes.deliverBy { lines.append("not after  \(until.text)") }
        if wishes.flags.contains(.requireTLS) { lines.append("needs      TLS on every hop (REQUIRETLS)") }
        if !wishes.envelopeID.isEmpty { lines.append("envelope   \(wishes.envelopeID)") }
        for recipient in entry.recipients {
            lines.append("recipient  <\(recipient.address)> \(recipient.stateText), \(recipient.attemptsText)")
            if recipient.state == .waiting { lines.append("  route    \(configuration.route(to: recipient.address))") }
            if recipient.attempts > 0 { lines.append("  answer   \(recipient.answer)") }
        }
        return lines
    }

    func value(_ now: Timestamp, _ configuration: NodeConfiguration) -> JSONValue {
        [
            "id": .count(id.rawValue), "sender": .string(entry.mailFrom), "octets": .count(entry.size),
            "accepted": .string(entry.accepted.text), "held": .bool(entry.isHeld),
            "next_attempt": entry.isHeld ? .null : .string(entry.nextAttempt.text), "reason": .string(reason(now)),
            "not_before": .text(entry.wishes.holdUntil?.text), "not_after": .text(entry.wishes.deliverBy?.text),
            "require_tls": .bool(entry.wishes.flags.contains(.requireTLS)),
            "recipients": .array(
                entry.recipients.map { recipient in
                    [
                        "address": .string(recipient.address), "state": .string("\(recipient.state)"),
                        "attempts": .count(recipient.attempts), "code": .count(recipient.lastCode),
                        "host": .string(recipient.lastHost), "reply": .string(recipient.lastText),
                        "route": .string(configuration.route(to: recipient.address)),
                    ]
                }),
        ]
    }
}

extension QueueEntry.Recipient {
    fileprivate var stateText: String {
        switch state {
        case .waiting: "waits"
        case .delivered: "has it"
        case .bounced: "failed"
        }
    }

    fileprivate var attemptsText: String { attempts == 1 ? "1 attempt" : "\(attempts) attempts" }

    /// Of the last attempt.
    fileprivate var answer: String {
        let host = lastHost.isEmpty ? "" : "\(lastHost) "
        return lastCode == 0 ? "\(host)\(lastText)" : "\(host)said \(lastCode) \(lastText)"
    }
}

extension NodeConfiguration {
    /// In words; the hosts themselves are looked up at each attempt.
    fileprivate func route(to address: String) -> String {
        guard sending.enabled else { return "none: sending is off" }
        if let host = sending.smartHost { return "smart host \(host):\(sending.smartHostPort)" }
        guard let domain = Address(address)?.domain else { return "none: no domain" }
        return domain.hasPrefix("[") ? "host \(domain)" : "the mail hosts of \(domain)"
    }
}
