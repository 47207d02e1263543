// `domain`: which domains are ours. A domain that an account has an address in is ours without further ado; one that has
// none yet is named here, so that mail to it is told "no such user" and not "no relay".
import MailCore
import MailTypes

package struct DomainAdd: AdministrationCommand {
    package static let words = "domain add"

    package var domain: String

    package init(domain: String) { self.domain = domain }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let name = try DomainWork.name(domain)
        var domains = try session.engine.read { try DomainSetting.domains($0) }
        if !domains.contains(name) {
            domains.append(name)
            try DomainWork.set(domains, session)
        }
        return AdministrationResult("\(name) is ours", ["domain": .string(name)])
    }
}

package struct DomainRemove: AdministrationCommand {
    package static let words = "domain remove"

    package var domain: String

    package init(domain: String) { self.domain = domain }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let name = try DomainWork.name(domain)
        let addresses = try DomainWork.addresses(session)[name] ?? 0
        guard addresses == 0 else {
            throw AdministrationFailure("\(addresses) addresses of accounts are in \(name); remove those first")
        }
        let domains = try session.engine.read { try DomainSetting.domains($0) }
        guard domains.contains(name) else {
            let isConfigured = session.configuration.domains.contains(name) || session.configuration.domain == name
            throw AdministrationFailure(
                isConfigured ? "\(name) is ours by the configuration" : "\(name) is not among our domains")
        }
        try DomainWork.set(domains.filter { $0 != name }, session)
        return AdministrationResult("\(name) is no longer ours", ["domain": .string(name)])
    }
}

package struct DomainList: AdministrationCommand {
    package static let words = "domain list"

    package init() {}

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let addresses = try DomainWork.addresses(session)
        let named = Set(try session.engine.read { try DomainSetting.domains($0) })
        let configured = Set(session.configuration.domains)
        let standard = try session.defaultDomain()
        let all = named.union(configured).union(addresses.keys).union([standard].compactMap { $0 })
        for name in all.sorted() {
            let count = addresses[name] ?? 0
            var why: [String] = []
            if count > 0 { why.append(count == 1 ? "1 address" : "\(count) addresses") }
            if name == standard { why.append("default") }
            if named.contains(name) { why.append("added") }
            if configured.contains(name) { why.append("configured") }
            try session.item(
                "\(name)  \(why.joined(separator: ", "))",
                [
                    "domain": .string(name), "addresses": .count(count), "default": .bool(name == standard),
                    "added": .bool(named.contains(name)), "configured": .bool(configured.contains(name)),
                ])
        }
        return nil
    }
}

enum DomainWork {
    /// A domain as people write it, in lower case.
    static func name(_ text: String) throws -> String {
        guard let domain = DomainLabels.typed(text) else {
            throw AdministrationFailure("\(text) is not a domain such as example.test", .usage)
        }
        return domain
    }

    fileprivate static func set(_ domains: [String], _ session: AdministrationSession) throws {
        _ = try session.perform(
            .system, .setSetting(key: DomainSetting.key, value: DomainSetting.value(Set(domains))))
    }

    /// Addresses of accounts by domain.
    fileprivate static func addresses(_ session: AdministrationSession) throws -> [String: Int] {
        try session.engine.read { state in
            var accounts: [AccountID] = []
            try state.accounts { account, head in
                if head.status != .removed { accounts.append(account) }
                return true
            }
            var counts: [String: Int] = [:]
            for account in accounts {
                for row in try state.addresses(account) {
                    if let domain = Address(row.address)?.domain { counts[domain, default: 0] += 1 }
                }
            }
            return counts
        }
    }
}
