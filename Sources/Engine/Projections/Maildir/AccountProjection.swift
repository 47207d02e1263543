// One account's part of the tree: its directory, its folders, and the files that are one for all folders.
//
// A folder says itself whose it is: the GUID in its list holds account and mailbox. So a rename or deletion is done by
// comparing what lies there with what the state wants, and no table of folders can go out of step with them.
import MailCore
import MailTypes

/// What is remembered of an account between slices.
final class AccountMemory {
    /// Of the account's directory.
    let path: String
    /// Folders of ours as they are now, by mailbox; empty for INBOX.
    var folders: [MailboxID: String]
    var boxes: [MailboxID: FolderMemory] = [:]
    /// After an interrupted run all folders have their parts, and nothing is left in them half-written.
    var isHealed = false
    var usedAt: UInt64 = 0

    init(path: String, folders: [MailboxID: String]) {
        self.path = path
        self.folders = folders
    }

    /// - Parameter folder: as in `folders`.
    func path(of folder: String) -> String { folder.isEmpty ? path : path + "/" + folder }
}

/// What the tree needs to know of an account, from one snapshot.
struct AccountPlan {
    var status: AccountStatus
    /// Whether the tree follows the state, or each follows the other, or neither.
    var mode: MaildirMode
    /// Name of its directory; nil without a primary address, as the queue's.
    var directory: String?
    var quota: Quota
    var used: Quota
    /// By number, as far as they have letters.
    var keywords: [Keyword?]
}

/// A mailbox that should have a folder.
struct WantedFolder {
    var name: String
    var row: MailboxRow
}

extension MaildirProjection {
    func project(_ account: AccountID, _ work: AccountWork, isReplay: Bool) throws {
        guard let plan = try plan(account) else { return }
        noteMode(account, plan)
        guard plan.mode != .off else { return }
        if plan.status == .removed { return try removeAccount(account) }
        guard let directory = plan.directory else { return }
        let memory = try remembered(account, directory)
        let isHealing = isReplay && !memory.isHealed
        if isHealing {
            // Others may have removed what we need, and a power cut may not have kept it.
            for folder in memory.folders.values where disk.isDirectory(memory.path(of: folder)) {
                try makeParts(memory.path(of: folder), isInbox: folder.isEmpty)
                try sweep(memory.path(of: folder))
            }
            memory.isHealed = true
        }
        var work = work
        // A mailbox without a folder: the first look at an account, or somebody removed it.
        let isComplete = work.boxes.keys.allSatisfy { memory.folders[$0] != nil } && !memory.folders.isEmpty
        if work.layout || work.everything || !isComplete { try layOut(account, memory, plan, &work) }
        if work.everything {
            if imports[account] != nil { imports[account] = AccountImport() }
            // Done again after a crash, it would undo what others do from now on.
            isCheckpointWanted = true
            for mailbox in memory.folders.keys {
                work.boxes[mailbox, default: MailboxWork()].everything = true
                work.boxes[mailbox]?.isOfWholeTree = true
            }
            try raiseHorizon()
        }
        if work.keywords || work.everything || isHealing {
            for folder in memory.folders.values { try writeKeywords(memory.path(of: folder), plan) }
        }
        for mailbox in work.boxes.keys.sorted() {
            guard let box = work.boxes[mailbox] else { continue }
            try project(account, mailbox, box, memory, plan, isReplay: isReplay)
        }
        if work.subscriptions || work.layout || work.everything || isHealing { try writeSubscriptions(account, memory) }
        try replaceSmall(
            memory.path, QuotaFile.fileName, with: QuotaFile.text(quota: plan.quota, used: plan.used))
    }

    func plan(_ account: AccountID) throws -> AccountPlan? {
        try engine.read { state in
            guard let head = try state.head(account) else { return nil }
            let primary = try state.primaryAddress(account)
            var keywords: [Keyword?] = []
            for id in 0..<UInt16(min(Int(head.nextKeyword), MaildirLimits.keywordLettersMax)) {
                keywords.append(try state.keyword(account, KeywordID(id)))
            }
            return AccountPlan(
                status: head.status, mode: MaildirMode(setting: try state.setting(account, Self.settingKey)),
                directory: primary.map { MaildirDirectoryName.account($0, account) }, quota: head.quota,
                used: head.used, keywords: keywords)
        }
    }

    /// The folders that should be there.
    func wantedFolders(_ account: AccountID) throws -> [MailboxID: WantedFolder] {
        var rows: [MailboxID: MailboxRow] = [:]
        try engine.read { state in
            try state.mailboxes(account) { id, row in
                rows[id] = row
                return true
            }
        }
        var wanted: [MailboxID: WantedFolder] = [:]
        for (id, row) in rows {
            guard let name = Self.name(of: id, rows) else { continue }
            wanted[id] = WantedFolder(name: MaildirDirectoryName.folder(name, id), row: row)
        }
        return wanted
    }

    private static func name(of mailbox: MailboxID, _ rows: [MailboxID: MailboxRow]) -> MailboxName? {
        var components: [String] = []
        var current = mailbox
        while current != .root {
            guard components.count < MailboxName.depthMax, let row = rows[current] else { return nil }
            components.append(row.leaf)
            current = row.parent
        }
        return MailboxName(components: components.reversed())
    }

    // MARK: The directory

    func link(_ account: AccountID) -> String { "\(stateDirectory)/accounts/\(account.rawValue)" }

    /// What is known of the account, from memory or from a look at its directory.
    func remembered(_ account: AccountID, _ directory: String) throws -> AccountMemory {
        tick += 1
        if let memory = accounts[account] {
            memory.usedAt = tick
            return memory
        }
        try claim(account, directory)
        let path = options.root + "/" + directory
        let found = try foldersOfOurs(account, path)
        for name in found.unfinished { try discard(path + "/" + name) }
        let memory = AccountMemory(path: path, folders: found.folders)
        memory.usedAt = tick
        accounts[account] = memory
        return memory
    }

    /// A symbolic link from the account's number to its directory, so that the directory is still found when the
    /// address is gone.
    private func claim(_ account: AccountID, _ directory: String) throws {
        let target = "../../" + directory
        let claimed = try disk.linkTarget(link(account))
        if claimed == target { return }
        if let claimed, let old = claimed.split(separator: "/").last {
            try disk.rename("\(options.root)/\(old)", to: "\(options.root)/\(directory)", .folderMoved)
            try disk.remove(link(account))
        }
        try disk.makeLink(link(account), to: target)
        try disk.passed(.accountClaimed)
    }

    /// Folders of ours below an account's directory, and parked ones that never got their list, which hold nothing.
    /// - Throws: `ForeignMaildir` when the directory is another program's, or another account's.
    func foldersOfOurs(
        _ account: AccountID, _ path: String
    ) throws -> (folders: [MailboxID: String], unfinished: [String]) {
        var folders: [MailboxID: String] = [:]
        var unfinished: [String] = []
        if let header = try listHeader(path) {
            guard let owner = header.owner, owner.account == account else { throw ForeignMaildir(path: path) }
            folders[owner.mailbox] = ""
        }
        try disk.list(path) { name in
            guard name.hasPrefix(".") else { return true }
            let owner = try listHeader(path + "/" + name)?.owner
            if let owner, owner.account == account, folders[owner.mailbox] == nil {
                folders[owner.mailbox] = name
            } else if MaildirDirectoryName.parkedMailbox(name) != nil {
                unfinished.append(name)
            }
            return true
        }
        return (folders, unfinished)
    }

    /// The header of a folder's list; nil when there is none, or none that can be read.
    func listHeader(_ folder: String) throws -> UIDList.Header? {
        let path = folder + "/" + UIDList.fileName
        guard let bytes = try disk.read(path, limit: MaildirLimits.listHeaderOctetsMax), let first = bytes.first,
            first != 0
        else {
            // A power cut may leave a list that has a name and a length and nothing in it.
            return nil
        }
        guard let header = UIDList.Header(parsing: bytes.prefix { $0 != 10 }) else {
            throw ForeignMaildir(path: folder)
        }
        return header
    }

    // MARK: Folders

    /// Makes the folders those that the state wants; adds to `work` what has to be filled anew.
    private func layOut(
        _ account: AccountID, _ memory: AccountMemory, _ plan: AccountPlan, _ work: inout AccountWork
    ) throws {
        let wanted = try wantedFolders(account)
        for (mailbox, folder) in memory.folders.sorted(by: { $0.key < $1.key }) where wanted[mailbox] == nil {
            try removeFolder(memory.path(of: folder))
            memory.folders[mailbox] = nil
            memory.boxes[mailbox] = nil
        }
        try moveFolders(account, memory, wanted)
        for (mailbox, folder) in wanted.sorted(by: { $0.key < $1.key }) where memory.folders[mailbox] == nil {
            try makeFolder(account, mailbox, folder.name, memory, plan)
            // A folder older than this slice was lost; its messages are in no event to come.
            if folder.row.created < work.first, folder.row.exists > 0 {
                work.boxes[mailbox, default: MailboxWork()].everything = true
                try raiseHorizon()
            }
        }
    }

    /// Brings every folder to its wanted name. A name that another folder of ours still has is waited for; a circle is
    /// broken by parking one of them.
    private func moveFolders(_ account: AccountID, _ memory: AccountMemory, _ wanted: [MailboxID: WantedFolder]) throws
    {
        var waiting = memory.folders.filter { wanted[$0.key]?.name != $0.value }.keys.sorted()
        while !waiting.isEmpty {
            var next: [MailboxID] = []
            for mailbox in waiting {
                guard let name = wanted[mailbox]?.name else { continue }
                if memory.folders.contains(where: { $0.value == name && $0.key != mailbox }) {
                    next.append(mailbox)
                } else {
                    try moveFolder(account, mailbox, to: name, memory)
                }
            }
            if next.count == waiting.count, let first = next.first {
                let parked = MaildirDirectoryName.parked(first)
                try disk.rename(
                    memory.path(of: memory.folders[first] ?? parked), to: memory.path(of: parked), .folderParked)
                memory.folders[first] = parked
            }
            waiting = next
        }
    }

    private func moveFolder(
        _ account: AccountID, _ mailbox: MailboxID, to name: String, _ memory: AccountMemory
    ) throws {
        let old = memory.path(of: memory.folders[mailbox] ?? name)
        do {
            try disk.rename(old, to: memory.path(of: name), .folderMoved)
            memory.folders[mailbox] = name
        } catch let failure as MaildirFailure where failure.code == Errno.notEmpty || failure.code == Errno.exists {
            // Something that is not ours has the name.
            if try listHeader(memory.path(of: name)) != nil { throw ForeignMaildir(path: memory.path(of: name)) }
            if imports[account] != nil {
                // What others have done in the folder, and nobody has seen yet, goes along.
                try moveContents(old, to: memory.path(of: name))
                memory.folders[mailbox] = name
            } else {
                // It is made anew beside it.
                try removeFolder(old)
                memory.folders[mailbox] = nil
                memory.boxes[mailbox] = nil
            }
        }
    }

    /// Moves all that is in a folder into a directory that is there. The list goes last: until then it says whose the files
    /// are that are left, and a crash is followed by another attempt.
    private func moveContents(_ old: String, to new: String) throws {
        try makeParts(new, isInbox: false)
        let header = try listHeader(old)
        for part in ["cur", "new"] {
            // Files of mailboxes that are gone, as a crash may leave them, are nobody's mail.
            try disk.list("\(new)/\(part)") { name in
                let isOwn = MaildirFile(parsing: name.utf8)?.name.validity == header?.validity
                if FolderFile.isOurs(name), try !isOwn && !isOfAnother(name, header) {
                    try disk.removeMessage("\(new)/\(part)/\(name)")
                }
                return true
            }
            var isDone = false
            while !isDone {
                // Collected first: renaming while reading a directory may show a name twice or not at all.
                var names: [String] = []
                try disk.list("\(old)/\(part)") { name in
                    if !disk.exists("\(new)/\(part)/\(name)") { names.append(name) }
                    return names.count < MaildirLimits.rowsPerSnapshotMax
                }
                for name in names {
                    try disk.rename("\(old)/\(part)/\(name)", to: "\(new)/\(part)/\(name)", .fileRenamed)
                }
                isDone = names.isEmpty
            }
        }
        // No Maildir any more: without its list it would be taken for another program's.
        for part in ["cur", "new", "tmp"] { try disk.removeDirectory("\(old)/\(part)") }
        try disk.rename("\(old)/\(KeywordList.fileName)", to: "\(new)/\(KeywordList.fileName)", .smallFilePlaced)
        try disk.rename("\(old)/\(UIDList.fileName)", to: "\(new)/\(UIDList.fileName)", .folderMoved)
        if try empty(old) { try disk.removeDirectory(old) }
    }

    /// Makes a folder under its parked name and gives it its own when it has its list: until then nothing else tells
    /// whose it is.
    private func makeFolder(
        _ account: AccountID, _ mailbox: MailboxID, _ name: String, _ memory: AccountMemory, _ plan: AccountPlan
    ) throws {
        memory.boxes[mailbox] = FolderMemory()
        let path = memory.path(of: name)
        if name.isEmpty {
            // The account's own directory is claimed by the link.
            try fillFolder(account, mailbox, name, memory, plan)
        } else if try listHeader(path) != nil {
            throw ForeignMaildir(path: path)
        } else {
            let parked = MaildirDirectoryName.parked(mailbox)
            try fillFolder(account, mailbox, parked, memory, plan)
            do {
                try disk.rename(memory.path(of: parked), to: path, .folderMoved)
            } catch let failure as MaildirFailure where failure.code == Errno.notEmpty || failure.code == Errno.exists {
                // A directory of somebody else's has the name: what we need is put beside what is in it.
                try discard(memory.path(of: parked))
                try fillFolder(account, mailbox, name, memory, plan)
            }
        }
        memory.folders[mailbox] = name
        try disk.passed(.folderCreated)
    }

    private func fillFolder(
        _ account: AccountID, _ mailbox: MailboxID, _ name: String, _ memory: AccountMemory, _ plan: AccountPlan
    ) throws {
        let path = memory.path(of: name)
        try disk.makeDirectory(path)
        try makeParts(path, isInbox: name.isEmpty)
        try sweep(path)
        try writeKeywords(path, plan)
        memory.folders[mailbox] = name
        try writeList(account, mailbox, memory)
    }

    /// The directories and the marker that every folder has.
    func makeParts(_ path: String, isInbox: Bool) throws {
        for part in ["tmp", "new", "cur"] { try disk.makeDirectory(path + "/" + part) }
        if !isInbox { try replaceSmall(path, FolderFile.marker, with: "") }
    }

    // MARK: Small files

    private func writeKeywords(_ path: String, _ plan: AccountPlan) throws {
        try replaceSmall(path, KeywordList.fileName, with: KeywordList.text(plan.keywords))
    }

    private func writeSubscriptions(_ account: AccountID, _ memory: AccountMemory) throws {
        let names = try engine.read { try $0.subscriptions(account) }
        try replaceSmall(memory.path, SubscriptionList.fileName, with: SubscriptionList.text(names))
    }

    private func replaceSmall(_ folder: String, _ name: String, with text: String?) throws {
        try disk.replace("\(folder)/\(name)", through: FolderFile.temporary(folder, name), with: text)
    }

    // MARK: Memory

    /// Keeps what is remembered within its limits; what was used last stays.
    func forgetOldest() {
        var boxes = accounts.values.reduce(0) { $0 + $1.boxes.count }
        while accounts.count > 1,
            boxes > MaildirLimits.mailboxesRememberedMax || accounts.count > MaildirLimits.accountsRememberedMax,
            let oldest = accounts.min(by: { $0.value.usedAt < $1.value.usedAt })
        {
            boxes -= oldest.value.boxes.count
            accounts[oldest.key] = nil
        }
        let indexed = accounts.values.flatMap { $0.boxes.values.filter { $0.index != nil } }
        var entries = indexed.reduce(0) { $0 + ($1.index?.count ?? 0) }
        guard entries > MaildirLimits.indexEntriesMax else { return }
        for box in indexed.sorted(by: { $0.usedAt < $1.usedAt }).dropLast()
        where entries > MaildirLimits.indexEntriesMax {
            entries -= box.index?.count ?? 0
            box.index = nil
        }
    }
}
