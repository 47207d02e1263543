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
    /// All folders of the account are being made as the state has them.
    var isOfWholeTree = false
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
        var place = folderPlace(account, mailbox, folder, memory, isTwoWay: plan.mode == .twoWay)
        place.isOfWholeTree = work.isOfWholeTree
        let box = place.memory
        if work.everything { return try converge(place, memory) }
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
        let gone = try settle(
            known, rewriting: isReplay ? work.arrived : UIDSet(), moves: work.moves, place, row.uidValidity)
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
    /// - Parameters:
    ///   - rewriting: those whose content is not to be trusted.
    ///   - moves: where some of them went.
    /// - Returns: the UIDs of those that are gone.
    private func settle(
        _ uids: UIDSet, rewriting: UIDSet, moves: [MessagesCopied], _ place: FolderPlace, _ validity: UIDValidity
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
        if !unknown.isEmpty { try removeByNumber(unknown, moves, place, validity) }
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
    private func removeByNumber(
        _ uids: UIDSet, _ moves: [MessagesCopied], _ place: FolderPlace, _ validity: UIDValidity
    ) throws {
        for part in ["new", "cur"] {
            let directory = "\(place.path)/\(part)"
            try disk.list(directory) { name in
                if let file = MaildirFile(parsing: name.utf8), file.name.validity == validity,
                    uids.contains(file.name.uid)
                {
                    if place.isTwoWay, let base = place.memory.index?[file.name.uid] {
                        let found = TreeFile(
                            name: file.name, entry: FolderEntry(file, in: part), path: "\(part)/\(name)")
                        try carry(found, base, moves, place)
                    }
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
}
