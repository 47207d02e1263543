import Foundation

/// What the import tests read: an undisturbed run has some batches of each, gaps between UIDs, flags, keywords and UIDLs,
/// and the highest UIDs that the source has given belong to messages that are gone.
enum ImportSource: String, CaseIterable {
    case maildir, mbox, imap

    static let messages = 230

    /// Makes it, where it is made of files.
    /// - Returns: how `StoreWorkload import` is told of it.
    func make(in folder: String) throws -> String {
        let path = folder + "/" + rawValue
        switch self {
        case .maildir: try Self.makeMaildir(path)
        case .mbox: try Self.box.write(toFile: path, atomically: false, encoding: .utf8)
        case .imap: return rawValue
        }
        return "\(rawValue):\(path)"
    }

    /// Named points of an import of this kind.
    var steps: Set<String> {
        var steps: Set<String> = ["folderPrepared", "batchAppended", "nextUIDKept", "folderChecked"]
        if self != .mbox { steps.formUnion(["roomMade", "subscribed"]) }
        if self == .imap { steps.formUnion(["journalWritten", "flagsChanged"]) }
        return steps
    }

    private static func letter(_ number: Int) -> String {
        "From: a@source.test\nSubject: number \(number)\n\nThe text of \(number).\n"
            + String(repeating: "A line of it.\n", count: number % 40)
    }

    private static func makeMaildir(_ path: String) throws {
        for folder in ["", "/.Sent", "/.Lists.swift"] {
            for part in ["cur", "new", "tmp"] {
                try FileManager.default.createDirectory(
                    atPath: path + folder + "/" + part, withIntermediateDirectories: true)
            }
            var list = "3 V\(1_500_000_000 + folder.utf8.count) N9000 G0123456789abcdef0123456789abcdef\n"
            for number in 1...(folder.isEmpty ? messages : 12) {
                let base = "\(1_600_000_000 + number).M\(number).source"
                let flags = ["", "S", "FS", "Ra", "Tb"][number % 5]
                let file = path + folder + "/cur/\(base):2,\(flags)"
                try letter(number).write(toFile: file, atomically: false, encoding: .utf8)
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSince1970: Double(1_600_000_000 + number))],
                    ofItemAtPath: file)
                // The last of INBOX came after the list was written.
                if folder.isEmpty, number == messages { continue }
                let uidl = number % 3 == 0 ? " PUID\(number)-1400000000" : ""
                list += "\(number * 2)\(uidl) :\(base)\n"
            }
            try list.write(toFile: path + folder + "/dovecot-uidlist", atomically: false, encoding: .utf8)
        }
        try "0 work\n1 $Junk\n".write(toFile: path + "/dovecot-keywords", atomically: false, encoding: .utf8)
        try "V\t2\n\nSent\nLists\tswift\n".write(toFile: path + "/subscriptions", atomically: false, encoding: .utf8)
    }

    private static var box: String {
        (1...messages).map { number in
            let base = number == 1 ? "X-IMAPbase: 1500000000 8999 work\n" : ""
            let flags = number % 2 == 0 ? "Status: RO\nX-Status: F\n" : "Status: O\n"
            let keywords = number % 5 == 0 ? "X-Keywords: work\n" : ""
            let letter = letter(number)
            let header = "\(base)X-UID: \(number * 2)\n\(flags)\(keywords)"
            return "From a@source.test Tue Jul  1 10:52:37 2003\n\(header)\(letter)\n"
        }.joined()
    }
}
