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
        let folders: [SourceFolder]
        do {
            names = try SourceNames(first)
            folders = try prepared(names.folders, first)
        } catch {
            first.close()
            throw error
        }
        for (name, reason) in names.refused {
            desk.item(
                "\(name): \(reason)", ["address": .string(address), "file": .string(name), "error": .string(reason)])
        }
        state.withLock { state in
            state.folders = folders.reversed()
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
        try desk.reached(.subscribed)
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
    /// - Returns: the folders, with what they say of themselves.
    private func prepared(_ folders: [SourceFolder], _ connection: SourceConnection) throws -> [SourceFolder] {
        var folders = folders
        var validities: [MailboxName: UInt32] = [:]
        for index in folders.indices {
            _ = try connection.outcome(.count(connection.tag(), folders[index].rawName)) { [desk] event in
                guard case .response(.figures(let messages, let validity, let next)) = event else { return }
                desk.expect(Int(messages ?? 0))
                validities[folders[index].name] = validity
                folders[index].uidNext = next ?? 0
            }
        }
        try ImportMailbox.makeRoom(account, folders.map(\.name), validities, in: desk.engine) {
            try desk.perform(account, $0)
        }
        try desk.reached(.roomMade)
        return folders
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
        // In a row, without a message that came: a folder of many takes more connections than a small one may.
        var attempts = 0
        var before = 0
        while true {
            var copy: FolderCopy?
            do {
                let live = try connection ?? connect()
                connection = live
                let work = FolderCopy(desk, account, live, folder, importedBefore: before)
                copy = work
                return tell(
                    try work.run(directory: directory, identity: "\(place.host)\n\(login.user)"))
            } catch let failure as AdministrationFailure {
                connection?.close()
                connection = nil
                let imported = copy?.report.imported ?? before
                attempts = imported > before ? 1 : attempts + 1
                before = imported
                guard failure.status == .tryAgain, !desk.isCancelled, attempts < ServerLimits.importAttemptsMax
                else { throw failure }
                usleep(UInt32(attempts) * 500_000)
            }
        }
    }

    private func tell(_ report: FolderReport) {
        state.withLock { state in
            state.totals.folders += 1
            state.totals.imported += report.imported
            state.totals.missing += report.missing.count
        }
        desk.tell(report, address)
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
