import Gateways
import MailCore
import MailTypes

/// Which sessions a command is about: those that all given words fit.
package struct SessionFilter: Codable, Sendable {
    /// An address or alias of an account.
    package var account: String?
    /// As `who` and the log write it, in hexadecimal.
    package var session: String?
    /// An IP address, or a network such as 192.0.2.0/24.
    package var network: String?
    /// Such as `pop3`.
    package var name: String?

    package init(account: String? = nil, session: String? = nil, network: String? = nil, name: String? = nil) {
        self.account = account
        self.session = session
        self.network = network
        self.name = name
    }

    package var isEmpty: Bool { account == nil && session == nil && network == nil && name == nil }

    /// The sessions that fit.
    func sessions(_ gateways: Gateways, _ session: AdministrationSession) throws -> [SessionInfo] {
        let account = try account.map { try session.account($0).id }
        let id = try self.session.map { text in
            guard let number = UInt64(text, radix: 16) else {
                throw AdministrationFailure("\(text) is not a session as `who` shows it", .usage)
            }
            return SessionID(number)
        }
        let network = try network.map { text in
            guard let network = IPNetwork(text) else {
                throw AdministrationFailure("\(text) is not an address or network such as 192.0.2.0/24", .usage)
            }
            return network
        }
        if let name, GatewayProtocol(rawValue: name) == nil {
            throw AdministrationFailure("\(name) is not a protocol", .usage)
        }
        return gateways.sessions.filter { info in
            (account == nil || info.account == account) && (id == nil || info.id == id)
                && (name == nil || info.name.rawValue == name)
                && (network == nil || info.client.map { network?.contains($0) == true } ?? false)
        }
    }
}

/// `who`: the sessions there are.
package struct Who: AdministrationCommand {
    package static let words = "who"

    package var filter: SessionFilter

    package init(_ filter: SessionFilter = SessionFilter()) { self.filter = filter }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        guard let gateways = session.backend.gateways else {
            try session.note("no node serves the store, so there are no sessions")
            return nil
        }
        var names: [AccountID: String] = [:]
        for info in try filter.sessions(gateways, session) {
            if let account = info.account, names[account] == nil {
                names[account] = try session.engine.read { try $0.primaryAddress(account) }
            }
            let line = SessionLine(info, address: info.account.flatMap { names[$0] })
            try session.item(line.text, line.value)
            if session.isCancelled { return nil }
        }
        return nil
    }
}

/// What `who` says of a session.
private struct SessionLine {
    let info: SessionInfo
    /// Of its account; nil before login.
    let address: String?

    init(_ info: SessionInfo, address: String?) {
        self.info = info
        self.address = address
    }

    private var id: String { String(info.id.rawValue, radix: 16) }

    var text: String {
        "\(address ?? "-")  \(info.name.rawValue)  \(info.client?.description ?? "unix")"
            + "  \(info.isSecure ? "tls" : "plain")  since \(info.since.text)  idle \(info.silentSeconds)s  \(id)"
    }

    var value: JSONValue {
        [
            "account": .text(address), "protocol": .string(info.name.rawValue),
            "client": .text(info.client?.description), "tls": .bool(info.isSecure), "since": .string(info.since.text),
            "idle_seconds": .count(info.silentSeconds), "session": .string(id),
        ]
    }
}
