import EventStore
import MailEngine

/// `rebuild`: makes a projection anew from the log, or compares a rebuilt one with the live one.
package struct StoreRebuild: AdministrationCommand {
    package static let words = "rebuild"

    package enum Projection: String, Codable, CaseIterable, Sendable {
        case state, maildir, all
    }

    package var projection: Projection
    /// Builds beside the live one and compares; changes nothing.
    package var check: Bool

    package init(projection: Projection, check: Bool) {
        self.projection = projection
        self.check = check
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        throw AdministrationFailure("rebuild is not built yet")
    }
}
