import MailTypes
import NIOCore
import Synchronization

/// All connections there are: who may come, and how they are told to go.
final class ConnectionRegistry: Sendable {
    private struct State {
        var channels: [SessionID: any Channel] = [:]
        var byNeighbourhood: [String: Int] = [:]
        var isClosing = false
        var emptied: CheckedContinuation<Void, Never>?
    }

    private let connectionsMax: Int
    private let perNeighbourhoodMax: Int
    private let state = Mutex(State())

    init(connectionsMax: Int, perNeighbourhoodMax: Int) {
        self.connectionsMax = connectionsMax
        self.perNeighbourhoodMax = perNeighbourhoodMax
    }

    enum Admission { case accepted, tooMany, closing }

    /// Enters a connection. One that is not accepted is not entered; it says its last words on its own.
    func enter(_ session: SessionID, _ channel: any Channel, from client: ClientAddress) -> Admission {
        state.withLock { state in
            if state.isClosing { return .closing }
            guard state.channels.count < connectionsMax else { return .tooMany }
            if let neighbourhood = client.neighbourhood {
                let count = state.byNeighbourhood[neighbourhood, default: 0]
                guard count < perNeighbourhoodMax else { return .tooMany }
                state.byNeighbourhood[neighbourhood] = count + 1
            }
            state.channels[session] = channel
            return .accepted
        }
    }

    func leave(_ session: SessionID, from client: ClientAddress) {
        let emptied = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.channels.removeValue(forKey: session) != nil else { return nil }
            if let neighbourhood = client.neighbourhood, let count = state.byNeighbourhood[neighbourhood] {
                state.byNeighbourhood[neighbourhood] = count > 1 ? count - 1 : nil
            }
            guard state.channels.isEmpty else { return nil }
            defer { state.emptied = nil }
            return state.emptied
        }
        emptied?.resume()
    }

    /// Lets nobody in any more and gives all who are here.
    func close() -> [any Channel] {
        state.withLock { state in
            state.isClosing = true
            return Array(state.channels.values)
        }
    }

    /// Returns when the last has left. Called once, after `close`.
    func waitUntilEmpty() async {
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if state.channels.isEmpty { return true }
                state.emptied = continuation
                return false
            }
            if isEmpty { continuation.resume() }
        }
    }
}

/// Told to a connection's handler when the node stops.
enum GatewayEvent: Sendable {
    case shutDown
}
