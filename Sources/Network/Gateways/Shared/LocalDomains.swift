// Which domains are ours: those of the accounts' addresses, and those that `domain add` named. It decides what an unknown
// address in one is told (no such user, and not that we are no relay), never that mail is taken.
//
// A projection in memory: read whole at the start, then followed. An address that goes may have been the last of its
// domain, so the accounts are read whole again then, away from the event loops; addresses seldom go.
import MailCore
import MailEngine
import MailTypes
import Synchronization

final class LocalDomains: Sendable {
    private let engine: MailEngine
    private let domains = Mutex<Set<String>>([])

    init(_ engine: MailEngine) { self.engine = engine }

    func contains(_ domain: String) -> Bool { domains.withLock { $0.contains(domain) } }

    /// Reads all accounts.
    func load() throws {
        let found = try engine.read { state in
            var accounts: [AccountID] = []
            try state.accounts { account, head in
                if head.status != .removed { accounts.append(account) }
                return true
            }
            var found = Set(try DomainSetting.domains(state).map { DomainLabels.ascii($0) })
            for account in accounts { found.formUnion(try Self.domains(of: account, state)) }
            return found
        }
        domains.withLock { $0 = found }
    }

    /// Takes in what has changed. Reads the state: not for an event loop.
    func follow(_ changes: [StandingChange]) throws {
        let kinds = changes.reduce(into: StandingChange.Kinds()) { $0.formUnion($1.kinds) }
        if kinds.contains(.addressRemoved) || changes.contains(where: { $0.account == .system }) { return try load() }
        for change in changes where change.kinds.contains(.addressAdded) {
            let found = try engine.read { try Self.domains(of: change.account, $0) }
            domains.withLock { $0.formUnion(found) }
        }
    }

    private static func domains(of account: AccountID, _ state: any StateReader) throws -> [String] {
        try state.addresses(account).compactMap { Address($0.address)?.domain }
    }
}
