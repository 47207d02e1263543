// What a message's file is, as the state has it, and how it is written.
import EventStore
import MailCore
import MailTypes

extension MaildirProjection {
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
    func sweep(_ folder: String) throws {
        let directory = folder + "/tmp"
        try disk.list(directory) { name in
            if FolderFile.isOurs(name) { try disk.remove(directory + "/" + name) }
            return true
        }
    }

    /// Reads the folder's names, once; later changes keep the index as the folder is. Letters that another program
    /// spelled in its own way are spelled as ours.
    func loadIndex(_ place: FolderPlace, _ validity: UIDValidity) throws {
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
}

extension StateReader {
    /// The number of `$Forwarded` in the account.
    func forwardedKeyword(_ account: AccountID) throws -> KeywordID? {
        guard let keyword = Keyword("$Forwarded") else { return nil }
        return try keywordID(account, keyword)
    }
}

extension StateReader {
    /// The mailbox whose messages have this UIDVALIDITY in the names of their files. Reads the account's mailboxes.
    func mailbox(_ account: AccountID, with validity: UIDValidity) throws -> MailboxID? {
        var found: MailboxID?
        try mailboxes(account) { id, row in
            if row.uidValidity == validity { found = id }
            return found == nil
        }
        return found
    }
}
