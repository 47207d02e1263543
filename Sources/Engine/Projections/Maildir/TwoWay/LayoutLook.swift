// Folders that another program made, renamed or removed. A folder says by its list whose it is, so one under a new name
// is known again.
import EventStore
import MailCore
import MailEngine
import MailTypes

extension MaildirProjection {
    /// - Returns: whether there was something to do.
    func lookAtLayout(
        _ account: AccountID, _ memory: AccountMemory, _ memo: AccountImport, isForced: Bool, isTurn: Bool
    ) throws -> Bool {
        guard let time = try disk.modified(memory.path) else {
            if !isForced { memo.areFoldersTouched = false }
            return try missAll(account, memory, memo)
        }
        memo.isGone = false
        let isSecond = memo.layoutTime == time
        let isTold = memo.isWatched && memo.areFoldersTouched || isTurn && memo.hasUnfinished
        if !isForced, isSecond, memo.isLayoutQuiet, !isTold { return false }
        if !isForced { memo.areFoldersTouched = false }
        // What the projection has not come to yet is no change by others.
        memo.isLayoutBehind = try window(account).hasLayout
        guard !memo.isLayoutBehind else {
            memo.isLayoutQuiet = false
            return true
        }
        var strangers: [String] = []
        memo.hasUnfinished = false
        let known = Set(memory.folders.values)
        try disk.list(memory.path) { name in
            let isFolder = name.hasPrefix(".") && !known.contains(name)
            if isFolder, strangers.count < MaildirLimits.strangersMax,
                MaildirDirectoryName.parkedMailbox(name) == nil
            {
                if try disk.times(memory.path + "/" + name) != nil {
                    strangers.append(name)
                } else if disk.isDirectory(memory.path + "/" + name) {
                    memo.hasUnfinished = true
                }
            }
            return true
        }
        var acted = false
        for name in strangers.sorted() where memo.strangers.contains(name) {
            if try takeFolder(name, account, memory, memo) { acted = true }
        }
        let missing = memory.folders.filter { !disk.isDirectory(memory.path(of: $0.value)) }
        for (mailbox, name) in missing.sorted(by: { $0.value > $1.value })
        where memo.missingFolders.contains(mailbox) && !memo.quarantinedFolders.contains(mailbox) {
            if try dropFolder(mailbox, name, account, memory, memo) { acted = true }
        }
        memo.strangers = Set(strangers)
        memo.missingFolders = Set(missing.keys).intersection(memory.folders.keys)
        let awaited = memo.quarantinedFolders
        memo.quarantinedFolders.formIntersection(memo.missingFolders)
        // What came back is to be watched again.
        if memo.quarantinedFolders != awaited { memo.areFoldersTouched = true }
        memo.layoutTime = time
        memo.told = memo.told.filter { memo.strangers.contains($0.key) }
        let untold = strangers.contains { memo.told[$0] == nil }
        memo.isLayoutQuiet =
            isSecond && !acted && !untold && memo.missingFolders.isSubset(of: memo.quarantinedFolders)
        return acted
    }

    /// The account's directory is gone: nothing of it is believed.
    private func missAll(_ account: AccountID, _ memory: AccountMemory, _ memo: AccountImport) throws -> Bool {
        memo.isGone = true
        // It may come back with the time that it had.
        memo.layoutTime = nil
        let all = Set(memory.folders.keys)
        if memo.quarantinedFolders != all {
            memo.quarantinedFolders = all
            memo.missingFolders = all
            report("\(memory.path) is gone: nothing is deleted until somebody confirms it")
        }
        memo.isLayoutQuiet = true
        return false
    }

    /// A directory that is a Maildir and no folder that we know.
    private func takeFolder(
        _ name: String, _ account: AccountID, _ memory: AccountMemory, _ memo: AccountImport
    ) throws -> Bool {
        let path = "\(memory.path)/\(name)"
        func leave(_ reason: String) -> Bool {
            if memo.told.updateValue(reason, forKey: name) != reason { report("\(path) is left alone: \(reason)") }
            return false
        }
        guard let mailbox = MaildirDirectoryName.mailbox(ofFolder: name) else {
            return leave("its name stands for no mailbox")
        }
        let list = "\(path)/\(UIDList.fileName)"
        var owner: (account: AccountID, mailbox: MailboxID)?
        if try disk.size(list) != nil {
            guard let header = try? listHeader(path), let found = header.owner, found.account == account else {
                return leave("another program keeps a \(UIDList.fileName) in it")
            }
            owner = found
        }
        if let owner, let old = memory.folders[owner.mailbox], !disk.isDirectory(memory.path(of: old)) {
            if let refusal = try perform(account, .renameMailbox(owner.mailbox, to: mailbox)) {
                return leave("\(refusal)")
            }
            memory.folders[owner.mailbox] = name
            try disk.passed(.importCommitted)
            return true
        }
        // A copy of a folder of ours is a folder of its own.
        if owner != nil { try disk.remove(list) }
        if let refusal = try perform(account, .createMailbox(NewMailbox(name: mailbox, subscribed: true))) {
            return leave("\(refusal)")
        }
        try disk.passed(.importCommitted)
        return true
    }

    /// A folder that was not there twice.
    private func dropFolder(
        _ mailbox: MailboxID, _ name: String, _ account: AccountID, _ memory: AccountMemory, _ memo: AccountImport,
        isConfirmed: Bool = false
    ) throws -> Bool {
        guard let row = try engine.read({ try $0.mailbox(account, mailbox) }) else { return false }
        let count = Int(row.exists)
        if !isConfirmed, TreeMerge.isMass(count, of: count) {
            memo.quarantinedFolders.insert(mailbox)
            report(
                "\(memory.path(of: name)) is gone with \(count) messages: they are deleted when somebody confirms it")
            return false
        }
        if let refusal = try perform(account, .deleteMailbox(mailbox)) {
            report("\(memory.path(of: name)) is made again: \(refusal)")
            try restore(account)
            return true
        }
        importCounts.deletions += UInt64(count)
        memory.folders[mailbox] = nil
        memory.boxes[mailbox] = nil
        memo.folders[mailbox] = nil
        try disk.passed(.importCommitted)
        return true
    }

    func confirmFolders(_ account: AccountID, _ memory: AccountMemory, _ memo: AccountImport) throws {
        for mailbox in memo.quarantinedFolders.sorted(by: >) {
            guard let name = memory.folders[mailbox] else { continue }
            memo.quarantinedFolders.remove(mailbox)
            _ = try dropFolder(mailbox, name, account, memory, memo, isConfirmed: true)
        }
    }
}
