// `account add` and `account import`: accounts with their mailboxes, and the role addresses of their domains.
//
// The first account of a domain receives for postmaster and abuse (RFC 2142 section 2, RFC 5321 section 4.5.1), as
// aliases that can be moved. An account that is added under such a name takes it over.
import MailCore
import MailEngine
import MailTypes

package struct AccountAdd: AdministrationCommand {
    package static let words = "account add"

    package struct Entry: Codable, Sendable {
        package var address: String
        /// From `PasswordVerifier.make`; nil makes an account that nobody can log in to.
        package var verifier: String?
        package var displayName: String
        package init(address: String, verifier: String?, displayName: String = "") {
            self.address = address
            self.verifier = verifier
            self.displayName = displayName
        }
    }

    /// At most `ServerLimits.accountsPerRequestMax`.
    package var entries: [Entry]
    /// Says what could not be added and goes on with the rest.
    package var continues: Bool

    package init(entries: [Entry], continues: Bool = false) {
        self.entries = entries
        self.continues = continues
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        guard entries.count <= ServerLimits.accountsPerRequestMax else {
            throw AdministrationFailure(
                "more than \(ServerLimits.accountsPerRequestMax) accounts in one request", .usage)
        }
        var added: [(address: Address, roles: [String])] = []
        var accepted: [(entry: Entry, address: Address)] = []
        for entry in entries {
            try attempt(entry.address, session) {
                let address = try session.address(entry.address)
                try RoleAddresses.release(address, session)
                accepted.append((entry, address))
            }
        }
        let items = try accepted.map {
            Request.Item(Request.newAccount, .createAccount(try newAccount($0.entry, $0.address, session)))
        }
        // One request, so that many accounts share a commit.
        let outcomes = items.isEmpty ? [] : session.engine.performAndWait(Request(items, origin: session.origin))
        for (outcome, address) in zip(outcomes, accepted.map(\.address)) {
            try attempt(address.directoryKey, session) {
                guard case .account(let id) = try outcome.result() else { return }
                added.append((address, try RoleAddresses.claim(id, domain: address.domain, session)))
            }
        }
        return result(added)
    }

    /// Runs `body`; what it throws ends the command, or, where the command goes on, becomes an item.
    private func attempt(_ address: String, _ session: AdministrationSession, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch {
            guard continues else { throw error }
            let text = AdministrationFailure(error).text
            try session.item("\(address): \(text)", ["address": .string(address), "error": .string(text)])
        }
    }

    private func result(_ added: [(address: Address, roles: [String])]) -> AdministrationResult {
        var text = "added \(added.count) accounts"
        if entries.count == 1, let only = added.first {
            text = "added \(only.address.directoryKey)"
            if !only.roles.isEmpty { text += "; it also receives for \(only.roles.joined(separator: ", "))" }
        }
        let value: JSONValue = [
            "added": .array(added.map { .string($0.address.directoryKey) }),
            "roles": .array(added.flatMap(\.roles).map(JSONValue.string)),
            "failed": .count(entries.count - added.count),
        ]
        var result = AdministrationResult(text, value)
        result.counts = (added.count, entries.count)
        return result
    }

    private func newAccount(_ entry: Entry, _ address: Address, _ session: AdministrationSession) throws -> NewAccount {
        let settings = session.configuration.accounts
        return NewAccount(
            address: address, displayName: entry.displayName,
            quota: Quota(bytes: UInt64(settings.quotaOctets), messages: UInt64(settings.quotaMessages)),
            retention: Retention(undeleteDays: settings.undeleteDays),
            credential: try entry.verifier.map { try PasswordVerifier.credential($0) },
            mailboxes: settings.mailboxes.map {
                NewMailbox(name: $0.name, specialUse: $0.specialUse, subscribed: true)
            })
    }
}

/// The addresses every domain must have, as aliases of one of its accounts.
enum RoleAddresses {
    /// Gives the role addresses of a domain that nobody receives for to the account.
    /// - Returns: those it got.
    static func claim(_ account: AccountID, domain: String, _ session: AdministrationSession) throws -> [String] {
        var claimed: [String] = []
        for role in session.configuration.accounts.roles {
            guard let address = Address(localPart: role, domain: domain) else { continue }
            let owner = try session.engine.read { try $0.owner(of: address) }
            guard owner == nil else { continue }
            _ = try session.perform(account, .addAddress(address, .alias))
            claimed.append(address.directoryKey)
        }
        return claimed
    }

    /// Takes a role address from whoever has it as an alias, so that an account can be made under it.
    static func release(_ address: Address, _ session: AdministrationSession) throws {
        guard session.configuration.accounts.roles.contains(address.localPart.lowercased()) else { return }
        let keys = address.directoryKeys
        let owner: AccountID? = try session.engine.read { state in
            guard let owner = try state.owner(of: address) else { return nil }
            let isAlias = try state.addresses(owner).contains { $0.kind == .alias && keys.contains($0.address) }
            return isAlias ? owner : nil
        }
        if let owner { _ = try session.perform(owner, .removeAddress(address)) }
    }

    /// An account that can take over the roles of a domain; nil when the domain has none left.
    static func heir(of domain: String, _ session: AdministrationSession) throws -> AccountID? {
        try session.engine.read { state in
            var candidates: [AccountID] = []
            try state.accounts { id, head in
                if id >= .firstPersonal, head.status == .active { candidates.append(id) }
                return true
            }
            for id in candidates {
                if let address = try state.primaryAddress(id), Address(address)?.domain == domain { return id }
            }
            return nil
        }
    }
}

extension AccountAdd.Entry: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "AccountAdd.Entry(\(address), redacted)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
