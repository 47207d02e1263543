// The one process that owns a store: engine, projections, gateways and administration, started and stopped in order.
//
// Start: lock and open the store, engine, projections, administration socket, then the listeners, which are last
// because what they accept must be served. Stop is the reverse: listeners drain, then administration ends, projections
// keep their checkpoint, and the engine finishes what was queued.
import Authentication
import Delivery
import EventStore
import Gateways
import Glibc
import Logging
import MailCore
import MailEngine
import MailTypes
import Projections
import Synchronization
import TLS

package final class Node: AdministrationBackend {
    package let engine: MailEngine
    package let store: LMDBStore
    package let directory: String
    package let projector: MaildirProjector?
    /// Nil where it could not be opened: messages are then read each time.
    package let cache: MessageCache?
    package var configuration: NodeConfiguration { current.withLock { $0 } }
    package var serves: Bool { true }
    package var gateways: Gateways? { listeners }

    private let current: Mutex<NodeConfiguration>
    private let log: Logger
    private let listeners: Gateways
    private let tls: TLSServer?
    private let ownCertificate: OwnCertificate
    private let retention: RetentionCollector
    private let hostName: String
    /// Nil until the node is to send for the first time.
    private let sending: Mutex<Sending?>
    private let sampler: MaildirSampler?
    private let administration = Mutex<AdministrationSocket?>(nil)

    /// Opens the store; nothing listens yet.
    package init(store directory: String, configuration: NodeConfiguration, log: Logger) throws {
        self.directory = directory
        self.log = log
        current = Mutex(configuration)
        store = try LMDBStore(directory)
        engine = MailEngine(store: store, options: configuration.engineOptions(store: directory), clock: { .now })
        retention = RetentionCollector(engine, log: log)
        let domain = try configuration.domain ?? engine.read { try $0.defaultDomain() }
        var options = configuration.gatewayOptions(storeDomain: domain)
        ownCertificate = OwnCertificate(store: directory, hosts: [options.hostName] + [domain].compactMap { $0 })
        do {
            tls = try configuration.encryption.server(ownCertificate, log)
        } catch {
            engine.close()
            throw error
        }
        options.tls = tls
        cache = Self.openCache(directory, configuration, log)
        if let cache { options.cache = cache }
        options.checks.names = try configuration.checks.names()
        options.loginKey = try LoginKey.read(directory)
        options.authentication.mechanisms = Set(configuration.logins.mechanisms)
        options.tokens = try configuration.logins.tokens { reason in
            log.warning("the token service cannot be asked", metadata: ["reason": "\(reason)"])
        }
        options.externalPasswords = configuration.logins.external { reason in
            log.warning("saslauthd cannot be asked", metadata: ["reason": "\(reason)"])
        }
        if !configuration.logins.mechanisms.isEmpty, let problem = SASLServer.libraryProblem {
            throw AdministrationFailure(
                "logins by SASL are not possible: \(problem); `logins.mechanisms: none` goes on without")
        }
        let projector = configuration.maildirOptions(store: directory).map { [engine] options in
            MaildirProjector(engine: engine, options: options) { log.warning("maildir", metadata: ["report": "\($0)"]) }
        }
        self.projector = projector
        let sampler = projector.map { [engine] in MaildirSampler(engine, $0, log: log) }
        self.sampler = sampler
        let sendingMetrics = Mutex<(@Sendable () -> String)?>(nil)
        listeners = Gateways(
            engine: engine, options: options, logger: log,
            extraMetrics: { [cache] in
                (projector?.status.metrics ?? "") + (sampler?.metrics ?? "") + (cache?.statistics.metrics ?? "")
                    + (sendingMetrics.withLock { $0 }?() ?? "")
            })
        hostName = options.hostName
        sending = Mutex(
            configuration.sending.enabled
                ? try Sending(configuration, hostName: options.hostName, engine: engine, gateways: listeners, log: log)
                : nil)
        sendingMetrics.withLock { $0 = { [weak self] in self?.sending.withLock { $0 }?.statistics.metrics ?? "" } }
    }

    private static func openCache(_ store: String, _ configuration: NodeConfiguration, _ log: Logger) -> MessageCache? {
        do {
            return try MessageCache(
                directory: MessageCache.directory(ofStore: store), octetsMax: configuration.cache.octetsMax)
        } catch {
            log.warning("no parse cache", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// Opens administration and the listeners.
    /// - Returns: the line that says so: `ready`, then every address.
    package func start() async throws -> String {
        let socket = try AdministrationSocket(self, directory: directory)
        administration.withLock { $0 = socket }
        let configuration = configuration
        let bound = try await listeners.start(configuration.listenerList)
        sending.withLock { $0 }?.start()
        retention.start()
        sampler?.start()
        return "ready" + bound.map { " \($0.0.rawValue)=\($0.1)" }.joined()
    }

    /// Ends sessions and closes the store. Everything acknowledged is on stable storage already.
    package func stop() async {
        log.info("stopping")
        await listeners.drain(deadline: .seconds(configuration.limits.drainSecondsMax))
        await sending.withLock { $0 }?.stop(within: configuration.limits.drainSecondsMax)
        administration.withLock { $0 }?.close()
        retention.stop()
        sampler?.stop()
        projector?.close()
        cache?.close()
        engine.close()
        log.info("stopped")
    }

    /// Takes what a running node can take of a new configuration, and says what it cannot.
    package func reload(_ sources: ConfigurationSources) {
        var (new, _, mistakes) = sources.load()
        guard mistakes.isEmpty else {
            for mistake in mistakes { log.error("configuration not reloaded", metadata: ["mistake": "\(mistake)"]) }
            return
        }
        if let tls {
            do {
                try new.encryption.replace(in: tls, ownCertificate, log)
            } catch {
                new.encryption = configuration.encryption
                log.error(
                    "certificates not loaded anew, the old ones stay",
                    metadata: ["reason": "\(AdministrationFailure(error).text)"])
            }
        }
        do {
            try replaceSending(new)
        } catch {
            new.sending = configuration.sending
            log.error(
                "what concerns sending not reloaded, it goes on as it was",
                metadata: ["reason": "\(AdministrationFailure(error).text)"])
        }
        listeners.replace(new.milters)
        let reload = ConfigurationReload(from: configuration, to: new)
        current.withLock { $0 = reload.configuration }
        LineLogHandler.setLevel(reload.configuration.log.level)
        log.notice("configuration reloaded", metadata: ["taken": "\(reload.taken.joined(separator: ", "))"])
        if !reload.waiting.isEmpty {
            log.warning(
                "these keys have new values that wait for a restart",
                metadata: ["keys": "\(reload.waiting.joined(separator: ", "))"])
        }
    }

    /// What sends is made when the node is to send for the first time, and rests where it is not to any more.
    private func replaceSending(_ new: NodeConfiguration) throws {
        if let sending = sending.withLock({ $0 }) {
            try sending.reconfigure(new)
        } else if new.sending.enabled {
            let made = try Sending(new, hostName: hostName, engine: engine, gateways: listeners, log: log)
            sending.withLock { $0 = made }
            made.start()
        }
        listeners.replace(new.sending.gatewayOptions)
    }
}

extension NodeConfiguration {
    /// The gateways' options, with those of this site.
    func gatewayOptions(storeDomain: String?) -> GatewayOptions {
        let host = hostName ?? Self.systemHostName
        let storeDomain = storeDomain.map { DomainLabels.ascii($0) }
        var options = GatewayOptions(hostName: host, defaultDomain: storeDomain ?? host)
        let ours = Set(domains + [storeDomain].compactMap { $0 })
        options.isLocalDomain = { ours.contains($0) }
        options.detail = detail
        options.proxyFrom = proxyFrom
        options.clientsFrom = clientsFrom
        options.sending = sending.gatewayOptions
        options.checks.policy = checks.policy
        options.checks.waitMax = .seconds(Int64(checks.waitSecondsMax))
        options.checks.trusted = checks.trusted
        options.milters = milters
        options.messageOctetsMax = limits.messageOctetsMax
        options.recipientsMax = limits.recipientsMax
        options.connectionsMax = limits.connectionsMax
        options.connectionsPerAddressMax = limits.connectionsPerAddressMax
        options.connectionsPerNetworkMax = limits.connectionsPerNetworkMax
        options.sessionsPerAccountMax = limits.sessionsPerAccountMax
        options.authentication.failuresMax = limits.loginFailuresMax
        options.smtpCommandSilenceMax = .seconds(Int64(limits.smtpSilenceSecondsMax))
        options.imapSilenceMax = .seconds(Int64(limits.imapSilenceSecondsMax))
        options.pop3SilenceMax = .seconds(Int64(limits.pop3SilenceSecondsMax))
        return options
    }

    /// The system's name, or `localhost` where it has none that can stand in a greeting.
    static var systemHostName: String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return "localhost" }
        let name = String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let isName = !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        return isName ? name.lowercased() : "localhost"
    }
}
