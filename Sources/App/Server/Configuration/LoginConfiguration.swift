// The keys `logins.*`: who checks passwords and tokens, and by which mechanisms.
import Authentication
import MailTypes
import NIOCore
import TLS

extension NodeConfiguration {
    package struct Logins: Sendable {
        package var mechanisms = SASLMechanism.allCases
        /// Of saslauthd's socket; nil asks nobody.
        package var saslauthd: String?
        package var saslauthdAccounts = ExternalPasswords.Coverage.marked
        package var saslauthdSecondsMax = AuthenticationLimits.saslauthdSecondsMax
        /// Nil offers no mechanism with tokens.
        package var tokenEndpoint: TokenEndpoint?
        package var tokenEndpointText = ""
        package var tokenClient: String?
        package var tokenSecretFile: String?
        package var tokenName = "username"
        package var tokenScope: String?
        package var tokenSecondsMax = 5
        /// The file of the authorities that vouch for an endpoint with https; nil takes the system's.
        package var tokenAuthority: String?
        package init() {}
    }
}

extension ConfigurationKey {
    static let logins: [ConfigurationKey] = [
        ConfigurationKey(
            "logins.mechanisms", show: { $0.logins.mechanisms.map(\.rawValue).joined(separator: ", ") }
        ) { configuration, value throws(ConfigurationRefusal) in
            var mechanisms: [SASLMechanism] = []
            for text in try value.strings() where text != "none" {
                guard let mechanism = SASLMechanism(named: text) else {
                    let all = SASLMechanism.allCases.map(\.rawValue).joined(separator: ", ")
                    throw ConfigurationRefusal("takes mechanisms of \(all), or none; not `\(text)`")
                }
                mechanisms.append(mechanism)
            }
            configuration.logins.mechanisms = SASLMechanism.allCases.filter(mechanisms.contains)
        },
        ConfigurationKey("logins.saslauthd.socket", show: { $0.logins.saslauthd ?? "" }) {
            configuration, value throws(ConfigurationRefusal) in
            let path = try value.single()
            guard !path.isEmpty else { return configuration.logins.saslauthd = nil }
            guard path.hasPrefix("/"), path.utf8.count <= 107, !path.utf8.contains(0) else {
                throw ConfigurationRefusal("takes the absolute path of a socket, at most 107 octets")
            }
            configuration.logins.saslauthd = path
        },
        ConfigurationKey("logins.saslauthd.accounts", show: { $0.logins.saslauthdAccounts.rawValue }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.logins.saslauthdAccounts = try value.word(ExternalPasswords.Coverage.self)
        },
        seconds("logins.saslauthd.timeout", \.logins.saslauthdSecondsMax, 1...60),
        ConfigurationKey("logins.tokens.endpoint", show: { $0.logins.tokenEndpointText }) {
            configuration, value throws(ConfigurationRefusal) in
            let text = try value.single()
            configuration.logins.tokenEndpointText = text
            guard !text.isEmpty else { return configuration.logins.tokenEndpoint = nil }
            guard let endpoint = TokenEndpoint(text) else {
                throw ConfigurationRefusal(
                    "takes an https address, or an http address of this machine, without name and password")
            }
            configuration.logins.tokenEndpoint = endpoint
        },
        text("logins.tokens.ca-file", \.logins.tokenAuthority),
        text("logins.tokens.client-id", \.logins.tokenClient),
        text("logins.tokens.client-secret-file", \.logins.tokenSecretFile),
        text("logins.tokens.scope", \.logins.tokenScope),
        ConfigurationKey("logins.tokens.name", show: { $0.logins.tokenName }) {
            configuration, value throws(ConfigurationRefusal) in
            let name = try value.single()
            guard !name.isEmpty else { throw ConfigurationRefusal("takes the name of a member, such as username") }
            configuration.logins.tokenName = name
        },
        seconds("logins.tokens.timeout", \.logins.tokenSecondsMax, 1...60),
    ]
}

extension NodeConfiguration.Logins {
    /// - Parameter report: gets why the service could not be asked.
    /// - Throws: a failure that names the file that cannot be used, and repeats nothing of it.
    func tokens(report: @escaping @Sendable (String) -> Void) throws -> TokenIntrospection? {
        guard let tokenEndpoint else { return nil }
        var options = TokenIntrospectionOptions(endpoint: tokenEndpoint)
        options.nameMember = tokenName
        options.scope = tokenScope
        options.timeout = .seconds(Int64(tokenSecondsMax))
        if let tokenClient { options.client = (tokenClient, try tokenSecret()) }
        return TokenIntrospection(
            options, encryption: tokenEndpoint.isEncrypted ? try tokenEncryption(options.timeout) : nil, report: report,
            clock: { Double(Timestamp.now.rawValue) / 1000 })
    }

    private func tokenSecret() throws -> String {
        try tokenSecretFile.map { try InputFile.secret($0) } ?? ""
    }

    /// TLS to the token service, under the name of its address.
    private func tokenEncryption(_ timeout: TimeAmount) throws -> TokenIntrospection.Encryption {
        let client: TLSClient
        do {
            client = try TLSClient(TLSClientOptions(trust: .authorities(in: tokenAuthority)))
        } catch let failure as TLSFailure {
            throw AdministrationFailure("\(tokenAuthority ?? "the system"): \(failure.reason)")
        }
        return { host in try client.makeHandler(host: host, applicationProtocol: "http/1.1", handshakeMax: timeout) }
    }

    /// What is wrong with the files, for `check-config`.
    func objections() -> [(key: String, text: String)] {
        guard let tokenEndpoint else { return [] }
        var found: [(key: String, text: String)] = []
        do {
            if tokenClient != nil { _ = try tokenSecret() }
        } catch {
            found.append(("logins.tokens.client-secret-file", AdministrationFailure(error).text))
        }
        do {
            if tokenEndpoint.isEncrypted { _ = try tokenEncryption(.zero) }
        } catch {
            found.append(("logins.tokens.ca-file", AdministrationFailure(error).text))
        }
        return found
    }

    /// - Parameter report: gets why saslauthd could not be asked.
    func external(report: @escaping @Sendable (String) -> Void) -> ExternalPasswords? {
        saslauthd.map {
            ExternalPasswords(
                SaslauthdClient(path: $0, secondsMax: saslauthdSecondsMax), coverage: saslauthdAccounts, report: report)
        }
    }
}
