// The outbound queue of a node: the runner with what it needs of this site.
import Delivery
import Gateways
import Logging
import MailEngine
import NIOCore
import NIOPosix
import SMTP
import TLS

/// The runner, its event loop and its threads, started and stopped together.
final class Sending: Sendable {
    private let runner: QueueRunner
    private let group: MultiThreadedEventLoopGroup
    private let fileThreads: NIOThreadPool

    init(
        _ configuration: NodeConfiguration, hostName: String, engine: MailEngine, gateways: Gateways, log: Logger
    ) throws {
        let options = try configuration.sending.options(hostName: hostName)
        let resolver: UnboundResolver
        do {
            resolver = try UnboundResolver(
                servers: configuration.sending.nameServers, trustAnchor: configuration.sending.trustAnchor)
        } catch {
            throw AdministrationFailure("`sending.name-servers`, `sending.trust-anchor`: \(error)")
        }
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

    func start() async { await runner.start() }

    func stop(within seconds: Int) async {
        await runner.stop(within: .seconds(Int64(seconds)))
        try? await group.shutdownGracefully()
        try? await fileThreads.shutdownGracefully()
    }
}

extension NodeConfiguration.Sending {
    func options(hostName: String) throws -> DeliveryOptions {
        var options = DeliveryOptions(hostName: self.hostName ?? hostName, draw: { UInt64.random(in: .min ... .max) })
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
