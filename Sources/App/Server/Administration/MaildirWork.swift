// The Maildirs as administration sees them: through the projector of a node, or by a projection of one's own.
import MailCore
import MailEngine
import MailTypes
import Projections

enum MaildirWork {
    /// Makes the Maildirs of one account, or of all, equal to the state.
    static func rebuild(_ account: AccountID?, _ session: AdministrationSession) throws {
        if let projector = session.backend.projector {
            if let failure = projector.rebuild(account) { throw AdministrationFailure(failure) }
        } else {
            let projection = try open(session)
            do {
                // What others changed in two-way accounts is taken first.
                try projection.settleImports(account)
                try projection.rebuild(account)
                try projection.catchUp()
                try projection.storeCheckpoint()
            } catch {
                throw AdministrationFailure(error)
            }
        }
        try session.item("Maildir rebuilt", ["projection": "maildir", "check": false])
    }

    /// Compares them with the state; the first difference is the failure.
    static func check(_ account: AccountID?, contents: Bool, _ session: AdministrationSession) throws {
        let report: MaildirReport
        if let projector = session.backend.projector {
            do {
                report = try projector.check(account, contents: contents).get()
            } catch {
                throw AdministrationFailure("\(error)")
            }
        } else {
            let projection = try open(session)
            do {
                // What the node had not come to when it ended is no difference.
                try projection.settleImports(account)
                try projection.storeCheckpoint()
                report = try projection.check(account, contents: contents)
            } catch {
                throw AdministrationFailure(error)
            }
        }
        if let first = report.differences.first {
            let count = report.isCut ? "more than \(report.differences.count)" : "\(report.differences.count)"
            throw AdministrationFailure("the Maildir differs from the state in \(count) places, first \(first)")
        }
        if let first = report.waiting.first { throw AdministrationFailure("the Maildir waits: \(first)") }
        try session.item(
            "the Maildir equals the state: \(report.accounts) accounts, \(report.folders) folders, \(report.files) files"
                + (report.foreign > 0 ? "; \(report.foreign) files of others were left alone" : ""),
            [
                "projection": "maildir", "check": true, "accounts": .count(report.accounts),
                "folders": .count(report.folders), "files": .count(report.files), "foreign": .count(report.foreign),
            ])
    }

    // MARK: Two-way accounts

    static func importStatus(_ account: AccountID, _ session: AdministrationSession) throws -> MaildirImportStatus {
        try perform(session) { projection in
            try projection.settleImports(account)
            return try projection.importStatus(account)
        }
    }

    static func confirm(_ account: AccountID, _ session: AdministrationSession) throws -> Int {
        try perform(session) { try $0.confirm(account) }
    }

    static func restore(_ account: AccountID, _ session: AdministrationSession) throws {
        try perform(session) { projection in
            try projection.restore(account)
            try projection.catchUp()
        }
    }

    /// Runs `body` on the projector's thread, or on a projection of one's own.
    private static func perform<R: Sendable>(
        _ session: AdministrationSession, _ body: @escaping @Sendable (MaildirProjection) throws -> R
    ) throws -> R {
        if let projector = session.backend.projector {
            do {
                return try projector.answer(body).get()
            } catch {
                throw AdministrationFailure("\(error)")
            }
        }
        let projection = try open(session)
        do {
            let result = try body(projection)
            try projection.storeCheckpoint()
            return result
        } catch {
            throw AdministrationFailure(error)
        }
    }

    private static func open(_ session: AdministrationSession) throws -> MaildirProjection {
        guard let options = session.backend.configuration.maildirOptions(store: session.backend.store.directory) else {
            throw AdministrationFailure("maildir.enabled is false, so there is no Maildir")
        }
        return MaildirProjection(engine: session.engine, options: options)
    }
}

extension NodeConfiguration {
    /// Nil when the site wants no Maildirs.
    func maildirOptions(store: String) -> MaildirOptions? {
        maildir.enabled ? MaildirOptions(root: maildirRoot(store: store)) : nil
    }
}
