// All connections there are: who may come, who may log in, and how they are told to go.
import MailTypes
import NIOCore
import Synchronization

final class ConnectionRegistry: Sendable {
    private struct State {
        var cards: [SessionID: SessionCard] = [:]
        var byNetwork: [IPNetwork: Int] = [:]
        var byAccount: [AccountID: Set<SessionID>] = [:]
        var isClosing = false
        var emptied: CheckedContinuation<Void, Never>?
    }

    /// How many there may be.
    struct Limits: Sendable {
        var connectionsMax: Int
        /// Of one IPv4 address or 64 bits of IPv6.
        var perNeighbourhoodMax: Int
        /// Of 24 bits of IPv4 or 48 bits of IPv6; this machine's own do not count.
        var perDistrictMax: Int
        var perAccountMax: Int
    }

    private let limits: Limits
    private let state = Mutex(State())

    init(_ limits: Limits) { self.limits = limits }

    enum Admission: Equatable { case accepted, tooMany, tooManyOfAddress, tooManyOfNetwork, closing }

    /// Enters a connection. One that is not accepted is not entered; it says its last words on its own.
    func enter(_ card: SessionCard) -> Admission {
        state.withLock { state in
            if state.isClosing { return .closing }
            guard state.cards.count < limits.connectionsMax else { return .tooMany }
            let admission = count(card.client, &state)
            if admission == .accepted { state.cards[card.id] = card }
            return admission
        }
    }

    /// Counts a connection for the client that it speaks for now. One that is not accepted counts for nobody.
    func move(_ card: SessionCard, to client: ClientAddress) -> Admission {
        state.withLock { state in
            guard state.cards[card.id] != nil else { return .closing }
            discount(card.client, &state)
            let admission = count(client, &state)
            card.setClient(admission == .accepted ? client : ClientAddress(nil as IPAddress?))
            return admission
        }
    }

    private func count(_ client: ClientAddress, _ state: inout State) -> Admission {
        guard let ip = client.ip else { return .accepted }
        let (neighbourhood, district) = (ip.neighbourhood, ip.district)
        let near = state.byNetwork[neighbourhood, default: 0]
        guard near < limits.perNeighbourhoodMax else { return .tooManyOfAddress }
        let around = state.byNetwork[district, default: 0]
        guard ip.isLoopback || around < limits.perDistrictMax else { return .tooManyOfNetwork }
        state.byNetwork[neighbourhood] = near + 1
        state.byNetwork[district] = around + 1
        return .accepted
    }

    private func discount(_ client: ClientAddress, _ state: inout State) {
        guard let ip = client.ip else { return }
        for network in [ip.neighbourhood, ip.district] {
            if let count = state.byNetwork[network] { state.byNetwork[network] = count > 1 ? count - 1 : nil }
        }
    }

    func leave(_ card: SessionCard) {
        logOut(card)
        let emptied = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.cards.removeValue(forKey: card.id) != nil else { return nil }
            discount(card.client, &state)
            guard state.cards.isEmpty else { return nil }
            defer { state.emptied = nil }
            return state.emptied
        }
        emptied?.resume()
    }

    /// Enters a session under its account. False when the account has as many as it may.
    func logIn(_ card: SessionCard, _ login: SessionCard.Login) -> Bool {
        state.withLock { state in
            guard state.cards[card.id] != nil else { return false }
            var sessions = state.byAccount[login.account, default: []]
            guard sessions.contains(card.id) || sessions.count < limits.perAccountMax else { return false }
            sessions.insert(card.id)
            state.byAccount[login.account] = sessions
            card.setLogin(login)
            return true
        }
    }

    func logOut(_ card: SessionCard) {
        state.withLock { state in
            guard let account = card.login?.account else { return }
            card.setLogin(nil)
            state.byAccount[account]?.remove(card.id)
            if state.byAccount[account]?.isEmpty == true { state.byAccount[account] = nil }
        }
    }

    /// Those that are logged in to the account.
    func sessions(of account: AccountID) -> [SessionCard] {
        state.withLock { state in state.byAccount[account, default: []].compactMap { state.cards[$0] } }
    }

    /// In the order in which they came.
    var all: [SessionCard] {
        let cards = state.withLock { Array($0.cards.values) }
        return cards.sorted { $0.id.rawValue < $1.id.rawValue }
    }

    /// Lets nobody in any more and gives all who are here.
    func close() -> [SessionCard] {
        state.withLock { state in
            state.isClosing = true
            return Array(state.cards.values)
        }
    }

    /// Returns when the last has left. Called once, after `close`.
    func waitUntilEmpty() async {
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if state.cards.isEmpty { return true }
                state.emptied = continuation
                return false
            }
            if isEmpty { continuation.resume() }
        }
    }
}
