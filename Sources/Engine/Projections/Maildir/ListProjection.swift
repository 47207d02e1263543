// A folder's `dovecot-uidlist`. Mail that arrives costs a line, not a list: lines are appended under the header that
// stands there, as Dovecot does itself. The whole list is written when a mailbox is first looked at after an interrupted
// run (an append may have been torn), when lines of gone messages make up a share of it, and when the next UID cannot be
// told by a line.
import EventStore
import MailCore
import MailTypes

extension MaildirProjection {
    /// Brings the list after the files: lines for what arrived, a count of lines that have become stale.
    func updateList(
        _ place: FolderPlace, arrived: UIDSet, _ uidls: [UID: String], gone: UIDSet, _ memory: AccountMemory
    ) throws {
        let box = place.memory
        if box.listed == nil { box.listed = try listedUIDs(place.path) }
        guard var listed = box.listed else { return try writeList(place.account, place.mailbox, memory) }
        let wanted = arrived.last.map { $0.rawValue + 1 } ?? 0
        if wanted > listed {
            let fresh = UIDSet(UID(listed)...UID(.max)).intersection(arrived)
            var text: [UInt8] = []
            var count = 0
            for piece in fresh.chunks(of: MaildirLimits.rowsPerSnapshotMax) {
                for message in try messages(piece, place) {
                    guard let file = message.file else { continue }
                    let base = file.name.base(marked: box.index?[message.uid]?.mark ?? 0)
                    text.append(contentsOf: UIDList.line(message.uid, base, uidl: uidls[message.uid]).utf8)
                    listed = message.uid.rawValue + 1
                    count += 1
                }
            }
            // The last one is gone already, so no line can tell that its UID was used.
            guard listed == wanted, try disk.append("\(place.path)/\(UIDList.fileName)", text) else {
                return try writeList(place.account, place.mailbox, memory)
            }
            box.listed = listed
            box.lines?.all += count
        }
        guard !gone.isEmpty else { return }
        guard var lines = box.lines else { return try writeList(place.account, place.mailbox, memory) }
        lines.stale += gone.count
        box.lines = lines
        if lines.stale > MaildirLimits.staleLinesFree, lines.stale * MaildirLimits.staleLinesShare >= lines.all {
            try writeList(place.account, place.mailbox, memory)
        }
    }

    /// The UID after the last that the list names; nil when the list is not there or does not end in a whole line.
    private func listedUIDs(_ folder: String) throws -> UInt32? {
        let path = folder + "/" + UIDList.fileName
        guard let header = try listHeader(folder), let size = try disk.size(path) else { return nil }
        let offset = max(0, size - MaildirLimits.listTailOctets)
        guard let tail = try disk.read(path, from: offset, limit: MaildirLimits.listTailOctets), tail.last == 10,
            let start = tail.dropLast().lastIndex(of: 10)
        else {
            // Nothing but the header.
            return size <= MaildirLimits.listHeaderOctetsMax ? header.nextUID : nil
        }
        guard let last = UIDList.parse(tail[(start + 1)..<(tail.count - 1)]), last.uid.rawValue < .max else {
            return nil
        }
        return max(header.nextUID, last.uid.rawValue + 1)
    }

    /// Writes the whole list from the state. Leaves it when the mailbox goes meanwhile.
    func writeList(_ account: AccountID, _ mailbox: MailboxID, _ memory: AccountMemory) throws {
        guard let row = try engine.read({ try $0.mailbox(account, mailbox) }), let folder = memory.folders[mailbox]
        else {
            return
        }
        let path = memory.path(of: folder)
        let index = memory.boxes[mailbox]?.index
        let temporary = FolderFile.temporary(path, UIDList.fileName)
        var count = 0
        let uidls = try uidls(account, mailbox)
        let header = UIDList.Header(row.uidValidity, nextUID: row.uidNext, account, mailbox)
        try disk.write(temporary, modified: nil) { put in
            var text = Array(header.text.utf8)
            try eachName(account, mailbox, row) { uid, name in
                let base = name.base(marked: index?[uid]?.mark ?? 0)
                text.append(contentsOf: UIDList.line(uid, base, uidl: uidls[uid]).utf8)
                count += 1
                if text.count >= MaildirLimits.listBufferOctets {
                    try text.withUnsafeBytes { try put($0) }
                    text.removeAll(keepingCapacity: true)
                }
            }
            try text.withUnsafeBytes { try put($0) }
        }
        try disk.passed(.listWritten)
        try disk.rename(temporary, to: "\(path)/\(UIDList.fileName)", .listPlaced)
        let box = memory.boxes[mailbox] ?? FolderMemory()
        memory.boxes[mailbox] = box
        box.listed = row.uidNext
        box.lines = (count, 0)
    }

    /// POP3 UIDLs that messages of the mailbox came with.
    func uidls(_ account: AccountID, _ mailbox: MailboxID) throws -> [UID: String] {
        try engine.read { try $0.uidls(account, mailbox) }
    }

    /// Every live message below the row's UIDNEXT, ascending, over several snapshots.
    func eachName(
        _ account: AccountID, _ mailbox: MailboxID, _ row: MailboxRow, _ body: (UID, MaildirName) throws -> Void
    ) throws {
        try inPieces(account, mailbox) { _, box, rows -> [(UID, MaildirName)] in
            guard box.uidValidity == row.uidValidity else { return [] }
            return rows.prefix { $0.uid.rawValue < row.uidNext }.map { uid, message in
                (uid, MaildirName(message, uid, row.uidValidity, host: options.host))
            }
        } use: { names in
            for (uid, name) in names { try body(uid, name) }
            return !names.isEmpty
        }
    }

    /// Goes through the live messages of a mailbox, ascending, in pieces: each has a snapshot of its own, which is short.
    /// - Parameters:
    ///   - read: what is wanted of a piece, within its snapshot.
    ///   - use: gets it when the snapshot has ended; answers whether to go on.
    func inPieces<Piece>(
        _ account: AccountID, _ mailbox: MailboxID,
        read: (any ShardReader, MailboxRow, [(uid: UID, row: MessageRow)]) throws -> Piece,
        use: (Piece) throws -> Bool
    ) throws {
        var next: UID? = UID(1)
        while let first = next {
            next = nil
            let piece = try engine.read { state -> Piece? in
                guard let box = try state.mailbox(account, mailbox) else { return nil }
                var rows: [(uid: UID, row: MessageRow)] = []
                try state.messages(account, mailbox, from: first) { uid, row in
                    rows.append((uid, row))
                    return rows.count < MaildirLimits.rowsPerSnapshotMax
                }
                if rows.count == MaildirLimits.rowsPerSnapshotMax, let last = rows.last?.uid, last.rawValue < .max {
                    next = UID(last.rawValue + 1)
                }
                return try read(state, box, rows)
            }
            guard let piece, try use(piece) else { return }
        }
    }
}
