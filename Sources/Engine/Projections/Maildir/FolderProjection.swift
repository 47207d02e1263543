// One folder's message files.
//
// A file lies in `new/` while its message is recent and has no flag: a name in `new/` carries no letters (Maildir keeps
// the info part for `cur/`), so a message that is unseen and flagged lies in `cur/`.
import EventStore
import Glibc
import MailCore
import MailTypes

/// Error numbers by name, for patterns.
enum Errno {
    static let notEmpty = ENOTEMPTY
    static let exists = EEXIST
}

/// Names inside a folder.
enum FolderFile {
    /// Tells Maildir++ that the directory is a folder and not an account.
    static let marker = "maildirfolder"

    /// Where a file is written before it gets its name.
    static func temporary(_ folder: String, _ name: String) -> String { "\(folder)/tmp/letterlog.\(name)" }

    /// Whether a name in `cur/`, `new/` or `tmp/` is one that the projection gives.
    static func isOurs(_ name: String) -> Bool {
        if MaildirFile(parsing: name.utf8) != nil { return true }
        return [UIDList.fileName, KeywordList.fileName, SubscriptionList.fileName, QuotaFile.fileName, marker]
            .contains { name == "letterlog." + $0 }
    }
}

/// What is remembered of a folder between slices.
final class FolderMemory {
    /// Nil until something that was there before has to be found.
    var index: FolderIndex?
    /// Every UID below it has a line in the list; nil when the list has not been looked at.
    var listed: UInt32?
    /// Lines of the list, and how many of them name messages that are gone; nil when not counted.
    var lines: (all: Int, stale: Int)?
    /// Times that the folder was merged by the way.
    var merges = 0
    /// What an interrupted run may have left has been put right.
    var isHealed = false
    var usedAt: UInt64 = 0
}

/// A message as the projection looks at it.
struct MessageState {
    var uid: UID
    /// Nil when the message is gone.
    var file: WantedFile?
    /// The name of a file that is no longer wanted, when the state still knows it.
    var gone: MaildirName?
}

/// What a message's file should be.
struct WantedFile {
    var name: MaildirName
    var entry: FolderEntry
    var blob: BlobNumber
}

extension FolderEntry {
    /// How a file lies that was found in `cur` or `new`.
    init(_ file: MaildirFile, in part: String) {
        self.init(
            isNew: part == "new" && file.letters == nil, letters: file.letters ?? MaildirLetters(bits: 0),
            mark: file.mark)
    }

    /// Where a file lies below its folder.
    func path(_ name: MaildirName) -> String {
        let base = name.base(marked: mark)
        return isNew ? "new/" + base : "cur/" + base + ":2," + letters.text
    }

    /// This entry for a file that lies as `other`: with its mark, and not back in `new/` where others may take it out.
    func beside(_ other: FolderEntry?, staysInCur: Bool) -> FolderEntry {
        guard let other else { return self }
        return FolderEntry(isNew: isNew && (other.isNew || !staysInCur), letters: letters, mark: other.mark)
    }
}

/// A folder at work: whose it is and where.
struct FolderPlace {
    var account: AccountID
    var mailbox: MailboxID
    var path: String
    var memory: FolderMemory
    /// What others change in it becomes events.
    var isTwoWay: Bool
}

extension MaildirProjection {
    /// Brings one mailbox's files to what the state says, where `work` points.
    func project(
        _ account: AccountID, _ mailbox: MailboxID, _ work: MailboxWork, _ memory: AccountMemory, _ plan: AccountPlan,
        isReplay: Bool
    ) throws {
        guard let row = try engine.read({ try $0.mailbox(account, mailbox) }), let folder = memory.folders[mailbox]
        else {
            // Deleted since; the folder went, or goes with the event that says so.
            return
        }
        let place = folderPlace(account, mailbox, folder, memory, isTwoWay: plan.mode == .twoWay)
        let box = place.memory
        if work.everything { return try converge(place, row.uidValidity, memory) }
        if isReplay, !box.isHealed { try sweep(place) }
        var known = work.touched
        if isReplay {
            known.formUnion(work.arrived)
        } else if let index = box.index, place.isTwoWay {
            // But for those whose files were there before their events.
            known.subtract(UIDSet(work.arrived.filter { index[$0] == nil }))
        } else {
            known.subtract(work.arrived)
        }
        if !isReplay { try writeNew(work.arrived, place, row.uidValidity) }
        // What a power cut left of a file that was not synced has the right name and perhaps nothing in it.
        let gone = try settle(known, rewriting: isReplay ? work.arrived : UIDSet(), place, row.uidValidity)
        if work.recent { try releaseRecent(place, row.uidValidity) }
        if isReplay && !box.isHealed || work.list {
            try writeList(account, mailbox, memory)
            if isReplay { box.isHealed = true }
        } else {
            try updateList(place, arrived: work.arrived, work.uidls, gone: gone, memory)
        }
    }

    /// Files of messages that the tree cannot have yet.
    private func writeNew(_ uids: UIDSet, _ place: FolderPlace, _ validity: UIDValidity) throws {
        for piece in uids.chunks(of: MaildirLimits.rowsPerSnapshotMax) {
            for message in try messages(piece, place) {
                guard let file = message.file else { continue }
                // A file of another program that became this message has its name already.
                if place.isTwoWay, place.memory.index?[message.uid] != nil {
                    try settle(file, message.uid, isRewritten: false, place, validity)
                } else {
                    try write(file, place)
                }
            }
        }
    }

    /// Files of messages that the tree may have in some form.
    /// - Parameter rewriting: those whose content is not to be trusted.
    /// - Returns: the UIDs of those that are gone.
    private func settle(
        _ uids: UIDSet, rewriting: UIDSet, _ place: FolderPlace, _ validity: UIDValidity
    ) throws -> UIDSet {
        var gone = UIDSet()
        guard !uids.isEmpty else { return gone }
        try loadIndex(place, validity)
        var unknown = UIDSet()
        for piece in uids.chunks(of: MaildirLimits.rowsPerSnapshotMax) {
            let merges = place.memory.merges
            for stale in try messages(piece, place) {
                // A merge on the way may have changed the state of all.
                let message =
                    merges == place.memory.merges ? stale : try messages(UIDSet(stale.uid), place).first ?? stale
                if let file = message.file {
                    if place.isTwoWay, place.memory.index?[message.uid] == nil, isClaimed(message.uid, place, validity)
                    {
                        // Another program has moved it already: the next looks move the message.
                        place.memory.index?[message.uid] = file.entry
                        continue
                    }
                    let isRewritten = rewriting.contains(message.uid)
                    let isMissing = try !settle(file, message.uid, isRewritten: isRewritten, place, validity)
                    if isRewritten, !isMissing { try write(file, place) }
                } else {
                    gone.insertAtEnd(message.uid)
                    guard let entry = place.memory.index?[message.uid] else { continue }
                    guard let name = message.gone else {
                        unknown.insertAtEnd(message.uid)
                        continue
                    }
                    let wasThere = try disk.removeMessage("\(place.path)/\(entry.path(name))")
                    // Under other letters, by another program.
                    if !wasThere, place.isTwoWay { unknown.insertAtEnd(message.uid) }
                }
            }
        }
        if !unknown.isEmpty { try removeByNumber(unknown, place, validity) }
        place.memory.index?.remove(gone)
        return gone
    }

    /// Gives a message's file its name; writes it when there is none, unless the caller does so anyway.
    /// - Returns: false when another program has removed it, and nothing is to be written before that is understood.
    @discardableResult
    private func settle(
        _ file: WantedFile, _ uid: UID, isRewritten: Bool, _ place: FolderPlace, _ validity: UIDValidity
    ) throws -> Bool {
        var file = file
        for isSecondLook in [false, true] {
            guard let entry = place.memory.index?[uid] else { break }
            let target = file.entry.beside(entry, staysInCur: place.isTwoWay)
            if entry == target {
                // Gone already: not to be written again before it is understood why.
                let isGone =
                    isRewritten && place.isTwoWay && !disk.exists("\(place.path)/\(entry.path(file.name))")
                return !isGone
            }
            let old = "\(place.path)/\(entry.path(file.name))"
            if try disk.rename(old, to: "\(place.path)/\(target.path(file.name))", .fileRenamed) {
                place.memory.index?[uid] = target
                return true
            }
            // Another program renamed or removed it: look once more.
            if isSecondLook {
                // Whether it was deleted or moved away is for the next looks to find out.
                if place.isTwoWay { return false }
                break
            }
            if place.isTwoWay {
                try mergeNow(place)
                guard let merged = try messages(UIDSet(uid), place).first?.file else { return false }
                file = merged
            } else {
                place.memory.index = nil
                try loadIndex(place, validity)
            }
        }
        if !isRewritten { try write(file, place) }
        return true
    }

    /// Files whose rows were collected before the projection came by: found by their numbers.
    private func removeByNumber(_ uids: UIDSet, _ place: FolderPlace, _ validity: UIDValidity) throws {
        for part in ["new", "cur"] {
            let directory = "\(place.path)/\(part)"
            try disk.list(directory) { name in
                if let file = MaildirFile(parsing: name.utf8), file.name.validity == validity,
                    uids.contains(file.name.uid)
                {
                    try disk.removeMessage("\(directory)/\(name)")
                }
                return true
            }
        }
    }

    /// Moves what is no longer recent from `new/` to `cur/`. Reads `new/` alone, which holds recent mail only.
    private func releaseRecent(_ place: FolderPlace, _ validity: UIDValidity) throws {
        var found: [UID] = []
        try disk.list(place.path + "/new") { name in
            if let file = MaildirFile(parsing: name.utf8), file.name.validity == validity {
                found.append(file.name.uid)
            }
            return true
        }
        for piece in UIDSet(found).chunks(of: MaildirLimits.rowsPerSnapshotMax) {
            for message in try messages(piece, place) {
                guard let file = message.file, !file.entry.isNew else { continue }
                let known = place.memory.index?[message.uid]
                let old = FolderEntry(isNew: true, letters: MaildirLetters(bits: 0), mark: known?.mark ?? 0)
                let target = file.entry.beside(old, staysInCur: false)
                let path = "\(place.path)/\(target.path(file.name))"
                if try disk.rename("\(place.path)/\(old.path(file.name))", to: path, .fileRenamed) {
                    place.memory.index?[message.uid] = target
                }
            }
        }
    }

    /// A folder to work at, with what is remembered of it.
    /// - Parameter folder: as in `memory.folders`.
    func folderPlace(
        _ account: AccountID, _ mailbox: MailboxID, _ folder: String, _ memory: AccountMemory, isTwoWay: Bool
    ) -> FolderPlace {
        let box = memory.boxes[mailbox] ?? FolderMemory()
        memory.boxes[mailbox] = box
        tick += 1
        box.usedAt = tick
        return FolderPlace(
            account: account, mailbox: mailbox, path: memory.path(of: folder), memory: box, isTwoWay: isTwoWay)
    }

    // MARK: State

    /// The messages of `uids` as one snapshot has them.
    func messages(_ uids: UIDSet, _ place: FolderPlace) throws -> [MessageState] {
        try engine.read { state in
            guard let box = try state.mailbox(place.account, place.mailbox) else { return [] }
            let forwarded = try state.forwardedKeyword(place.account)
            var result: [MessageState] = []
            for uid in uids {
                if let row = try state.message(place.account, place.mailbox, uid) {
                    let file = try wanted(row, uid, box, forwarded, state, place.account, place.mailbox)
                    result.append(MessageState(uid: uid, file: file))
                } else {
                    let gone = try state.expunged(place.account, place.mailbox, uid).map {
                        MaildirName($0.row, uid, box.uidValidity, host: options.host)
                    }
                    result.append(MessageState(uid: uid, gone: gone))
                }
            }
            return result
        }
    }

    func wanted(
        _ row: MessageRow, _ uid: UID, _ box: MailboxRow, _ forwarded: KeywordID?, _ state: any ShardReader,
        _ account: AccountID, _ mailbox: MailboxID
    ) throws -> WantedFile {
        var isForwarded = false
        if let forwarded {
            isForwarded =
                forwarded.isSpilled
                ? try state.keywords(account, mailbox, uid, row).contains(forwarded)
                : row.keywordBits >> UInt64(forwarded.rawValue) & 1 == 1
        }
        let letters = MaildirLetters(row.flags, keywords: row.keywordBits, forwarded: isForwarded)
        let isNew = letters.bits == 0 && uid.rawValue >= box.recentFloor
        return WantedFile(
            name: MaildirName(row, uid, box.uidValidity, host: options.host),
            entry: FolderEntry(isNew: isNew, letters: letters), blob: row.blob)
    }

    // MARK: Files

    /// Writes a message's file to `tmp/` and gives it its name.
    func write(_ file: WantedFile, _ place: FolderPlace) throws {
        let entry = file.entry.beside(place.memory.index?[file.name.uid], staysInCur: place.isTwoWay)
        let temporary = "\(place.path)/tmp/\(file.name.base)"
        do {
            try copy(file, to: temporary)
        } catch let fault as StoreError {
            // The message may have been collected since its row was read; then its file is not wanted any more.
            try disk.remove(temporary)
            let isLive = try engine.read { try $0.message(place.account, place.mailbox, file.name.uid) != nil }
            if isLive { throw fault }
            return
        }
        try disk.rename(temporary, to: "\(place.path)/\(entry.path(file.name))", .filePlaced)
        place.memory.index?[file.name.uid] = entry
    }

    func copy(_ file: WantedFile, to path: String) throws {
        let body = try engine.openBody(file.blob)
        guard body.size == Int(file.name.size) else {
            throw StoreError.damaged(
                "body \(file.blob.rawValue) has \(body.size) octets, its row says \(file.name.size)")
        }
        try disk.writeMessage(path, octets: file.name.size, modified: file.name.seconds) { put in
            var piece: [UInt8] = []
            var offset = 0
            while offset < body.size {
                piece.removeAll(keepingCapacity: true)
                try body.read(at: offset, count: MaildirLimits.pieceOctets, into: &piece)
                guard !piece.isEmpty else {
                    throw StoreError.damaged("body \(file.blob.rawValue) ends at octet \(offset)")
                }
                offset += piece.count
                try piece.withUnsafeBytes { try put($0) }
            }
        }
    }

    /// Removes what an interrupted run left in `tmp/`.
    private func sweep(_ place: FolderPlace) throws {
        let directory = place.path + "/tmp"
        try disk.list(directory) { name in
            if FolderFile.isOurs(name) { try disk.remove(directory + "/" + name) }
            return true
        }
    }

    /// Reads the folder's names, once; later changes keep the index as the folder is. Letters that another program
    /// spelled in its own way are spelled as ours.
    private func loadIndex(_ place: FolderPlace, _ validity: UIDValidity) throws {
        guard place.memory.index == nil else { return }
        if place.isTwoWay { return try mergeNow(place) }
        var found: [(uid: UInt32, entry: FolderEntry)] = []
        for part in ["cur", "new"] {
            let directory = "\(place.path)/\(part)"
            try disk.list(directory) { name in
                guard let file = MaildirFile(parsing: name.utf8), file.name.validity == validity,
                    file.name.host == options.host
                else { return true }
                let entry = FolderEntry(file, in: part)
                let path = entry.path(file.name)
                if path != "\(part)/\(name)" {
                    try disk.rename("\(directory)/\(name)", to: "\(place.path)/\(path)", .fileRenamed)
                }
                found.append((file.name.uid.rawValue, entry))
                return true
            }
        }
        place.memory.index = FolderIndex(found)
    }

    // MARK: Everything

    /// Makes the whole folder equal to the state: what is right stays, what has another name is renamed, what is ours
    /// and not wanted goes, what is missing is written.
    private func converge(_ place: FolderPlace, _ validity: UIDValidity, _ memory: AccountMemory) throws {
        try makeParts(place.path, isInbox: place.path == memory.path)
        try sweep(place)
        var index = FolderIndex()
        for part in ["cur", "new"] {
            // Collected first: renaming while reading a directory may show a name twice or not at all.
            var names: [(file: MaildirFile, name: String)] = []
            try disk.list("\(place.path)/\(part)") { name in
                if let file = MaildirFile(parsing: name.utf8) { names.append((file, name)) }
                if names.count == MaildirLimits.rowsPerSnapshotMax {
                    try converge(names, part, place, &index)
                    names = []
                }
                return true
            }
            try converge(names, part, place, &index)
        }
        place.memory.index = index
        try writeMissing(place)
        try writeList(place.account, place.mailbox, memory)
        place.memory.isHealed = true
    }

    private func converge(
        _ names: [(file: MaildirFile, name: String)], _ part: String, _ place: FolderPlace, _ index: inout FolderIndex
    ) throws {
        let uids = UIDSet(names.map(\.file.name.uid))
        var wanted: [UID: WantedFile] = [:]
        for message in try messages(uids, place) { wanted[message.uid] = message.file }
        for (file, name) in names {
            let path = "\(place.path)/\(part)/\(name)"
            guard let target = wanted[file.name.uid], target.name.email == file.name.email,
                target.name.size == file.name.size, try disk.size(path) == Int(file.name.size)
            else {
                if place.isTwoWay, try isUnknown(file, path, wanted[file.name.uid], place) { continue }
                try disk.removeMessage(path)
                continue
            }
            let entry = target.entry.beside(FolderEntry(file, in: part), staysInCur: place.isTwoWay)
            let isThere = index[file.name.uid] != nil
            if entry.path(target.name) == "\(part)/\(name)" {
                // A name met again after it was given, or the right one.
                index[file.name.uid] = entry
            } else if isThere {
                try disk.removeMessage(path)
            } else {
                try disk.rename(path, to: "\(place.path)/\(entry.path(target.name))", .fileRenamed)
                index[file.name.uid] = entry
            }
        }
    }

    /// Octets that the store does not have: the file of a message it never had, which the next look takes, or one that
    /// was written over, which is put aside.
    private func isUnknown(
        _ file: MaildirFile, _ path: String, _ message: WantedFile?, _ place: FolderPlace
    ) throws -> Bool {
        guard let row = try engine.read({ try $0.mailbox(place.account, place.mailbox) }) else { return false }
        if message == nil, file.name.validity == row.uidValidity { return file.name.uid.rawValue >= row.uidNext }
        // A power cut leaves files with nothing in them.
        guard message?.name == file.name, try disk.size(path) ?? 0 > 0 else { return false }
        let aside = "\(stateDirectory)/aside"
        try disk.makeDirectory(aside)
        let target = "\(aside)/\(place.account.rawValue).\(file.name.base)"
        report("\(path) was written over; it is now \(target)")
        return try disk.rename(path, to: target, .fileSetAside)
    }

    private func writeMissing(_ place: FolderPlace) throws {
        try inPieces(place.account, place.mailbox) { _, _, rows in
            UIDSet(rows.map(\.uid).filter { place.memory.index?[$0] == nil })
        } use: { missing in
            for message in try messages(missing, place) {
                guard let file = message.file else { continue }
                try write(file, place)
            }
            return true
        }
    }
}

extension StateReader {
    /// The number of `$Forwarded` in the account.
    func forwardedKeyword(_ account: AccountID) throws -> KeywordID? {
        guard let keyword = Keyword("$Forwarded") else { return nil }
        return try keywordID(account, keyword)
    }
}
