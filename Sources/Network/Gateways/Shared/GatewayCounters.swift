// What the gateways count. Counters only grow, but for connections now; all are atomics that no session waits for.
import Synchronization

/// A number that many threads change.
final class Counter: Sendable {
    private let value = Atomic<Int>(0)
    func add(_ amount: Int = 1) { value.add(amount, ordering: .relaxed) }
    var current: Int { value.load(ordering: .relaxed) }
}

/// Why something was refused.
package enum RejectReason: String, CaseIterable, Sendable {
    case relay, sender, unknownUser, disabled, overQuota, busy, storageFull, temporary, message, connectionLimit
    /// One address, or the network around it, has as many connections as it may.
    case addressLimit, networkLimit
    /// The account has as many sessions as it may.
    case accountLimit
    /// Refused for failures before, without a look at the password.
    case loginLimit
    case inUse
    /// A trusted proxy sent no good PROXY header.
    case proxy

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
        case .relay, .sender, .disabled, .busy, .temporary, .message, .proxy: rawValue
        }
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
            rejects: rejects.mapValues(\.current))
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
    package var rejects: [RejectReason: Int] = [:]
}

/// What the gateways had counted at a moment.
package struct GatewayMetrics: Equatable, Sendable {
    package var protocols: [GatewayProtocol: ProtocolMetrics]

    package subscript(_ name: GatewayProtocol) -> ProtocolMetrics { protocols[name] ?? ProtocolMetrics() }
}
