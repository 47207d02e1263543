// `import imap`: the mail of accounts of another server, copied over IMAP.
import EventStore
import MailTypes
import Synchronization

package struct ImportImap: AdministrationCommand {
    package static let words = "import imap"

    /// An account here, and whose mail it is there.
    package struct Entry: Codable, Sendable {
        package var address: String
        package var user: String
        package var password: String

        package init(address: String, user: String, password: String) {
            self.address = address
            self.user = user
            self.password = password
        }
    }

    package var host: String
    package var port: Int
    package var security: SourceSecurity
    package var entries: [Entry]
    /// Logs in for every user, with its own password in the place of theirs.
    package var master: String?
    /// Puts both into one login name, `user*master`; nil names them to SASL.
    package var masterSeparator: String?
    package var masterPassword: String?
    /// A file of certificates to trust in the place of the system's.
    package var authorities: String?
    /// For each account.
    package var connections: Int
    package var accountsAtOnce: Int

    package init(host: String, port: Int? = nil, security: SourceSecurity = .tls, entries: [Entry]) {
        self.host = host
        self.port = port ?? security.port
        self.security = security
        self.entries = entries
        connections = 3
        accountsAtOnce = 2
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        try run(ImportDesk(session), in: session)
    }

    package func run(_ desk: ImportDesk, in session: AdministrationSession) throws -> AdministrationResult? {
        try validate()
        var place = SourcePlace(host: host, port: port, security: security)
        place.makeTLS = try SourceTLS.handlerMaker(host: host, security: security, authorities: authorities)
        let directory = session.backend.store.directory
        let copies = try entries.map { entry in
            let account = try session.account(entry.address)
            let login = SourceLogin(
                user: entry.user, password: SecretOctets(Array((masterPassword ?? entry.password).utf8)),
                master: master, masterSeparator: masterSeparator)
            return (
                address: account.address,
                copy: AccountCopy(
                    desk, account: account.id, address: account.address, place: place, login: login,
                    directory: directory)
            )
        }
        let work = CopyWork(copies, connections: connections, desk)
        try work.run(threads: accountsAtOnce)
        return try work.result(host)
    }

    private func validate() throws(AdministrationFailure) {
        guard !entries.isEmpty, entries.count <= ServerLimits.importAccountsMax else {
            throw AdministrationFailure("1 to \(ServerLimits.importAccountsMax) accounts at once", .usage)
        }
        guard (1...65_535).contains(port) else { throw AdministrationFailure("\(port) is no port", .usage) }
        guard (1...ServerLimits.importConnectionsMax).contains(connections) else {
            throw AdministrationFailure("1 to \(ServerLimits.importConnectionsMax) connections for an account", .usage)
        }
        guard (1...ServerLimits.importAccountsAtOnceMax).contains(accountsAtOnce) else {
            throw AdministrationFailure("1 to \(ServerLimits.importAccountsAtOnceMax) accounts at once", .usage)
        }
        guard (master == nil) == (masterPassword == nil) else {
            throw AdministrationFailure("a master user needs a password", .usage)
        }
    }
}

extension ImportImap.Entry: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "Entry(\(address), redacted)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// The accounts of one run, shared out among threads. What fails for one is told, and the others go on.
private final class CopyWork: Sendable {
    private struct State {
        var totals = CopyTotals()
        var failures: [AdministrationFailure] = []
    }

    private let copies: [(address: String, copy: AccountCopy)]
    private let connections: Int
    private let desk: ImportDesk
    private let state = Mutex(State())

    init(_ copies: [(address: String, copy: AccountCopy)], connections: Int, _ desk: ImportDesk) {
        self.copies = copies
        self.connections = connections
        self.desk = desk
    }

    func run(threads: Int) throws {
        try SharedWork.run(copies.count, threads: min(threads, copies.count)) { [self] index in
            if !desk.isCancelled { work(copies[index].address, copies[index].copy) }
        }
    }

    private func work(_ address: String, _ copy: AccountCopy) {
        do {
            let totals = try copy.run(connections: connections)
            state.withLock { state in
                state.totals.folders += totals.folders
                state.totals.imported += totals.imported
                state.totals.missing += totals.missing
            }
        } catch {
            let failure = AdministrationFailure(error)
            state.withLock { $0.failures.append(failure) }
            if copies.count > 1 {
                desk.item(
                    "\(address): \(failure.text)", ["address": .string(address), "error": .string(failure.text)])
            }
        }
    }

    /// - Throws: when anything is not here as it is there.
    func result(_ host: String) throws -> AdministrationResult {
        let state = state.withLock { $0 }
        let into = copies.count == 1 ? copies[0].address : "\(copies.count) accounts"
        let text = "\(state.totals.imported) messages in \(state.totals.folders) folders of \(host) into \(into)"
        if let failure = state.failures.first {
            guard copies.count > 1 else {
                throw AdministrationFailure("\(failure.text) (run it again to go on)", failure.status)
            }
            throw AdministrationFailure("\(text); \(state.failures.count) accounts failed (run it again to go on)")
        }
        guard !desk.isCancelled else { throw AdministrationFailure("the import was interrupted") }
        guard state.totals.missing == 0 else {
            throw AdministrationFailure("\(text); \(state.totals.missing) could not be imported")
        }
        return AdministrationResult(
            text,
            [
                "accounts": .count(copies.count), "folders": .count(state.totals.folders),
                "imported": .count(state.totals.imported),
            ])
    }
}
