import EventStore
import MailCore
import MailEngine
import MailTypes
import Octets

/// `init`: an empty store, with what must be in it from the start.
package enum StoreCreation {
    /// - Parameter domain: what a login name without `@` gets; nil leaves it to the configuration.
    /// - Returns: the store's UUID in hexadecimal.
    package static func create(_ directory: String, domain: String?) throws -> String {
        let domain = try domain.map { text in
            guard let domain = DomainLabels.typed(text) else {
                throw AdministrationFailure("\(text) is not a domain", .usage)
            }
            return domain
        }
        do {
            try LMDBStore.create(directory)
        } catch {
            throw AdministrationFailure(error)
        }
        let backend = try LocalBackend(store: directory, configuration: NodeConfiguration())
        defer { backend.close() }
        let uuid = Hex.encode(backend.store.manifest.uuid)
        try open(backend.engine, uuid: uuid, domain: domain)
        let hosts = [NodeConfiguration.systemHostName] + [domain].compactMap { $0 }
        try OwnCertificate(store: directory, hosts: hosts).make(at: systemSeconds())
        return uuid
    }

    /// Gives the log its first event; a store that has one is left as it is.
    private static func open(_ engine: MailEngine, uuid: String, domain: String?) throws {
        var items = [Request.Item(.system, .openShard(ShardOpened(shard: 0, storeUUID: uuid)))]
        if let domain { items.append(Request.Item(.system, .setSetting(key: StoreSetting.domain, value: domain))) }
        let outcomes = engine.performAndWait(Request(items, origin: Origin(gateway: .admin)))
        for outcome in outcomes { _ = try outcome.result() }
    }
}
