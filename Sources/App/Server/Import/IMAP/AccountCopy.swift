// The mail of one account of a source: its folders, shared out among a few connections, then special uses and
// subscriptions. A connection that breaks is made anew, and its folder goes on where it was.
import Dispatch
import Foundation
import MailCore
import MailTypes
import Synchronization

/// The sum over folders.
struct CopyTotals {
    var folders = 0
    var imported = 0
    var missing = 0
}

final class AccountCopy: Sendable {
    private struct State {
        var folders: [SourceFolder] = []
        var totals = CopyTotals()
        var failure: AdministrationFailure?
    }

    private let desk: ImportDesk
    private let account: AccountID
    private let address: String
    private let place: SourcePlace
    private let login: SourceLogin
    private let directory: String
    private let state = Mutex(State())

    init(
        _ desk: ImportDesk, account: AccountID, address: String, place: SourcePlace, login: SourceLogin,
        directory: String
    ) {
        self.desk = desk
        self.account = account
        self.address = address
        self.place = place
        self.login = login
        self.directory = directory
    }

    /// - Parameter connections: at most.
    func run(connections: Int) throws -> CopyTotals {
        let lock = try ImportLock(directory: directory, account: account)
        defer { lock.release() }
        let first = try connect()
        let names: SourceNames
        do {
            names = try SourceNames(first)
            try prepare(names.folders, first)
        } catch {
            first.close()
            throw error
        }
        for (name, reason) in names.refused {
            desk.item(
                "\(name): \(reason)", ["address": .string(address), "file": .string(name), "error": .string(reason)])
        }
        state.withLock { state in
            state.folders = names.folders.reversed()
            state.totals.missing = names.refused.count
        }
        let group = DispatchGroup()
        for _ in 1..<max(1, min(connections, names.folders.count)) {
            group.enter()
            Thread.detachNewThread { [self] in
                work(nil)
                group.leave()
            }
        }
        work(first)
        group.wait()
        let (totals, failure) = state.withLock { ($0.totals, $0.failure) }
        if let failure { throw failure }
        try setUses(names.folders)
        for name in names.subscriptions {
            _ = try desk.perform(account, .setSubscription(name, true))
        }
        return totals
    }

    private func connect() throws -> SourceConnection {
        let connection = try SourceConnection(place) { [desk] in desk.isCancelled }
        do {
            try connection.logIn(login)
        } catch {
            connection.close()
            throw error
        }
        return connection
    }

    /// How much there is, for whoever watches, and the mailboxes for it.
    private func prepare(_ folders: [SourceFolder], _ connection: SourceConnection) throws {
        var validities: [MailboxName: UInt32] = [:]
        for folder in folders {
            _ = try connection.outcome(.count(connection.tag(), folder.rawName)) { [desk] event in
                guard case .response(.figures(let messages, let validity)) = event else { return }
                desk.expect(Int(messages ?? 0))
                validities[folder.name] = validity
            }
        }
        try ImportMailbox.makeRoom(account, folders.map(\.name), validities, in: desk.engine) {
            try desk.perform(account, $0)
        }
    }

    // MARK: Threads

    private func next() -> SourceFolder? { state.withLock { $0.failure == nil ? $0.folders.popLast() : nil } }

    private func work(_ first: SourceConnection?) {
        var connection = first
        defer { connection?.close() }
        while let folder = next() {
            do {
                try copy(folder, &connection)
            } catch {
                let failure = AdministrationFailure(error)
                state.withLock { state in
                    if state.failure == nil {
                        state.failure = AdministrationFailure("\(folder.name): \(failure.text)", failure.status)
                    }
                }
            }
        }
    }

    private func copy(_ folder: SourceFolder, _ connection: inout SourceConnection?) throws {
        for attempt in 1... {
            do {
                let live = try connection ?? connect()
                connection = live
                let report = try FolderCopy(desk, account, live, folder).run(
                    directory: directory, identity: "\(place.host)\n\(login.user)")
                return tell(report)
            } catch let failure as AdministrationFailure {
                connection?.close()
                connection = nil
                guard failure.status == .tryAgain || failure.text == SourceOctets.closed, !desk.isCancelled,
                    attempt < ServerLimits.importAttemptsMax
                else { throw failure }
                usleep(UInt32(attempt) * 500_000)
            }
        }
    }

    private func tell(_ report: FolderReport) {
        state.withLock { state in
            state.totals.folders += 1
            state.totals.imported += report.imported
            state.totals.missing += report.missing.count
        }
        for (text, value) in report.complaints(address) { desk.item(text, value) }
        desk.item(report.text, report.value(address))
    }

    // MARK: Beside the messages

    /// A special use moves from a mailbox that has never had a message.
    private func setUses(_ folders: [SourceFolder]) throws {
        for folder in folders {
            guard let use = folder.specialUse else { continue }
            let (id, holder) = try desk.engine.read { state in
                var holder: (MailboxID, MailboxRow)?
                try state.mailboxes(account) { id, row in
                    if row.specialUse == use { holder = (id, row) }
                    return holder == nil
                }
                return (try state.mailboxID(account, named: folder.name), holder)
            }
            guard let id, holder?.0 != id else { continue }
            if let (other, row) = holder {
                guard row.uidNext == 1 else { continue }
                _ = try desk.perform(account, .setSpecialUse(other, nil))
            }
            _ = try desk.perform(account, .setSpecialUse(id, use))
        }
    }
}
