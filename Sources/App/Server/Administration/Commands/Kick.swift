import Gateways
import MailTypes

/// `kick`: ends sessions, in the words of their protocols. Their clients may come again.
package struct Kick: AdministrationCommand {
    package static let words = "kick"

    package var filter: SessionFilter

    package init(_ filter: SessionFilter) { self.filter = filter }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        guard !filter.isEmpty else {
            throw AdministrationFailure("whose sessions? Name an account, a session, a network or a protocol", .usage)
        }
        guard let gateways = session.backend.gateways else {
            throw AdministrationFailure("no node serves the store, so there are no sessions")
        }
        let doomed = try filter.sessions(gateways, session)
        let count = gateways.end(Set(doomed.map(\.id)))
        return AdministrationResult(
            count == 1 ? "ended 1 session" : "ended \(count) sessions", ["ended": .count(count)])
    }
}
