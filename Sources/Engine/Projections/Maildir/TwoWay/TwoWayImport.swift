// Two-way accounts: looks at their trees in turn, and hands what others did there to the engine as commands of the gateway
// `maildir-import`.
//
// Invariants
// - Nothing is believed at once: a deletion needs two looks in a row that miss the file, a file of others two that find it
//   the same. Letters are believed at once, since a name is always whole.
// - What was projected and not touched makes no command (engine.md, 31), so a second pass over a quiet tree does nothing.
// - The projection never undoes what was not looked at: where a file is not as it was left, the folder is merged first.
// - What would delete much waits until somebody confirms it.
// - A command that was committed and not noted is found again by the next look, and is then nothing to do.
//
// Rejected: a table of what was projected (it follows from state and log); events of inotify as what happened (a queue
// that overflows, watches that are a scarce thing of the machine: they say where to look, TreeWatch.swift); renaming with
// the content rewritten in place (readers would see half a message).
import EventStore
import MailCore
import MailEngine
import MailTypes

extension MaildirProjection {
    func noteMode(_ account: AccountID, _ plan: AccountPlan) {
        if plan.mode == .twoWay, plan.status != .removed {
            if imports[account] == nil { imports[account] = AccountImport() }
        } else if imports.removeValue(forKey: account) != nil {
            watch.forget(account)
            recount()
        }
        importCounts.accounts = UInt64(imports.count)
    }

    /// Whether there are trees to look at.
    package var hasImports: Bool { !imports.isEmpty }

    /// The first look of a run, before anything is projected: what was changed while nobody followed is not lost.
    func openImports() throws {
        let all = try engine.read { state in
            var all: [AccountID] = []
            try state.accounts { account, head in
                if account >= .firstPersonal, head.status != .removed { all.append(account) }
                return true
            }
            return try all.filter { MaildirMode(setting: try state.setting($0, Self.settingKey)) == .twoWay }
        }
        for account in all {
            guard let plan = try plan(account) else { continue }
            noteMode(account, plan)
            try sweepFolders(account, plan)
            try noteMissing(account, plan)
            try look(at: account, isForced: true)
        }
        recount()
    }

    /// Looks write files too, and of one that was broken off no event tells.
    private func sweepFolders(_ account: AccountID, _ plan: AccountPlan) throws {
        guard let directory = plan.directory else { return }
        let memory = try remembered(account, directory)
        for folder in memory.folders.values { try sweep(memory.path(of: folder)) }
    }

    /// Folders that were projected and are not there any more, or are called otherwise: they are missed, or known again, like
    /// those that go while somebody looks.
    private func noteMissing(_ account: AccountID, _ plan: AccountPlan) throws {
        guard let directory = plan.directory, try !window(account).hasLayout else { return }
        let memory = try remembered(account, directory)
        guard !memory.folders.isEmpty else { return }
        for (mailbox, folder) in try wantedFolders(account) { memory.folders[mailbox] = folder.name }
    }

    /// Looks at the trees in turn, for a bounded time.
    /// - Returns: whether every tree was found quiet.
    package func importChanges() throws -> Bool {
        takeNews()
        let now = monotonicSeconds()
        let deadline = now + MaildirLimits.scanSecondsMax
        let order = imports.filter { $0.value.isDue(now) }.keys.sorted()
        if order.isEmpty { return true }
        defer { recount() }
        let first = order.firstIndex { $0 >= nextImport } ?? 0
        var isQuiet = true
        for account in order[first...] + order[..<first] {
            if monotonicSeconds() > deadline {
                nextImport = account
                return false
            }
            try look(at: account, isForced: false)
            if let memo = imports[account], !memo.isQuiet { isQuiet = false }
        }
        return isQuiet
    }

    /// Looks and projects until nothing is left to do: for checks, and for those who wait.
    package func settleImports(_ account: AccountID? = nil) throws {
        try catchUp()
        for account in account.map({ [$0] }) ?? imports.keys.sorted() {
            for _ in 0..<MaildirLimits.settleLooksMax {
                try catchUp()
                guard imports[account] != nil else { break }
                let acted = try look(at: account, isForced: true)
                // What fails would fail as often as it is looked at.
                if !acted, imports[account].map({ $0.isQuiet || $0.failure != nil }) ?? true { break }
            }
        }
        recount()
        try catchUp()
    }

    /// - Returns: whether there was something to do.
    @discardableResult
    private func look(at account: AccountID, isForced: Bool) throws -> Bool {
        guard let memo = imports[account], let plan = try plan(account), let directory = plan.directory else {
            return false
        }
        let memory = try remembered(account, directory)
        guard !memory.folders.isEmpty else { return false }
        do {
            let acted = try look(at: account, memory, memo, plan, isForced: isForced)
            if memo.failure != nil { report("\(memory.path): the import goes on") }
            memo.failure = nil
            return acted
        } catch  where error is MaildirFailure || error is EngineFailure {
            // A file that may not be read, an engine with a full disk: the projection and other accounts go on.
            let text = "\(error)"
            if memo.failure != text { report("\(memory.path): import: \(text)") }
            memo.failure = text
            return false
        }
    }

    private func look(
        at account: AccountID, _ memory: AccountMemory, _ memo: AccountImport, _ plan: AccountPlan, isForced: Bool
    ) throws -> Bool {
        let now = monotonicSeconds()
        let isTurn = now >= memo.nextTurn || !memo.isWatched
        if !isForced, !memo.isWatched || memo.areFoldersTouched { watchFolders(account, memory, memo) }
        if isTurn { memo.nextTurn = now + MaildirLimits.turnSeconds }
        memo.isTouched = false
        defer { memo.noteRest() }
        var look = AccountLook()
        look.hasActed = try lookAtLayout(account, memory, memo, isForced: isForced, isTurn: isTurn)
        // Made anew as the state has it.
        guard imports[account] === memo, accounts[account] === memory else { return true }
        // What is missing may be in a folder that is about to be taken.
        look.hasSkipped = memo.isLayoutBehind || memo.strangers.contains { memo.told[$0] == nil }
        memo.folders = memo.folders.filter { memory.folders[$0.key] != nil }
        for (mailbox, folder) in memory.folders.sorted(by: { $0.key < $1.key }) {
            let place = folderPlace(account, mailbox, folder, memory, isTwoWay: true)
            try self.look(place, memo.folder(mailbox), plan, isForced: isForced, isTurn: isTurn, &look)
        }
        try adopt(&look, memory, memo)
        guard !look.hasSkipped else { return look.hasActed }
        for (uids, place, row) in look.lost {
            for message in try messages(unclaimed(uids, place, row, memo), place) {
                guard let file = message.file else { continue }
                look.hasActed = true
                try write(file, place)
                memo.folder(place.mailbox).missing.subtract(UIDSet(message.uid))
            }
        }
        for (uids, place, row) in look.vanished {
            if try expunge(uids, place, row, memo, isConfirmed: false) { look.hasActed = true }
        }
        return look.hasActed
    }

    /// Merges one folder, for the projection that found a file not as it left it. Nothing is adopted or deleted.
    func mergeNow(_ place: FolderPlace) throws {
        place.memory.merges += 1
        guard let plan = try plan(place.account) else { return }
        let box = (imports[place.account] ?? AccountImport()).folder(place.mailbox)
        var look = AccountLook()
        try self.look(place, box, plan, isForced: true, &look)
        if place.memory.index == nil { place.memory.index = FolderIndex() }
        box.isQuiet = false
    }

    // MARK: Deletions

    /// Those whose files are not there under another name, about to become known, and did not turn up just now.
    private func unclaimed(
        _ uids: UIDSet, _ place: FolderPlace, _ row: MailboxRow, _ memo: AccountImport
    ) -> UIDSet {
        let box = memo.folder(place.mailbox)
        var uids = uids.intersection(box.missing)
        for other in memo.folders.values { if let claimed = other.claims[row.uidValidity] { uids.subtract(claimed) } }
        for (inode, uid) in box.unnamed where memo.folders.values.contains(where: { $0.holds(inode) }) {
            uids.subtract(UIDSet(uid))
        }
        if let index = place.memory.index { uids = UIDSet(uids.filter { index[$0] != nil }) }
        return uids
    }

    /// A file in another folder has its name.
    func isClaimed(_ uid: UID, _ place: FolderPlace, _ validity: UIDValidity) -> Bool {
        imports[place.account]?.folders.values.contains { $0.claims[validity]?.contains(uid) ?? false } ?? false
    }

    private func expunge(
        _ vanished: UIDSet, _ place: FolderPlace, _ row: MailboxRow, _ memo: AccountImport, isConfirmed: Bool
    ) throws -> Bool {
        let box = memo.folder(place.mailbox)
        let uids = unclaimed(vanished, place, row, memo)
        guard !uids.isEmpty else { return false }
        let now = monotonicSeconds()
        let lately = box.goneLately(now)
        // Those that were missed once are counted too: who removes many is seen in the middle of it.
        let missing = unclaimed(vanished.union(box.missing), place, row, memo).count
        if !isConfirmed, TreeMerge.isMass(missing + lately, of: Int(row.exists) + lately) {
            if box.quarantined.isEmpty {
                report(
                    "\(place.path): \(uids.count) of \(row.exists) files are gone: "
                        + "their messages are deleted when somebody confirms it")
            }
            box.quarantined = uids
            return false
        }
        let command = AccountCommand.expunge(
            Expunge(mailbox: place.mailbox, uids: uids, onlyDeleted: false, reason: .import))
        if let refusal = try perform(place.account, command) {
            report("\(place.path): deletions were refused: \(refusal)")
            return false
        }
        try disk.passed(.importCommitted)
        box.noteGone(uids.count, now)
        box.noteExpunged(uids)
        place.memory.index?.remove(uids)
        importCounts.deletions += UInt64(uids.count)
        return true
    }

    /// What waits in quarantine is deleted.
    /// - Returns: how many messages.
    package func confirm(_ account: AccountID) throws -> Int {
        try settleImports(account)
        guard let memo = imports[account], let directory = try plan(account)?.directory else { return 0 }
        let before = importCounts.deletions
        let memory = try remembered(account, directory)
        for (mailbox, box) in memo.folders.sorted(by: { $0.key < $1.key }) where !box.quarantined.isEmpty {
            guard let folder = memory.folders[mailbox], let row = try engine.read({ try $0.mailbox(account, mailbox) })
            else { continue }
            let place = folderPlace(account, mailbox, folder, memory, isTwoWay: true)
            _ = try expunge(box.quarantined, place, row, memo, isConfirmed: true)
        }
        try confirmFolders(account, memory, memo)
        try settleImports(account)
        return Int(importCounts.deletions - before)
    }

    /// The tree becomes what the state says: what waits in quarantine is written again.
    package func restore(_ account: AccountID) throws {
        try rebuild(account)
        recount()
    }

    // MARK: The engine

    func importRequest(
        _ account: AccountID, _ command: AccountCommand, bodies: [any BodySource] = [], id: CommandID? = nil
    ) -> Request {
        Request(
            [Request.Item(account, command)], bodies: bodies, origin: Origin(gateway: .maildirImport), command: id,
            retryable: id != nil)
    }

    /// - Returns: why it was refused; nil when it is done.
    func perform(_ account: AccountID, _ command: AccountCommand) throws -> Refusal? {
        switch engine.performAndWait(importRequest(account, command))[0] {
        case .failed(let failure): throw failure
        case .refused(let refusal): return refusal
        case .done, .duplicate: return nil
        }
    }

    /// Does all of them; those that come together share a commit.
    func perform(_ requests: [Request]) throws -> [CommandOutcome] {
        guard !requests.isEmpty else { return [] }
        let answers = TimedMonitor<[Int: CommandOutcome]>([:])
        for (number, request) in requests.enumerated() {
            engine.submit(request) { outcomes in answers.change { $0[number] = outcomes[0] } }
        }
        return answers.wait { found in
            found.count == requests.count ? requests.indices.compactMap { found[$0] } : nil
        }
    }

    // MARK: Status

    func recount() {
        var quarantined = 0
        var refused = 0
        for (account, memo) in imports {
            for box in memo.folders.values {
                quarantined += box.quarantined.count
                refused += box.refused.count
            }
            for mailbox in memo.quarantinedFolders { quarantined += messageCount(account, mailbox) }
        }
        importCounts.quarantined = UInt64(quarantined)
        importCounts.refused = UInt64(refused)
        importCounts.watches = UInt64(watch.count)
    }

    private func messageCount(_ account: AccountID, _ mailbox: MailboxID) -> Int {
        (try? engine.read { try $0.mailbox(account, mailbox) })?.map { Int($0.exists) } ?? 0
    }

    package func importStatus(_ account: AccountID) throws -> MaildirImportStatus {
        var status = MaildirImportStatus()
        guard let plan = try plan(account) else { return status }
        status.mode = plan.mode
        guard let memo = imports[account] else { return status }
        status.isQuiet = memo.isQuiet
        status.failure = memo.failure
        for (mailbox, box) in memo.folders.sorted(by: { $0.key < $1.key }) {
            status.ignored += box.ignored
            status.refused += box.refused.values.map { ($0.path, $0.reason) }
            if !box.quarantined.isEmpty {
                status.quarantine.append(
                    .init(
                        mailbox: try name(account, mailbox), messages: box.quarantined.count, isFolder: false))
            }
        }
        for mailbox in memo.quarantinedFolders.sorted() {
            status.quarantine.append(
                .init(
                    mailbox: try name(account, mailbox), messages: messageCount(account, mailbox), isFolder: true))
        }
        return status
    }

    private func name(_ account: AccountID, _ mailbox: MailboxID) throws -> String {
        try engine.read { try $0.name(account, of: mailbox) }.map { "\($0)" } ?? "mailbox \(mailbox.rawValue)"
    }
}
