// The outbound queue of a node: the runner with what it needs of this site.
import Delivery
import Digests
import Gateways
import Logging
import MailEngine
import NIOCore
import NIOPosix
import Octets
import SMTP
import Synchronization
import TLS

/// The runner, its event loop and its threads, started and stopped together.
final class Sending: Sendable {
    private struct Current {
        var names: Names
        /// The change before the next one.
        var change: Task<Void, Never>?
    }

    /// How names are asked for.
    private struct Names: Equatable {
        let servers: [String]
        let trustAnchor: String?

        init(_ sending: NodeConfiguration.Sending) {
            (servers, trustAnchor) = (sending.nameServers, sending.trustAnchor)
        }

        func resolver() throws -> UnboundResolver {
            do {
                return try UnboundResolver(servers: servers, trustAnchor: trustAnchor)
            } catch {
                throw AdministrationFailure("`sending.name-servers`, `sending.trust-anchor`: \(error)")
            }
        }
    }

    private let runner: QueueRunner
    private let hostName: String
    private let group: MultiThreadedEventLoopGroup
    private let fileThreads: NIOThreadPool
    private let current: Mutex<Current>

    init(
        _ configuration: NodeConfiguration, hostName: String, engine: MailEngine, gateways: Gateways, log: Logger
    ) throws {
        let options = try configuration.sending.options(hostName: hostName)
        let names = Names(configuration.sending)
        let resolver = try names.resolver()
        self.hostName = hostName
        current = Mutex(Current(names: names))
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        fileThreads = NIOThreadPool(numberOfThreads: 2)
        fileThreads.start()
        runner = QueueRunner(
            engine: engine, resolver: resolver, options: options, group: group, fileThreads: fileThreads, log: log
        ) { address in
            switch try gateways.recipient(address) {
            case .mailbox(let account, let mailbox): .mailbox(account, mailbox)
            case .refused(let reply): .refused(SMTPServerReply(reply.code, reply.enhanced, lines: reply.lines))
            case .elsewhere: .elsewhere
            }
        }
    }

    var statistics: DeliveryStatistics { runner.statistics }

    func start() {
        current.withLock { current in
            current.change = Task { [runner, before = current.change] in
                await before?.value
                await runner.start()
            }
        }
    }

    /// Takes a new configuration; on an error nothing changes. Changes are made in the order in which they come.
    func reconfigure(_ configuration: NodeConfiguration) throws {
        let options = try configuration.sending.options(hostName: hostName)
        let names = Names(configuration.sending)
        let isNew = current.withLock { $0.names != names }
        // What the old one knows by heart is kept where the servers stay.
        let resolver = isNew ? try names.resolver() : nil
        current.withLock { current in
            current.names = names
            current.change = Task { [runner, before = current.change] in
                await before?.value
                await runner.reconfigure(options, resolver: resolver)
            }
        }
    }

    func stop(within seconds: Int) async {
        await current.withLock { $0.change }?.value
        await runner.stop(within: .seconds(Int64(seconds)))
        try? await group.shutdownGracefully()
        try? await fileThreads.shutdownGracefully()
    }
}

extension NodeConfiguration.Sending {
    /// What concerns people who hand mail in.
    var gatewayOptions: SendingOptions {
        var options = SendingOptions()
        options.isOpen = enabled
        options.checksSender = checksSender
        options.hidesClient = hidesClient
        options.recipientsPerHourMax = recipientsPerHourMax
        return options
    }

    func options(hostName: String) throws -> DeliveryOptions {
        var options = DeliveryOptions(hostName: self.hostName ?? hostName, draw: { UInt64.random(in: .min ... .max) })
        options.isOn = enabled
        options.port = port
        options.connectionsPerDestinationMax = connectionsPerHostMax
        options.connectionsMax = connectionsMax
        options.messagesMax = messagesMax
        options.connectTimeout = .seconds(Int64(connectSecondsMax))
        options.retryFirst = .seconds(Int64(retryFirstSeconds))
        options.retryMax = .seconds(Int64(max(retryFirstSeconds, retrySecondsMax)))
        options.lifetime = .seconds(Int64(lifetimeSeconds))
        options.warnAfter = .seconds(Int64(warnSeconds))
        options.makeTLSHandler = try tlsMaker()
        options.makeNonce = { Base64.encode(randomBytes(count: 18)) }
        if let smartHost {
            var host = SmartHost(host: smartHost, port: smartHostPort)
            switch smartHostTLS {
            case .off: host.tls = .never
            case .opportunistic: host.tls = .opportunistic
            case .required: host.tls = .required
            case .implicit: (host.tls, host.isImplicitTLS) = (.required, true)
            }
            host.verifies = smartHostVerify ?? (host.tls == .required)
            if let smartHostUser {
                let password = try smartHostPasswordFile.map { try InputFile.secret($0) } ?? ""
                host.credentials = SMTPClientCredentials(user: smartHostUser, password: password)
            }
            options.smartHost = host
        }
        return options
    }

    /// One context takes anybody's certificate, the other verifies.
    private func tlsMaker() throws -> ClientTLSMaker {
        let anybody: TLSClient
        let verifying: Result<TLSClient, TLSFailure>
        do {
            anybody = try TLSClient(TLSClientOptions(trust: .anyone))
            if let authority {
                let trust = try TLSTrust.authorities(in: authority)
                verifying = .success(try TLSClient(TLSClientOptions(trust: trust)))
            } else {
                verifying = Self.system()
            }
        } catch {
            throw AdministrationFailure("`sending.authority`: \(error)")
        }
        return { host, verifies in
            // A name that no certificate could have is still worth a sealed connection.
            if !verifies, let handler = try? anybody.makeHandler(host: host) { return handler }
            return try verifying.get().makeHandler(host: host)
        }
    }

    /// A system without authorities is one that verifies nobody; what needs no verification goes all the same.
    private static func system() -> Result<TLSClient, TLSFailure> {
        do throws(TLSFailure) {
            return .success(try TLSClient(TLSClientOptions(trust: .system)))
        } catch {
            return .failure(error)
        }
    }
}

extension DeliveryStatistics {
    /// In Prometheus' text format.
    var metrics: String {
        func family(_ name: String, _ type: String, _ help: String, _ value: UInt64) -> String {
            metricFamily("letterlog_delivery_\(name)", type, help, value)
        }
        return family("in_flight", "gauge", "Queued messages being worked on.", UInt64(inFlight))
            + family("delivered_total", "counter", "Recipients that other hosts, or mailboxes here, took.", delivered)
            + family("deferred_total", "counter", "Attempts for a recipient that were put off.", deferred)
            + family("bounced_total", "counter", "Recipients that were given up.", bounced)
    }
}
