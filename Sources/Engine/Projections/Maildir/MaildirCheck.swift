// Compares the tree with the state and changes nothing: `verify --maildir` and `rebuild --projection maildir --check`.
//
// It looks at what is there, not at what the projection remembers. While a node takes mail, a difference may be one that
// the projection has not come to yet; `MaildirProjector.check` settles that by looking again.
import EventStore
import MailCore
import MailTypes

/// One thing in the tree that is not as the state wants it.
package struct MaildirDifference: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: String, CaseIterable, Sendable {
        case missingFolder, extraFolder, misplacedFolder, missingFile, extraFile, misnamedFile, wrongSize, wrongContent,
            wrongList, wrongKeywords, wrongSubscriptions, wrongQuota, leftover
        /// Another program removed so much that somebody is asked first: known, told, and to be decided.
        case waiting
    }

    package var kind: Kind
    /// Below the root.
    package var path: String
    package var text: String
    package var description: String { "\(kind.rawValue): \(path): \(text)" }
}

/// What a comparison found.
package struct MaildirReport: Sendable {
    /// At most 1000 of them.
    package var differences: [MaildirDifference] = []
    /// Of those that wait for a word about a two-way account, as many at most.
    package var waiting: [MaildirDifference] = []
    /// There were more.
    package var isCut = false
    package var accounts = 0
    package var folders = 0
    package var files = 0
    /// Files and directories that the projection did not make; it leaves them alone.
    package var foreign = 0
    package init() {}

    mutating func add(_ kind: MaildirDifference.Kind, _ path: String, _ text: String) {
        if kind == .waiting {
            if waiting.count < MaildirLimits.differencesMax {
                waiting.append(MaildirDifference(kind: kind, path: path, text: text))
            }
        } else if differences.count < MaildirLimits.differencesMax {
            differences.append(MaildirDifference(kind: kind, path: path, text: text))
        } else {
            isCut = true
        }
    }
}

extension MaildirProjection {
    /// Compares one account's tree, or all of them, with the state.
    /// - Parameter contents: read every file and compare it octet for octet with the stored body.
    package func check(_ account: AccountID? = nil, contents: Bool = false) throws -> MaildirReport {
        var report = MaildirReport()
        if let account {
            try check(account, contents, &report)
            return report
        }
        var all: [AccountID] = []
        try engine.read { state in
            try state.accounts { account, _ in
                if account >= .firstPersonal { all.append(account) }
                return true
            }
        }
        for account in all { try check(account, contents, &report) }
        var known: Set<String> = [".letterlog"]
        for account in all {
            if let directory = try plan(account)?.directory { known.insert(directory) }
        }
        try disk.list(options.root) { name in
            if !known.contains(name) { report.foreign += 1 }
            return true
        }
        return report
    }

    private func check(_ account: AccountID, _ contents: Bool, _ report: inout MaildirReport) throws {
        guard let plan = try plan(account), plan.mode != .off else { return }
        report.accounts += 1
        if plan.status == .removed {
            let link = "\(stateDirectory)/accounts/\(account.rawValue)"
            if let target = try disk.linkTarget(link) {
                report.add(.leftover, target, "of account \(account.rawValue), which was removed")
            }
            return
        }
        guard let directory = plan.directory else { return }
        let path = "\(options.root)/\(directory)"
        let (actual, unfinished) = try foldersOfOurs(account, path)
        for name in unfinished { report.add(.leftover, "\(directory)/\(name)", "was left by an interrupted run") }
        let wanted = try wantedFolders(account)
        try checkFolders(account, directory, actual, wanted, &report)
        for (mailbox, folder) in wanted.sorted(by: { $0.key < $1.key }) where actual[mailbox] == folder.name {
            let memory = AccountMemory(path: path, folders: actual)
            let place = FolderPlace(
                account: account, mailbox: mailbox, path: memory.path(of: folder.name), memory: FolderMemory(),
                isTwoWay: plan.mode == .twoWay)
            let shown = folder.name.isEmpty ? directory : "\(directory)/\(folder.name)"
            try checkFolder(place, folder.row, shown, plan, contents, &report)
        }
        // Gone as a whole, and known to be.
        let isGone = !disk.isDirectory(path) && !report.waiting.isEmpty
        if isGone, imports[account]?.quarantinedFolders.isEmpty == false { return }
        let names = try engine.read { try $0.subscriptions(account) }
        try checkSmall(
            path, directory, SubscriptionList.fileName, SubscriptionList.text(names), .wrongSubscriptions, &report)
        let quota = QuotaFile.text(quota: plan.quota, used: plan.used)
        try checkSmall(path, directory, QuotaFile.fileName, quota, .wrongQuota, &report)
    }

    private static let waits = "waits for `maildir confirm` or `maildir restore`"

    private func checkFolders(
        _ account: AccountID, _ directory: String, _ actual: [MailboxID: String], _ wanted: [MailboxID: WantedFolder],
        _ report: inout MaildirReport
    ) throws {
        for (mailbox, folder) in wanted.sorted(by: { $0.key < $1.key }) {
            switch actual[mailbox] {
            case nil where disk.isDirectory("\(options.root)/\(directory)/\(folder.name)/cur"):
                // Its list says whose a folder is.
                let path = folder.name.isEmpty ? directory : "\(directory)/\(folder.name)"
                report.add(.wrongList, "\(path)/\(UIDList.fileName)", "is not there")
            case nil:
                let isWaiting = imports[account]?.quarantinedFolders.contains(mailbox) ?? false
                report.add(
                    isWaiting ? .waiting : .missingFolder, "\(directory)/\(folder.name)",
                    "mailbox \(mailbox.rawValue)" + (isWaiting ? ": its folder is gone, and \(Self.waits)" : ""))
            case folder.name?: report.folders += 1
            case let name?: report.add(.misplacedFolder, "\(directory)/\(name)", "should be \(folder.name)")
            }
        }
        for (mailbox, name) in actual where wanted[mailbox] == nil {
            report.add(.extraFolder, "\(directory)/\(name)", "mailbox \(mailbox.rawValue) does not exist")
        }
        let known = Set(actual.values)
        try disk.list("\(options.root)/\(directory)") { name in
            let isOurs = known.contains(name) || Self.accountFiles.contains(name)
            if !isOurs { report.foreign += 1 }
            return true
        }
    }

    private static let accountFiles: Set<String> = [
        "cur", "new", "tmp", UIDList.fileName, KeywordList.fileName, SubscriptionList.fileName, QuotaFile.fileName,
    ]

    private func checkSmall(
        _ folder: String, _ shown: String, _ name: String, _ text: String?, _ kind: MaildirDifference.Kind,
        _ report: inout MaildirReport
    ) throws {
        let found = try disk.read("\(folder)/\(name)", limit: MaildirLimits.smallFileOctetsMax)
        if found != text.map({ Array($0.utf8) }) {
            report.add(
                kind, "\(shown)/\(name)",
                found == nil ? "is not there" : text == nil ? "should not be there" : "differs")
        }
    }

    // MARK: One folder

    private func checkFolder(
        _ place: FolderPlace, _ row: MailboxRow, _ shown: String, _ plan: AccountPlan, _ contents: Bool,
        _ report: inout MaildirReport
    ) throws {
        // The account's own directory is INBOX and has no marker.
        if shown.contains("/"), try disk.size("\(place.path)/\(FolderFile.marker)") == nil {
            report.add(.missingFile, "\(shown)/\(FolderFile.marker)", "is not there")
        }
        try disk.list("\(place.path)/tmp") { name in
            if FolderFile.isOurs(name) {
                report.add(.leftover, "\(shown)/tmp/\(name)", "was left by an interrupted run")
            } else {
                report.foreign += 1
            }
            return true
        }
        var present = FolderIndex()
        for part in ["cur", "new"] {
            var batch: [(file: MaildirFile, name: String)] = []
            let isThere = try disk.list("\(place.path)/\(part)") { name in
                guard let file = MaildirFile(parsing: name.utf8) else {
                    report.foreign += 1
                    return true
                }
                batch.append((file, name))
                if batch.count == MaildirLimits.rowsPerSnapshotMax {
                    try checkFiles(batch, part, place, shown, contents, &present, &report)
                    batch = []
                }
                return true
            }
            if !isThere { report.add(.missingFolder, "\(shown)/\(part)", "is not there") }
            try checkFiles(batch, part, place, shown, contents, &present, &report)
        }
        try checkList(place, row, shown, present, &report)
        try checkSmall(
            place.path, shown, KeywordList.fileName, KeywordList.text(plan.keywords), .wrongKeywords, &report)
    }

    private func checkFiles(
        _ batch: [(file: MaildirFile, name: String)], _ part: String, _ place: FolderPlace, _ shown: String,
        _ contents: Bool, _ present: inout FolderIndex, _ report: inout MaildirReport
    ) throws {
        var wanted: [UID: WantedFile] = [:]
        for message in try messages(UIDSet(batch.map(\.file.name.uid)), place) { wanted[message.uid] = message.file }
        for (file, name) in batch {
            let uid = file.name.uid
            let path = "\(shown)/\(part)/\(name)"
            guard let target = wanted[uid] else {
                report.add(.extraFile, path, "UID \(uid.rawValue) is not in the mailbox")
                continue
            }
            guard target.name == file.name else {
                report.add(.extraFile, path, "UID \(uid.rawValue) has another name")
                continue
            }
            guard present[uid] == nil else {
                report.add(.extraFile, path, "UID \(uid.rawValue) has two files")
                continue
            }
            let entry = target.entry.beside(FolderEntry(file, in: part), staysInCur: place.isTwoWay)
            present[uid] = entry
            report.files += 1
            let right = entry.path(target.name)
            if right != "\(part)/\(name)" { report.add(.misnamedFile, path, "should be \(right)") }
            let full = "\(place.path)/\(part)/\(name)"
            if try disk.size(full) != Int(target.name.size) {
                report.add(.wrongSize, path, "should have \(target.name.size) octets")
            } else if contents, try !hasContent(full, target) {
                report.add(.wrongContent, path, "differs from body \(target.blob.rawValue)")
            }
        }
    }

    func hasContent(_ path: String, _ file: WantedFile) throws -> Bool {
        let body = try engine.openBody(file.blob)
        var offset = 0
        var piece: [UInt8] = []
        while offset < body.size {
            piece.removeAll(keepingCapacity: true)
            try body.read(at: offset, count: MaildirLimits.pieceOctets, into: &piece)
            guard !piece.isEmpty, try disk.read(path, from: offset, limit: piece.count) == piece else { return false }
            offset += piece.count
        }
        return true
    }

    /// Every message has a file and a line, and the list tells the UIDVALIDITY and the next UID.
    private func checkList(
        _ place: FolderPlace, _ row: MailboxRow, _ shown: String, _ present: FolderIndex, _ report: inout MaildirReport
    ) throws {
        let path = "\(shown)/\(UIDList.fileName)"
        guard let header = try listHeader(place.path) else { return report.add(.wrongList, path, "is not there") }
        if header.validity != row.uidValidity {
            report.add(.wrongList, path, "UIDVALIDITY \(header.validity.rawValue), not \(row.uidValidity.rawValue)")
        }
        let uidls = try uidls(place.account, place.mailbox)
        let lines = ListLines("\(place.path)/\(UIDList.fileName)", disk)
        try lines.skipHeader()
        let waiting = imports[place.account]?.folders[place.mailbox]?.quarantined ?? UIDSet()
        try eachName(place.account, place.mailbox, row) { uid, name in
            if present[uid] == nil {
                let isWaiting = waiting.contains(uid)
                report.add(
                    isWaiting ? .waiting : .missingFile, shown,
                    "UID \(uid.rawValue), \(name.base)" + (isWaiting ? ": its file is gone, and \(Self.waits)" : ""))
            }
            let found = try lines.line(of: uid)
            let uidl = uidls[uid].flatMap { UniqueID.isValid($0) ? $0 : nil }
            // mbsync's number in the name is the file's alone: without one any is right.
            let isRight =
                present[uid].map { found?.base == name.base(marked: $0.mark) }
                ?? (found.flatMap { MaildirFile(parsing: $0.base.utf8)?.name } == name)
            if !isRight {
                report.add(.wrongList, path, "has no right line for UID \(uid.rawValue)")
            } else if let uidl, found?.uidl != uidl {
                // One that the state does not have is no offence: a store from before format 4 has it in the log alone, until
                // its state is rebuilt. One that the list does not have is: a server that takes over would give another.
                report.add(.wrongList, path, "does not give UID \(uid.rawValue) its POP3 UIDL, \(uidl)")
            }
        }
        let last = try lines.finish()
        if lines.isDamaged { report.add(.wrongList, path, "has a line that is none, or UIDs out of order") }
        let next = max(header.nextUID, last &+ 1)
        if next != row.uidNext { report.add(.wrongList, path, "gives UID \(next) next, not \(row.uidNext)") }
    }
}

extension MaildirProjection {
    /// Whether a folder's list has the names of these files; ascending by UID.
    func lists(_ files: [TreeFile], _ folder: String) throws -> Bool {
        let lines = ListLines("\(folder)/\(UIDList.fileName)", disk)
        try lines.skipHeader()
        for file in files where try lines.line(of: file.uid)?.base != file.name.base(marked: file.entry.mark) {
            return false
        }
        return true
    }
}

/// The lines of a list one after the other, in pieces of bounded size.
private final class ListLines {
    private let path: String
    private let disk: MaildirDisk
    private var buffer: ArraySlice<UInt8> = []
    private var offset = 0
    private var pending: (uid: UID, base: String, uidl: String?)?
    private var last: UInt32 = 0
    private(set) var isDamaged = false

    init(_ path: String, _ disk: MaildirDisk) {
        self.path = path
        self.disk = disk
    }

    func skipHeader() throws { _ = try nextLine() }

    /// What the line of `uid` has; calls come in ascending order.
    func line(of uid: UID) throws -> (base: String, uidl: String?)? {
        while let line = try peek() {
            if line.uid > uid { return nil }
            pending = nil
            if line.uid == uid { return (line.base, line.uidl) }
        }
        return nil
    }

    /// Reads the rest.
    /// - Returns: the last UID of all, 0 without any.
    func finish() throws -> UInt32 {
        while try peek() != nil { pending = nil }
        return last
    }

    private func peek() throws -> (uid: UID, base: String, uidl: String?)? {
        if let pending { return pending }
        guard let line = try nextLine() else { return nil }
        guard let parsed = UIDList.parse(line), parsed.uid.rawValue > last else {
            isDamaged = true
            return nil
        }
        last = parsed.uid.rawValue
        pending = parsed
        return parsed
    }

    private func nextLine() throws -> ArraySlice<UInt8>? {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                defer { buffer = buffer[(end + 1)...] }
                return buffer[..<end]
            }
            guard let more = try disk.read(path, from: offset, limit: MaildirLimits.listBufferOctets), !more.isEmpty,
                buffer.count <= MaildirLimits.listBufferOctets
            else {
                if !buffer.isEmpty { isDamaged = true }
                buffer = []
                return nil
            }
            offset += more.count
            buffer = Array(buffer)[...] + more
        }
    }
}
