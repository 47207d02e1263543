// A file of another program becomes a message: by MOVE or COPY when its name says which message of the account it is, by
// APPEND of its octets otherwise. After the commit it gets our name.
//
// Each carries a command identifier made of the file itself. A crash between commit and renaming leaves the file as it was;
// the next attempt, in whatever way, is then known to be done, and only the file is put away.
import Digests
import EventStore
import MailCore
import MailEngine
import MailTypes
import Octets

private struct Adoption {
    var file: ForeignFile
    var place: FolderPlace
    var request: Request
    /// The file is octet for octet as it is stored, so that it can be kept.
    var isStored: Bool
    /// Its octets are new to the account.
    var isAppend: Bool
    /// The mailbox and message it was, when it is moved away from there.
    var leaves: (place: FolderPlace, uid: UID)?
}

extension MaildirProjection {
    func adopt(_ look: inout AccountLook, _ memory: AccountMemory, _ memo: AccountImport) throws {
        var rest = look.foreign[...]
        let deadline = monotonicSeconds() + MaildirLimits.adoptionSecondsMax
        while !rest.isEmpty {
            if monotonicSeconds() > deadline {
                // The next look goes on.
                look.hasActed = true
                return
            }
            var octets: UInt64 = 0
            var adoptions: [Adoption] = []
            while let (file, place) = rest.first, adoptions.count < MaildirLimits.adoptionsMax,
                adoptions.isEmpty || octets + file.identity.octets <= MaildirLimits.adoptionOctetsMax
            {
                rest.removeFirst()
                octets += file.identity.octets
                if let adoption = try prepare(file, place, memory, memo) { adoptions.append(adoption) }
            }
            let outcomes = try perform(adoptions.map(\.request))
            if !adoptions.isEmpty { try disk.passed(.adoptionCommitted) }
            for (adoption, outcome) in zip(adoptions, outcomes) {
                look.hasActed = true
                try finish(adoption, outcome, memo)
            }
        }
    }

    private func refuse(_ file: ForeignFile, _ place: FolderPlace, _ memo: AccountImport, _ reason: String) {
        let path = "\(place.path)/\(file.path)"
        let box = memo.folder(place.mailbox)
        let isNews = box.told.updateValue(reason, forKey: file.identity.inode) != reason
        if box.refused.isEmpty { box.retry = monotonicSeconds() + MaildirLimits.refusedSeconds }
        box.refused[file.identity.inode] = FolderImport.Refused(path: path, reason: reason)
        box.foreign[file.identity.inode] = nil
        if isNews { report("\(path) stays outside: \(reason)") }
    }

    /// Nil when the file changed meanwhile or cannot be taken.
    private func prepare(
        _ file: ForeignFile, _ place: FolderPlace, _ memory: AccountMemory, _ memo: AccountImport
    ) throws -> Adoption? {
        let path = "\(place.path)/\(file.path)"
        let writer = engine.makeBody()
        var ends = LineEnds()
        var offset = 0
        do {
            while let piece = try disk.read(path, from: offset, limit: MaildirLimits.pieceOctets), !piece.isEmpty {
                offset += piece.count
                try piece.withUnsafeBytes { octets in try ends.pass(octets) { try writer.append($0) } }
            }
            guard let now = try disk.identity(path), now.isUntouched(since: file.identity), offset == Int(now.octets)
            else { return nil }
            // A power cut must not leave half of it under its name when the log has all of it.
            guard try disk.sync(path) else { return nil }
            try disk.passed(.foreignSynced)
            let source = try writer.finish()
            let isStored = source.count == offset
            var id = Self.command(file, place, source.hash, isShared: try isShared(file, place))
            switch try known(file, place, &id) {
            case .no: break
            case .here(let uid):
                if let wanted = try messages(UIDSet(uid), place).first?.file, try isThere(wanted.name, place) {
                    try putAway(file, place, memo)
                } else {
                    try name(file, uid, place, isStored: isStored, isAppend: true, memo)
                }
                return nil
            case .elsewhere:
                try putAway(file, place, memo)
                return nil
            case .tooOften:
                refuse(file, place, memo, "it was away and came back too often")
                return nil
            }
            if isStored, let name = file.name, name.host == options.host, Int(name.size) == offset {
                if let (command, leaves) = try transfer(name, path, place, memory) {
                    return Adoption(
                        file: file, place: place, request: importRequest(place.account, command, id: id),
                        isStored: true, isAppend: false, leaves: leaves)
                }
                if try isElsewhere(name, path, place) {
                    try followMove(file, place, name)
                    try putAway(file, place, memo)
                    return nil
                }
                // Renamed by its owner meanwhile: what was found out is of no file.
                guard disk.exists(path) else { return nil }
            }
            let command = try append(file, place)
            return Adoption(
                file: file, place: place,
                request: importRequest(place.account, command, bodies: [source], id: id), isStored: isStored,
                isAppend: true)
        } catch EngineFailure.tooLarge(let limit) {
            refuse(file, place, memo, "it has more than \(limit) octets")
        } catch let failure as MaildirFailure where failure.operation != "opendir" {
            refuse(file, place, memo, "\(failure)")
        }
        return nil
    }

    /// Whether the file has names that are messages of their own. One that it was delivered through is none: whoever
    /// links and unlinks, or a disk that lost the second half of a renaming, leaves it in `tmp/`.
    private func isShared(_ file: ForeignFile, _ place: FolderPlace) throws -> Bool {
        guard file.identity.links > 1 else { return false }
        var names = 0
        let directory = place.path + "/tmp"
        try disk.list(directory) { name in
            if try disk.identity("\(directory)/\(name)")?.inode == file.identity.inode { names += 1 }
            return true
        }
        return file.identity.links - names > 1
    }

    private static func command(
        _ file: ForeignFile, _ place: FolderPlace, _ hash: ContentHash, isShared: Bool
    ) -> CommandID {
        var hasher = SHA256Hasher()
        let identity = file.identity
        // One that was moved to another folder meanwhile is still the same; one with names in several is not.
        let mailbox = isShared ? place.mailbox.rawValue : 0
        hasher.update(Array("\(place.account.rawValue) \(mailbox) \(file.base)\n".utf8))
        hasher.update(Array("\(identity.inode) \(identity.octets) \(identity.modified)\n".utf8))
        hasher.update(hash.digest)
        let words = ContentHash(hasher.finalize()).words
        return CommandID(high: words.0, low: words.1)
    }

    private func append(_ file: ForeignFile, _ place: FolderPlace) throws -> AccountCommand {
        let bits = file.letters.bits
        let ours = bits >> 6 != 0 ? try plan(place.account)?.keywords ?? [] : []
        let (flags, words) = Self.meaning(bits, try letterNames(bits, ours, place))
        // A time that cannot be right is none.
        let seconds = file.identity.modified / 1_000_000_000
        let isPast = seconds > 0 && seconds <= engine.clock().seconds + MaildirLimits.fileTimeAheadMax
        let message = NewMessage(
            body: 0, flags: flags, keywords: Array(words.prefix(DomainLimits.keywordsPerMessageMax)),
            internalDate: isPast ? InternalDate(time: Timestamp(seconds: seconds)) : nil)
        return .append(AppendMessages(mailbox: place.mailbox, messages: [message], origin: .import))
    }

    /// MOVE or COPY, when the file is that of a message in another folder.
    private func transfer(
        _ name: MaildirName, _ path: String, _ place: FolderPlace, _ memory: AccountMemory
    ) throws -> (AccountCommand, leaves: (place: FolderPlace, uid: UID)?)? {
        let found = try engine.read { state -> MailboxID? in
            guard let source = try state.mailbox(place.account, with: name.validity), source != place.mailbox,
                let row = try state.message(place.account, source, name.uid), row.email == name.email,
                row.size == name.size
            else { return nil }
            return source
        }
        guard let found, let folder = memory.folders[found] else { return nil }
        let source = folderPlace(place.account, found, folder, memory, isTwoWay: true)
        let wanted = try messages(UIDSet(name.uid), source).first?.file
        guard let wanted, try hasContent(path, wanted) else { return nil }
        let copy = CopyMessages(source: found, destination: place.mailbox, uids: UIDSet(name.uid))
        return try isThere(name, source) ? (.copy(copy), nil) : (.move(copy), (source, name.uid))
    }

    /// Both sides moved it: the message is where the state has it, and the projection writes its file there.
    private func isElsewhere(_ name: MaildirName, _ path: String, _ place: FolderPlace) throws -> Bool {
        var boxes: [MailboxID] = []
        try engine.read { state in
            try state.mailboxes(place.account) { id, _ in
                boxes.append(id)
                return true
            }
        }
        for mailbox in boxes {
            let other = FolderPlace(
                account: place.account, mailbox: mailbox, path: "", memory: FolderMemory(), isTwoWay: true)
            var found: UID?
            try inPieces(place.account, mailbox) { _, _, rows in
                rows.first { $0.row.email == name.email }?.uid
            } use: { uid in
                found = uid
                return uid == nil
            }
            if let found, let file = try messages(UIDSet(found), other).first?.file {
                return try file.name.size == name.size && hasContent(path, file)
            }
        }
        return false
    }

    private func isThere(_ name: MaildirName, _ place: FolderPlace) throws -> Bool {
        if let entry = place.memory.index?[name.uid], disk.exists("\(place.path)/\(entry.path(name))") { return true }
        var isThere = false
        for part in ["cur", "new"] {
            try disk.list("\(place.path)/\(part)") { text in
                isThere = MaildirFile(parsing: text.utf8)?.name == name
                return !isThere
            }
            if isThere { break }
        }
        return isThere
    }

    private func finish(_ adoption: Adoption, _ outcome: CommandOutcome, _ memo: AccountImport) throws {
        let (file, place) = (adoption.file, adoption.place)
        switch outcome {
        case .done(.appended(_, let uids), _):
            importCounts.adopted += 1
            if let uid = uids.first {
                try name(file, uid, place, isStored: adoption.isStored, isAppend: true, memo)
            }
        case .done(.copied(_, _, let uids), _):
            importCounts.moves += 1
            // The message went meanwhile: the file is looked at again, as one of its own.
            guard let uid = uids.first else { return }
            if let leaves = adoption.leaves { leaves.place.memory.index?.remove(UIDSet(leaves.uid)) }
            try name(file, uid, place, isStored: true, isAppend: false, memo)
        // The next look knows it (KnownFile.swift).
        case .done, .duplicate: return
        case .refused(let refusal): refuse(file, place, memo, "\(refusal)")
        case .failed(let failure): throw failure
        }
    }

    /// The message is there, and has or gets a file of ours.
    private func putAway(_ file: ForeignFile, _ place: FolderPlace, _ memo: AccountImport) throws {
        memo.folder(place.mailbox).foreign[file.identity.inode] = nil
        for path in file.twins + [file.path] { try disk.removeMessage("\(place.path)/\(path)", .foreignRemoved) }
    }

    /// Gives a file that has become a message our name.
    private func name(
        _ file: ForeignFile, _ uid: UID, _ place: FolderPlace, isStored: Bool, isAppend: Bool, _ memo: AccountImport
    ) throws {
        // Gone again.
        guard let wanted = try messages(UIDSet(uid), place).first?.file else { return try putAway(file, place, memo) }
        let box = memo.folder(place.mailbox)
        box.foreign[file.identity.inode] = nil
        for twin in file.twins { try disk.removeMessage("\(place.path)/\(twin)", .foreignRemoved) }
        var entry = wanted.entry
        entry.mark = file.mark
        entry.isNew = entry.isNew && file.isNew
        // A message that was there brings its flags; what the file says beyond them is a change like any other.
        var shown = entry
        if !isAppend {
            shown.letters = file.letters
            shown.isNew = file.isNew && shown.letters.bits == 0
            entry.isNew = shown.isNew
        }
        // From here on the tree has it, and when it has not, somebody has renamed or deleted it meanwhile.
        place.memory.index?[uid] = entry
        let path = "\(place.path)/\(file.path)"
        let target = "\(place.path)/\(shown.path(wanted.name))"
        if isStored, wanted.name.seconds == file.identity.modified / 1_000_000_000 {
            guard try disk.rename(path, to: target, .foreignAdopted) else {
                return box.noteUnnamed(uid, file.identity.inode)
            }
        } else {
            let temporary = "\(place.path)/tmp/\(wanted.name.base)"
            try copy(wanted, to: temporary)
            guard try disk.removeMessage(path, .foreignRemoved) else {
                try disk.remove(temporary)
                return box.noteUnnamed(uid, file.identity.inode)
            }
            try disk.rename(temporary, to: target, .foreignAdopted)
        }
        box.noteNamed(uid)
    }
}
