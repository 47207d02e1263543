// One attempt at the recipients of one domain: its hosts in turn.
import EventStore
import MailCore
import MailEngine
import MailTypes
import NIOPosix
import SMTP

/// Carries an attempt out for the recipients of one domain.
struct DomainAttempt: Sendable {
    let message: QueuedMessage
    let indexes: [UInt16]
    let domain: String
    /// Of the domain.
    let destination: String
    let body: any BodyHandle
    let nature: BodyNature
    let router: Router
    let pool: OutboundPool
    let now: Timestamp

    func run() async -> [RecipientResult] {
        guard !domain.isEmpty else {
            return indexes.map {
                .failed($0, SMTPServerReply(553, .init(5, 1, 3), lines: ["the address cannot be read"]))
            }
        }
        if let lease = await pool.take(line) {
            let results = await send(over: lease, indexes)
            // A kept connection that broke tells nothing about the host: those recipients get a fresh one. Nor does one
            // host that lacks something tell about the others.
            let again = results.filter { $0.isIncapable || ($0.fate == .deferred && $0.reply == nil) }.map(\.index)
            guard !again.isEmpty else { return results }
            return results.filter { !again.contains($0.index) } + (await connectAndSend(again))
        }
        return await connectAndSend(indexes)
    }

    /// Connections are kept by it: one that was verified carries what demands that, and nothing else.
    private var line: String { (message.requiresTLS ? "TLS " : "") + destination }

    private func connectAndSend(_ indexes: [UInt16]) async -> [RecipientResult] {
        let hops: [NextHop]
        switch await router.route(to: domain, requiresTLS: message.requiresTLS) {
        case .hosts(let found): hops = found
        case .failed(let reply): return indexes.map { .failed($0, reply) }
        case .deferred(let text): return indexes.map { .deferred($0, text) }
        }
        var done: [RecipientResult] = []
        var rest = indexes
        var last: [UInt16: RecipientResult] = [:]
        for hop in hops where !rest.isEmpty {
            let (lease, failure) = await connect(to: hop)
            guard let lease else {
                for index in rest {
                    last[index] = failure.map { $0(index) } ?? .deferred(index, "no address of \(hop.host)")
                }
                continue
            }
            let results = await send(over: lease, rest)
            // What one host puts off another may take (RFC 5321 section 5.1); what one refuses for good is refused.
            done += results.filter { !$0.leavesHope }
            for result in results where result.leavesHope { last[result.index] = result }
            rest = results.filter(\.leavesHope).map(\.index)
        }
        return done + rest.map { last[$0] ?? .deferred($0, "no host of \(domain) could be reached") }
    }

    private typealias Failure = @Sendable (UInt16) -> RecipientResult

    private func connect(to hop: NextHop) async -> (OutboundLease?, Failure?) {
        let addresses: [String]
        switch await router.addresses(of: hop) {
        case .found(let found): addresses = Array(found.prefix(DeliveryLimits.addressesPerHostMax))
        case .noName, .noRecords: return (nil, { .deferred($0, "\(hop.host) has no address", remoteHost: hop.host) })
        case .failed(let reason):
            return (nil, { .deferred($0, "cannot look up \(hop.host): \(reason)", remoteHost: hop.host) })
        }
        var failure: Failure?
        for address in addresses {
            do {
                let lease = try await pool.connect(
                    host: hop.host, address: address, port: hop.port, requiresTLS: message.requiresTLS)
                return (lease, nil)
            } catch let error as OutboundFailure {
                failure = self.failure(error, at: hop)
            } catch {
                failure = { .deferred($0, "cannot connect to \(hop.host) [\(address)]", remoteHost: hop.host) }
            }
        }
        return (nil, failure)
    }

    private func failure(_ error: OutboundFailure, at hop: NextHop) -> Failure {
        let (text, refusal) = (error.text, error.permanent)
        if message.requiresTLS, error.isAboutTLS {
            // RFC 8689 section 4.2.1.
            let reply = SMTPServerReply(550, .init(5, 7, 10), lines: ["TLS is required, and \(hop.host): \(text)"])
            return { RecipientResult($0, .incapable(reply), remoteHost: hop.host) }
        }
        // A host that refuses every mail for good is like one that cannot be reached: another may take it.
        return { index in
            var result = RecipientResult.deferred(index, text, remoteHost: hop.host)
            result.reply = refusal.map { SMTPServerReply(450, nil, lines: ["\($0.code) \($0.text)"]) }
            return result
        }
    }

    private func send(over lease: OutboundLease, _ indexes: [UInt16]) async -> [RecipientResult] {
        var lease = lease
        var results: [RecipientResult] = []
        var rest = indexes[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(lease.recipientsMax))
            rest = rest.dropFirst(part.count)
            let envelope = envelope(part)
            let outcomes = await lease.send(OutboundMessage(message: envelope, body: body, start: nature.start))
            lease.messages += 1
            let duties = lease.features.duties(of: envelope)
            results += zip(part, outcomes).map { index, outcome in
                var result = RecipientResult(index, outcome, remoteHost: lease.remote)
                result.relayed = duties
                return result
            }
        }
        await pool.give(lease, to: line)
        return results
    }

    /// What was accepted before domains had one form gets it on its way out, and may need no SMTPUTF8 then.
    private static func canonical(_ address: String) -> String { Address(address)?.description ?? address }

    private func envelope(_ part: [UInt16]) -> SMTPClientMessage {
        let recipients = part.map { message.recipient($0) }
        let sender = Self.canonical(message.entry.mailFrom)
        let addresses = recipients.map { Self.canonical($0.address) }
        let wishes = message.entry.wishes
        let needsUTF8 =
            nature.hasUTF8Header
            || !sender.utf8.allSatisfy { $0 < 0x80 }
            || !addresses.allSatisfy { $0.utf8.allSatisfy { $0 < 0x80 } }
        var envelope = SMTPClientMessage(
            sender: sender, recipients: addresses, octets: body.size - nature.start,
            is8Bit: nature.is8Bit, needsUTF8: needsUTF8)
        envelope.isBinary = wishes.flags.contains(.binary)
        envelope.wantsRequireTLS = wishes.flags.contains(.requireTLS)
        envelope.mustRequireTLS = message.requiresTLS
        envelope.envelopeID = wishes.envelopeID
        if wishes.flags.contains(.returnFull) { envelope.returns = .full }
        if wishes.flags.contains(.returnHeaders) { envelope.returns = .headers }
        envelope.notify = recipients.map { $0.notify.text }
        envelope.originals = recipients.map(\.original)
        if let until = wishes.deliverBy {
            // RFC 2852 section 4.1.4: what is left, in whole seconds, perhaps less than nothing.
            let left = (until.rawValue - now.rawValue) / 1000
            envelope.deliverBy = SMTPDeliverBy(
                seconds: Int(clamping: left), mode: wishes.flags.contains(.deliverByReturn) ? .return : .notify,
                isTraced: wishes.flags.contains(.deliverByTrace))
        }
        return envelope
    }
}

extension QueueNotify {
    /// As in RCPT (RFC 3461 section 4.1); empty when nobody said.
    var text: String {
        if contains(.never) { return "NEVER" }
        var words: [String] = []
        if contains(.success) { words.append("SUCCESS") }
        if contains(.failure) { words.append("FAILURE") }
        if contains(.delay) { words.append("DELAY") }
        return words.joined(separator: ",")
    }
}
