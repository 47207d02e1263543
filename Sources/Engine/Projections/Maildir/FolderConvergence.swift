// A whole folder made equal to the state: after a new UIDVALIDITY, a rebuild, or where no checkpoint tells what is there.
import EventStore
import MailCore
import MailTypes

extension MaildirProjection {
    /// Makes the whole folder equal to the state: what is right stays, what has another name is renamed, what is ours
    /// and not wanted goes, what is missing is written.
    func converge(_ place: FolderPlace, _ memory: AccountMemory) throws {
        try makeParts(place.path, isInbox: place.path == memory.path)
        try sweep(place.path)
        place.memory.index = nil
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
                target.name.size == file.name.size, try isWhole(path, target)
            else {
                if place.isTwoWay, try isUnknown(file, path, wanted[file.name.uid], place) { continue }
                try disk.removeMessage(path)
                continue
            }
            let entry = target.entry.beside(FolderEntry(file, in: part), staysInCur: place.isTwoWay)
            let isThere = index[file.name.uid] != nil
            let isVolatile = try !isThere && self.isVolatile(path)
            if entry.path(target.name) == "\(part)/\(name)" {
                // A name met again after it was given, or the right one.
                index[file.name.uid] = entry
            } else if isThere {
                try disk.removeMessage(path)
            } else {
                try disk.rename(path, to: "\(place.path)/\(entry.path(target.name))", .fileRenamed)
                index[file.name.uid] = entry
            }
            if isVolatile { try write(WantedFile(name: target.name, entry: entry, blob: target.blob), place) }
        }
    }

    /// Octets that the store does not have: the file of a message it never had, which the next look takes, or one that
    /// was written over, which is put aside. Or the file of a message that is elsewhere, and that the next look moves here,
    /// unless the whole tree is made as the state has it.
    private func isUnknown(
        _ file: MaildirFile, _ path: String, _ message: WantedFile?, _ place: FolderPlace
    ) throws -> Bool {
        guard let row = try engine.read({ try $0.mailbox(place.account, place.mailbox) }) else { return false }
        if message == nil, file.name.validity == row.uidValidity { return file.name.uid.rawValue >= row.uidNext }
        if !place.isOfWholeTree, try isOfAnother(file.name, place.account, row.uidValidity) { return true }
        // A power cut leaves files with nothing in them.
        guard message?.name == file.name, try disk.size(path) ?? 0 > 0 else { return false }
        let aside = "\(stateDirectory)/aside"
        try disk.makeDirectory(aside)
        let target = unusedPath("\(aside)/\(place.account.rawValue).\(file.name.base)")
        report("\(path) was written over; it is now \(target)")
        return try disk.rename(path, to: target, .fileSetAside)
    }

    /// The path, or one with a number behind it: a message may have been written over before, or have two files.
    private func unusedPath(_ path: String) -> String {
        var unused = path
        var number = 1
        while disk.exists(unused) {
            number += 1
            unused = "\(path).\(number)"
        }
        return unused
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
