// What the gateways count. Counters only grow, but for connections now; all are atomics that no session waits for.
import Synchronization
import TLS

/// A number that many threads change.
final class Counter: Sendable {
    private let value = Atomic<Int>(0)
    func add(_ amount: Int = 1) { value.add(amount, ordering: .relaxed) }
    var current: Int { value.load(ordering: .relaxed) }
}

/// Why something was refused.
package enum RejectReason: String, CaseIterable, Sendable {
    case relay, sender, unknownUser, disabled, overQuota, busy, storageFull, temporary, message, connectionLimit
    /// The author's domain asks for it (DMARC).
    case policy
    /// A milter asks for it, or is not there.
    case milter
    /// One address, or the network around it, has as many connections as it may.
    case addressLimit, networkLimit
    /// The account has as many sessions as it may.
    case accountLimit
    /// Refused for failures before, without a look at the password.
    case loginLimit
    case inUse
    /// A trusted proxy sent no good PROXY header.
    case proxy
    /// Octets in the clear behind the command that begins TLS.
    case plaintextBehindTLS

    /// As a label of the metrics page.
    var label: String {
        switch self {
        case .unknownUser: "unknown_user"
        case .overQuota: "over_quota"
        case .storageFull: "storage_full"
        case .connectionLimit: "connection_limit"
        case .addressLimit: "address_limit"
        case .networkLimit: "network_limit"
        case .accountLimit: "account_limit"
        case .loginLimit: "login_limit"
        case .inUse: "in_use"
        case .plaintextBehindTLS: "plaintext_behind_tls"
        case .relay, .sender, .disabled, .busy, .temporary, .message, .policy, .milter, .proxy: rawValue
        }
    }
}

/// What is counted of TLS, for one protocol.
final class TLSCounters: Sendable {
    let sessions = Counter()
    let resumed = Counter()
    /// Sessions whose client went without close_notify.
    let truncated = Counter()
    private let failures: [TLSFailure.Kind: Counter]

    init() {
        failures = Dictionary(uniqueKeysWithValues: TLSFailure.Kind.allCases.map { ($0, Counter()) })
    }

    func failed(_ kind: TLSFailure.Kind) { failures[kind]?.add() }

    var metrics: TLSMetrics {
        TLSMetrics(
            sessions: sessions.current, resumed: resumed.current, truncated: truncated.current,
            failures: failures.mapValues(\.current))
    }
}

/// The counters of one protocol.
final class ProtocolCounters: Sendable {
    let connections = Counter()
    let connectionsTotal = Counter()
    let replies = Counter()
    let deliveries = Counter()
    let retrievals = Counter()
    let loginsAccepted = Counter()
    let loginsDenied = Counter()
    /// Sessions that the node ended: account or credential gone, or kicked.
    let ended = Counter()
    let octetsIn = Counter()
    let octetsOut = Counter()
    let tls = TLSCounters()
    private let rejects: [RejectReason: Counter]

    init() {
        rejects = Dictionary(uniqueKeysWithValues: RejectReason.allCases.map { ($0, Counter()) })
    }

    func reject(_ reason: RejectReason) { rejects[reason]?.add() }

    var metrics: ProtocolMetrics {
        ProtocolMetrics(
            connections: connections.current, connectionsTotal: connectionsTotal.current, replies: replies.current,
            deliveries: deliveries.current, retrievals: retrievals.current, loginsAccepted: loginsAccepted.current,
            loginsDenied: loginsDenied.current, ended: ended.current, octetsIn: octetsIn.current,
            octetsOut: octetsOut.current,
            tls: tls.metrics, rejects: rejects.mapValues(\.current))
    }
}

/// The counters of all protocols.
final class GatewayCounters: Sendable {
    private let counters: [GatewayProtocol: ProtocolCounters]

    init() {
        counters = Dictionary(uniqueKeysWithValues: GatewayProtocol.allCases.map { ($0, ProtocolCounters()) })
    }

    subscript(_ name: GatewayProtocol) -> ProtocolCounters {
        guard let counters = counters[name] else { preconditionFailure("every protocol has its counters") }
        return counters
    }

    var metrics: GatewayMetrics { GatewayMetrics(protocols: counters.mapValues(\.metrics)) }
}

/// What had been counted of TLS at a moment.
package struct TLSMetrics: Equatable, Sendable {
    /// Handshakes that were done.
    package var sessions = 0
    /// Those of them that went on from an earlier session.
    package var resumed = 0
    /// Sessions whose client went without close_notify.
    package var truncated = 0
    package var failures: [TLSFailure.Kind: Int] = [:]
}

/// What one protocol had counted at a moment.
package struct ProtocolMetrics: Equatable, Sendable {
    /// Open now.
    package var connections = 0
    package var connectionsTotal = 0
    /// One for each command, and in LMTP one for each recipient of a message; no greetings.
    package var replies = 0
    /// Copies stored.
    package var deliveries = 0
    /// Messages sent whole or in part.
    package var retrievals = 0
    package var loginsAccepted = 0
    package var loginsDenied = 0
    package var ended = 0
    package var octetsIn = 0
    package var octetsOut = 0
    package var tls = TLSMetrics()
    package var rejects: [RejectReason: Int] = [:]
}

/// What the gateways had counted at a moment.
package struct GatewayMetrics: Equatable, Sendable {
    package var protocols: [GatewayProtocol: ProtocolMetrics]

    package subscript(_ name: GatewayProtocol) -> ProtocolMetrics { protocols[name] ?? ProtocolMetrics() }
}
