// Folders and accounts that are gone from the state: what is ours in their directories goes. What others put there stays, and
// in a two-way tree it is mail that nobody has deleted.
import MailCore
import MailTypes

extension MaildirProjection {
    /// Removes a parked folder that holds no message.
    func discard(_ path: String) throws {
        try disk.remove(path + "/" + UIDList.fileName)
        if try empty(path) { try disk.removeDirectory(path) }
    }

    /// Removes what is ours in a folder, and the folder when nothing else is in it.
    func removeFolder(_ path: String) throws {
        guard try empty(path) else { return }
        // From here on only the list says whose the folder was; under a parked name it is known without.
        let owner = try listHeader(path)?.owner?.mailbox
        var place = path
        if let owner, let slash = path.lastIndex(of: "/") {
            place = path[...slash] + MaildirDirectoryName.parked(owner)
            if place != path { try disk.rename(path, to: place, .folderEmptied) }
        }
        try disk.remove(place + "/" + UIDList.fileName)
        try disk.removeDirectory(place)
        try disk.passed(.folderRemoved)
    }

    /// Removes all that is ours but the list.
    /// - Returns: whether nothing else is left; otherwise the list is removed too and the folder is no longer ours.
    func empty(_ path: String) throws -> Bool {
        var isEmpty = true
        var hasMail = false
        let header = try listHeader(path)
        for part in ["cur", "new", "tmp"] {
            let directory = path + "/" + part
            try disk.list(directory) { name in
                if FolderFile.isOurs(name), try !isOfAnother(name, header) {
                    try disk.removeMessage(directory + "/" + name)
                } else if part != "tmp", !name.hasPrefix(".") {
                    hasMail = true
                }
                return true
            }
            if try !disk.removeDirectory(directory) { isEmpty = false }
        }
        for name in [KeywordList.fileName, FolderFile.marker] { try disk.remove(path + "/" + name) }
        try disk.list(path) { name in
            if name != UIDList.fileName { isEmpty = false }
            return isEmpty
        }
        if !isEmpty {
            // In a two-way tree it stays a Maildir, and so becomes a mailbox with what others put there.
            if hasMail, let account = header?.owner?.account, imports[account] != nil {
                for part in ["cur", "new", "tmp"] { try disk.makeDirectory(path + "/" + part) }
            }
            try disk.remove(path + "/" + UIDList.fileName)
            report("\(path): its mailbox is gone; files that are not ours were left")
        }
        return isEmpty
    }

    func isOfAnother(_ name: String, _ header: UIDList.Header?) throws -> Bool {
        guard let header, let account = header.owner?.account, let file = MaildirFile(parsing: name.utf8)?.name else {
            return false
        }
        return try isOfAnother(file, account, header.validity)
    }

    /// Whether a file is that of a message in another mailbox of a two-way account: somebody has moved it here, and no look
    /// has seen that yet.
    /// - Parameter validity: of the mailbox that this folder is or was.
    func isOfAnother(_ file: MaildirName, _ account: AccountID, _ validity: UIDValidity) throws -> Bool {
        guard imports[account] != nil, file.validity != validity else { return false }
        return try engine.read { state in
            let mailbox = try state.mailbox(account, with: file.validity)
            return try mailbox.flatMap { try state.message(account, $0, file.uid) }?.email == file.email
        }
    }

    func removeAccount(_ account: AccountID) throws {
        accounts[account] = nil
        guard let target = try disk.linkTarget(link(account)), let name = target.split(separator: "/").last else {
            return
        }
        let path = "\(options.root)/\(name)"
        let (folders, unfinished) = try foldersOfOurs(account, path)
        for name in unfinished { try discard(path + "/" + name) }
        for (_, folder) in folders.sorted(by: { $0.key < $1.key }) where !folder.isEmpty {
            try removeFolder(path + "/" + folder)
        }
        if disk.isDirectory(path) {
            for name in [SubscriptionList.fileName, QuotaFile.fileName] { try disk.remove(path + "/" + name) }
            if try empty(path) {
                try disk.remove(path + "/" + UIDList.fileName)
                try disk.removeDirectory(path)
            }
        }
        try disk.remove(link(account))
        try disk.passed(.folderRemoved)
    }
}
