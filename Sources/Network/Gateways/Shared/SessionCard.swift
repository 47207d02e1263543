// What is known of a session from outside it: whose it is, where from, since when. The registry lists these for
// `letterlog who` and ends sessions by them.
import MailTypes
import NIOCore
import Synchronization

/// One session's card. Its connection writes on it, anybody may read it.
final class SessionCard: Sendable {
    struct Login: Sendable {
        var account: AccountID
        /// The credential that it came in by, where it was one of the account's.
        var credential: UInt32?
    }

    private struct State {
        var client: ClientAddress
        var login: Login?
        var isSecure = false
    }

    let id: SessionID
    let name: GatewayProtocol
    let since: Timestamp
    /// Nil where a test has none.
    private let channel: (any Channel)?
    private let state: Mutex<State>
    /// Nanoseconds of the machine's uptime.
    private let activity: Atomic<UInt64>

    init(
        _ id: SessionID, _ name: GatewayProtocol, from client: ClientAddress, since: Timestamp, channel: (any Channel)?
    ) {
        self.id = id
        self.name = name
        state = Mutex(State(client: client))
        self.since = since
        self.channel = channel
        activity = Atomic(NIODeadline.now().uptimeNanoseconds)
    }

    /// Another one where a trusted peer speaks for others in turn; the registry, which counts by it, sets it.
    var client: ClientAddress { state.withLock { $0.client } }
    func setClient(_ client: ClientAddress) { state.withLock { $0.client = client } }
    var login: Login? { state.withLock { $0.login } }
    func setLogin(_ login: Login?) { state.withLock { $0.login = login } }
    /// TLS is on.
    var isSecure: Bool {
        get { state.withLock { $0.isSecure } }
        set { state.withLock { $0.isSecure = newValue } }
    }

    func noteActivity(_ now: NIODeadline) { activity.store(now.uptimeNanoseconds, ordering: .relaxed) }
    /// How long the client has been silent.
    func silence(at now: NIODeadline) -> TimeAmount {
        let last = activity.load(ordering: .relaxed)
        return .nanoseconds(Int64(clamping: now.uptimeNanoseconds) - Int64(clamping: last))
    }

    func tell(_ event: GatewayEvent) { channel?.pipeline.fireUserInboundEventTriggered(event) }
    func cut() { channel?.close(promise: nil) }
}

/// Why the node ends a session that did nothing wrong.
package enum SessionEnd: Equatable, Sendable {
    /// The account may not be used any more: disabled, removed.
    case accountClosed
    /// The credential that the session came in by has been changed or revoked.
    case credentialRevoked
    /// An administrator's wish.
    case kicked

    /// What a client may hear of it.
    var text: String {
        switch self {
        case .accountClosed: "Account is not available"
        case .credentialRevoked: "Credentials have changed, log in again"
        case .kicked: "Session ended by the administrator"
        }
    }
}

/// Told to a connection's handler from outside.
enum GatewayEvent: Sendable {
    /// The node stops.
    case shutDown
    case end(SessionEnd)
}

/// A session as an administrator sees it.
package struct SessionInfo: Sendable {
    package var id: SessionID
    package var name: GatewayProtocol
    /// Nil over a Unix socket.
    package var client: IPAddress?
    package var isSecure: Bool
    /// Nil before login, and for protocols that have none.
    package var account: AccountID?
    package var since: Timestamp
    /// Seconds since the client last sent something.
    package var silentSeconds: Int

    init(_ card: SessionCard, at now: NIODeadline) {
        id = card.id
        name = card.name
        client = card.client.ip
        isSecure = card.isSecure
        account = card.login?.account
        since = card.since
        silentSeconds = Int(max(0, card.silence(at: now).nanoseconds) / 1_000_000_000)
    }
}
