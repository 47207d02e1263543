// From a domain to the hosts that take its mail (RFC 5321 section 5.1, RFC 7505).
import MailTypes
import SMTP

/// One host to try.
struct NextHop: Hashable, Sendable {
    /// A name or an IP address.
    let host: String
    let port: Int
}

enum Route: Sendable {
    case hosts([NextHop])
    /// Nothing to try, and another try would change nothing.
    case failed(SMTPServerReply)
    /// Cannot be told now.
    case deferred(String)
}

struct Router: Sendable {
    let resolver: any MailResolver
    let options: DeliveryOptions

    /// Where mail for a domain goes: messages that share it share its connections, so many and no more.
    func destination(of domain: String) -> String { options.smartHost.map { "\($0.host):\($0.port)" } ?? domain }

    func route(to domain: String, requiresTLS: Bool = false) async -> Route {
        if let smart = options.smartHost { return .hosts([NextHop(host: smart.host, port: smart.port)]) }
        if let literal = Self.literal(domain) { return .hosts([NextHop(host: literal, port: options.port)]) }
        let route = await routeByName(to: domain)
        guard requiresTLS, case .hosts = route else { return route }
        // RFC 8689 section 4.2.1, step 2: a name from an unsigned answer may be anybody's.
        switch await resolver.validation(of: domain) {
        case .signed: return route
        case .unsigned:
            let text = "TLS is required, and the mail hosts of \(domain) cannot be told for certain without DNSSEC"
            return .failed(SMTPServerReply(550, .init(5, 7, 30), lines: [text]))
        case .failed(let reason): return .deferred("cannot look up \(domain): \(reason)")
        }
    }

    private func routeByName(to domain: String) async -> Route {
        switch await resolver.exchangers(of: domain) {
        case .found(let exchangers): return route(exchangers, of: domain)
        case .noRecords: return await implicitExchanger(domain)
        case .noName:
            return .failed(SMTPServerReply(550, .init(5, 1, 2), lines: ["the domain \(domain) does not exist"]))
        case .failed(let reason): return .deferred("cannot look up \(domain): \(reason)")
        }
    }

    private func route(_ exchangers: [MailExchanger], of domain: String) -> Route {
        if exchangers.allSatisfy(\.host.isEmpty) {
            // RFC 7505 section 4.
            return .failed(SMTPServerReply(556, .init(5, 1, 10), lines: ["the domain \(domain) takes no mail"]))
        }
        var usable = exchangers.filter { !$0.host.isEmpty }
        // A host that is among the exchangers must not hand mail to those that are not preferred to it: they would hand
        // it back.
        if let own = usable.filter({ $0.host == options.hostName }).map(\.preference).min() {
            usable = usable.filter { $0.preference < own }
            guard !usable.isEmpty else {
                let text = "this host is the best mail exchanger of \(domain) and does not know the domain"
                return .failed(SMTPServerReply(550, .init(5, 4, 6), lines: [text]))
            }
        }
        // Equal preferences share the load: in any order (section 5.1).
        let ordered = usable.map { ($0, options.draw()) }.sorted { ($0.0.preference, $0.1) < ($1.0.preference, $1.1) }
            .map(\.0)
        return .hosts(
            ordered.prefix(DeliveryLimits.hostsPerAttemptMax).map { NextHop(host: $0.host, port: options.port) })
    }

    /// A domain without MX is its own exchanger, if it has an address.
    private func implicitExchanger(_ domain: String) async -> Route {
        switch await resolver.addresses(of: domain) {
        case .found: .hosts([NextHop(host: domain, port: options.port)])
        case .noRecords, .noName:
            .failed(SMTPServerReply(550, .init(5, 1, 2), lines: ["the domain \(domain) has no host that takes mail"]))
        case .failed(let reason): .deferred("cannot look up \(domain): \(reason)")
        }
    }

    /// The IP address within `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    private static func literal(_ domain: String) -> String? {
        guard domain.hasPrefix("["), domain.hasSuffix("]") else { return nil }
        let inner = domain.dropFirst().dropLast()
        return inner.lowercased().hasPrefix("ipv6:") ? String(inner.dropFirst(5)) : String(inner)
    }

    /// The addresses to connect to.
    func addresses(of hop: NextHop) async -> DNSAnswer<[String]> {
        if IPAddress(hop.host) != nil { return .found([hop.host]) }
        if hop.host == "localhost" { return .found(["127.0.0.1"]) }
        return await resolver.addresses(of: hop.host)
    }
}
