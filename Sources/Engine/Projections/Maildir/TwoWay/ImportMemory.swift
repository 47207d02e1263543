// What is remembered of a two-way account between two looks at its tree. It may be forgotten: the next looks find it again.
import MailTypes

final class FolderImport {
    /// As they were before the last look.
    var times: FolderTimes?
    /// Two looks in a row found the same, and nothing to do.
    var isQuiet = false
    /// Its parts are watched: while nothing is told of them they are as they were.
    var isWatched = false
    /// Something was told of them since the last look.
    var isTouched = true
    /// Not before this moment of the monotonic clock.
    var nextLook = 0.0
    /// Messages whose files the last look did not find.
    var missing = UIDSet()
    /// Those of them whose deletion waits for somebody to confirm it.
    var quarantined = UIDSet()
    /// Files of others as the last look found them, by inode.
    var foreign: [UInt64: ForeignFile.Identity] = [:]
    /// What has names of ours that belong to other folders.
    var claims: [UIDValidity: UIDSet] = [:]
    /// Files that the engine did not take, by inode; they rest until `retry`.
    var refused: [UInt64: Refused] = [:]
    /// On the monotonic clock.
    var retry = 0.0
    /// Why a file was refused, by inode, so that it is told once; of files that are there.
    var told: [UInt64: String] = [:]
    var ignored = 0
    /// Messages whose files had been renamed or deleted when they were to get our names, by inode.
    private(set) var unnamed: [UInt64: UID] = [:]
    /// Deletions that were taken over lately, for the limit on them.
    private var goneCount = 0
    private var goneSince = 0.0

    struct Refused {
        var path: String
        var reason: String
    }

    /// Whether the last look found this file, as one of others.
    func holds(_ inode: UInt64) -> Bool { foreign[inode] != nil || refused[inode] != nil }

    func noteUnnamed(_ uid: UID, _ inode: UInt64) {
        unnamed[inode] = uid
        isQuiet = false
    }

    /// A message has a file of ours.
    func noteNamed(_ uid: UID) {
        missing.subtract(UIDSet(uid))
        if !unnamed.isEmpty { unnamed = unnamed.filter { $0.value != uid } }
    }

    /// Messages are gone.
    func noteExpunged(_ uids: UIDSet) {
        missing.subtract(uids)
        quarantined.subtract(uids)
        if !unnamed.isEmpty { unnamed = unnamed.filter { !uids.contains($0.value) } }
    }

    func goneLately(_ now: Double) -> Int {
        if now - goneSince > MaildirLimits.vanishedSeconds { goneCount = 0 }
        return goneCount
    }

    func noteGone(_ count: Int, _ now: Double) {
        if goneLately(now) == 0 { goneSince = now }
        goneCount += count
    }
}

final class AccountImport {
    var folders: [MailboxID: FolderImport] = [:]
    /// When the account's directory was changed last, as it was before the last look.
    var layoutTime: Int64?
    var isLayoutQuiet = false
    /// The projection has not come to what happened to folders in the state.
    var isLayoutBehind = false
    /// Directories of others that the last look found.
    var strangers: Set<String> = []
    /// One of them was no Maildir yet: its directory will not tell when it becomes one.
    var hasUnfinished = false
    /// Mailboxes whose folders the last look did not find.
    var missingFolders: Set<MailboxID> = []
    /// Those of them whose deletion waits for somebody to confirm it.
    var quarantinedFolders: Set<MailboxID> = []
    /// Directories that are left alone and why, so that it is told once; of those that are there.
    var told: [String: String] = [:]
    var failure: String?
    /// The account's directory is gone, so that there is nothing to watch.
    var isGone = false
    /// The account's directory and all its folders are watched.
    var isWatched = false
    /// Something was told of a folder, or of the folders, since the last look.
    var isTouched = true
    var areFoldersTouched = true
    /// After the last look nothing is left that asks for another.
    var isResting = false
    /// Looked at again at this moment of the monotonic clock, told of or not.
    var nextTurn = 0.0
    /// Not to be watched anew before.
    var nextWatch = 0.0

    func folder(_ mailbox: MailboxID) -> FolderImport {
        if let folder = folders[mailbox] { return folder }
        let folder = FolderImport()
        folders[mailbox] = folder
        return folder
    }

    var isQuiet: Bool { isLayoutQuiet && folders.values.allSatisfy(\.isQuiet) && failure == nil }

    /// Everything in it may be otherwise.
    func touchAll() {
        isTouched = true
        areFoldersTouched = true
        for folder in folders.values { folder.isTouched = true }
    }

    /// Whether there is a reason to look.
    func isDue(_ now: Double) -> Bool { !isResting || isTouched || !(isWatched || isGone) || now >= nextTurn }

    /// To be called when a look has ended.
    func noteRest() {
        isResting =
            isQuiet && !isTouched && !areFoldersTouched
            && folders.values.allSatisfy { $0.refused.isEmpty && !$0.isTouched }
    }
}

/// How an account's tree and the state stand to each other.
package enum MaildirMode: String, CaseIterable, Sendable {
    /// The tree follows the state; what others change in it is undone.
    case oneWay = "one-way"
    /// What others change in the tree becomes events.
    case twoWay = "two-way"
    /// The tree is left as it is.
    case off

    /// As the account's setting has it.
    package init(setting: String?) { self = setting.flatMap { MaildirMode(rawValue: $0) } ?? .oneWay }
}

/// What the import from one account's tree is about.
package struct MaildirImportStatus: Sendable {
    package struct Quarantine: Equatable, Sendable {
        /// The mailbox's name.
        package var mailbox: String
        package var messages: Int
        /// The whole folder is gone.
        package var isFolder: Bool
    }

    package var mode = MaildirMode.oneWay
    /// Every folder was found the same twice, with nothing to do.
    package var isQuiet = true
    package var quarantine: [Quarantine] = []
    /// Files that could not be taken, and why.
    package var refused: [(path: String, reason: String)] = []
    /// Files that are left alone: empty, or with a name that is none.
    package var ignored = 0
    package var failure: String?
}

/// Totals since the start.
package struct MaildirImportCounts: Equatable, Sendable {
    package var accounts: UInt64 = 0
    package var adopted: UInt64 = 0
    package var flagChanges: UInt64 = 0
    package var moves: UInt64 = 0
    package var deletions: UInt64 = 0
    /// Messages whose deletion waits for a word, now.
    package var quarantined: UInt64 = 0
    /// Files that could not be taken, now.
    package var refused: UInt64 = 0
    /// Directories that are watched, now.
    package var watches: UInt64 = 0
    /// Folders that were looked at.
    package var looks: UInt64 = 0
    package init() {}
}
