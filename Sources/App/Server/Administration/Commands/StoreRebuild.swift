import EventStore
import MailEngine

/// `rebuild`: makes a projection anew from the log, or compares a rebuilt one with the live one.
package struct StoreRebuild: AdministrationCommand {
    package static let words = "rebuild"

    package enum Projection: String, Codable, CaseIterable, Sendable {
        case state, maildir, cache, all
    }

    package var projection: Projection
    /// Builds beside the live one and compares; changes nothing.
    package var check: Bool

    package init(projection: Projection, check: Bool) {
        self.projection = projection
        self.check = check
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        if projection == .state || projection == .all { try state(session) }
        if projection == .maildir || projection == .all { try maildir(session) }
        if projection == .cache || projection == .all { try CacheWork.run(check: check, session) }
        return nil
    }

    private func state(_ session: AdministrationSession) throws {
        guard check || !session.backend.serves else {
            throw AdministrationFailure(
                "the state of a store that a node serves cannot be replaced; stop the node first")
        }
        let total = try session.engine.read { Int(clamping: $0.head.rawValue) }
        let progress: (Int) -> Void = { done in
            // Whoever asked may have gone; the work is then finished for nothing, which is harmless.
            try? session.progress(done, of: total)
        }
        let report: ReplayReport
        do {
            report =
                try check
                ? session.backend.store.compareStateWithReplay(progress: progress)
                : session.backend.store.rebuildState(progress: progress)
        } catch let difference as StateDifference {
            throw AdministrationFailure("the state differs from the log: \(difference)")
        }
        let words = check ? "state equals a replay of the log" : "state rebuilt"
        let unsaved = report.unsaved == 0 ? "" : ", \(report.unsaved) of them without a save date"
        let uidls = report.withoutUIDL == 0 ? "" : ", \(report.withoutUIDL) POP3 UIDLs in the log alone"
        try session.item(
            "\(words): \(report.events) events, \(report.accounts) accounts, \(report.rows) rows\(unsaved)\(uidls)",
            [
                "projection": "state", "check": .bool(check), "events": .count(report.events),
                "accounts": .count(report.accounts), "rows": .count(report.rows),
                "unsaved": .count(report.unsaved), "without_uidl": .count(report.withoutUIDL),
            ])
    }

    private func maildir(_ session: AdministrationSession) throws {
        guard session.configuration.maildir.enabled else {
            guard projection == .maildir else { return }
            throw AdministrationFailure("maildir.enabled is false: there is no Maildir to rebuild")
        }
        if check {
            try MaildirWork.check(nil, contents: true, session)
        } else {
            try MaildirWork.rebuild(nil, session)
        }
    }
}
