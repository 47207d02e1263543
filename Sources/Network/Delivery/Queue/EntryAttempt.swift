// One attempt at one entry of the queue: its waiting recipients by domain, each domain at its hosts in turn.
import EventStore
import MailCore
import MailEngine
import MailTypes
import NIOPosix
import SMTP

/// An entry as it stood when the attempt began.
struct QueuedMessage: Sendable {
    let id: QueueID
    let entry: QueueEntry

    /// Recipients that wait, by the domain of their address; an address without one stands under the empty domain.
    var waitingByDomain: [(domain: String, indexes: [UInt16])] {
        var order: [String] = []
        var groups: [String: [UInt16]] = [:]
        for (index, recipient) in entry.recipients.enumerated() where recipient.state == .waiting {
            let domain = Address(recipient.address)?.domain ?? ""
            if groups[domain] == nil { order.append(domain) }
            groups[domain, default: []].append(UInt16(index))
        }
        return order.map { ($0, groups[$0] ?? []) }
    }
}

/// What the octets of a message ask of the next host.
struct BodyNature: Sendable {
    var is8Bit = false
    /// The header has octets above 127 (RFC 6532).
    var hasUTF8Header = false

    /// Reads the body once; not on an event loop.
    init(of body: any BodyHandle) throws(StoreError) {
        var offset = 0
        var isHeader = true
        var lineOctets = 0
        while offset < body.size {
            var octets: [UInt8] = []
            try body.read(at: offset, count: DeliveryLimits.bodyRunOctets, into: &octets)
            guard !octets.isEmpty else { return }
            offset += octets.count
            guard isHeader else {
                if octets.contains(where: { $0 >= 0x80 }) {
                    is8Bit = true
                    return
                }
                continue
            }
            for octet in octets {
                if octet >= 0x80 {
                    is8Bit = true
                    if isHeader { hasUTF8Header = true }
                }
                guard isHeader else { continue }
                if octet == 0x0A {
                    isHeader = lineOctets > 0
                    lineOctets = 0
                } else if octet != 0x0D {
                    lineOctets += 1
                }
            }
        }
    }
}

/// Carries an attempt out for the recipients of one domain.
struct DomainAttempt: Sendable {
    let message: QueuedMessage
    let indexes: [UInt16]
    let domain: String
    let body: any BodyHandle
    let nature: BodyNature
    let router: Router
    let pool: OutboundPool

    private var destination: String { router.destination(of: domain) }

    func run() async -> [RecipientResult] {
        guard !domain.isEmpty else {
            return indexes.map {
                .failed($0, SMTPServerReply(553, .init(5, 1, 3), lines: ["the address cannot be read"]))
            }
        }
        if let lease = await pool.take(destination) {
            let results = await send(over: lease, indexes)
            // A kept connection that broke tells nothing about the host: those recipients get a fresh one.
            let lost = results.filter { $0.fate == .deferred && $0.reply == nil }.map(\.index)
            guard !lost.isEmpty else { return results }
            return results.filter { !lost.contains($0.index) } + (await connectAndSend(lost))
        }
        return await connectAndSend(indexes)
    }

    private func connectAndSend(_ indexes: [UInt16]) async -> [RecipientResult] {
        let hops: [NextHop]
        switch await router.route(to: domain) {
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
            done += results.filter { $0.fate != .deferred }
            for result in results where result.fate == .deferred { last[result.index] = result }
            rest = results.filter { $0.fate == .deferred }.map(\.index)
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
                return (try await pool.connect(host: hop.host, address: address, port: hop.port), nil)
            } catch let error as OutboundFailure {
                let (text, refusal) = (error.text, error.permanent)
                // A host that refuses every mail for good is like one that cannot be reached: another may take it.
                failure = { index in
                    var result = RecipientResult.deferred(index, text, remoteHost: hop.host)
                    result.reply = refusal.map { SMTPServerReply(450, nil, lines: ["\($0.code) \($0.text)"]) }
                    return result
                }
            } catch {
                failure = { .deferred($0, "cannot connect to \(hop.host) [\(address)]", remoteHost: hop.host) }
            }
        }
        return (nil, failure)
    }

    private func send(over lease: OutboundLease, _ indexes: [UInt16]) async -> [RecipientResult] {
        var lease = lease
        var results: [RecipientResult] = []
        var rest = indexes[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(lease.recipientsMax))
            rest = rest.dropFirst(part.count)
            let addresses = part.map { message.entry.recipients[Int($0)].address }
            let needsUTF8 =
                nature.hasUTF8Header || !message.entry.mailFrom.utf8.allSatisfy { $0 < 0x80 }
                || !addresses.allSatisfy { $0.utf8.allSatisfy { $0 < 0x80 } }
            let envelope = SMTPClientMessage(
                sender: message.entry.mailFrom, recipients: addresses, octets: body.size, is8Bit: nature.is8Bit,
                needsUTF8: needsUTF8)
            let outcomes = await lease.send(OutboundMessage(message: envelope, body: body))
            lease.messages += 1
            results += zip(part, outcomes).map { RecipientResult($0, $1, remoteHost: lease.remote) }
        }
        await pool.give(lease, to: destination)
        return results
    }
}
