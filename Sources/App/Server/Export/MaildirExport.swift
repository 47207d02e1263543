import EventStore
import Foundation
import Glibc
import MailCore
import MailEngine
import MailTypes

/// One mailbox as a Maildir of its own, with Dovecot's lists: UIDs, UIDVALIDITY and the first 26 of its keywords.
struct MaildirExport {
    private struct Message {
        var uid: UID
        var row: MessageRow
        var keywords: [Keyword]
    }

    /// Letters that a file name has for keywords: `a` to `z`.
    private static let lettersMax = 26

    private let session: AdministrationSession
    private let account: AccountID
    private let mailbox: MailboxID

    init(_ session: AdministrationSession, _ account: AccountID, _ mailbox: MailboxID) {
        self.session = session
        self.account = account
        self.mailbox = mailbox
    }

    /// - Throws: when the directory is there already, or cannot be written whole and synced.
    func write(_ directory: String) throws -> Int {
        let (messages, row) = try list()
        for path in [directory, directory + "/cur", directory + "/new", directory + "/tmp"] {
            guard mkdir(path, 0o700) == 0 else { throw failure(path) }
        }
        var letters: [Keyword: Int] = [:]
        var lists = "3 V\(row.uidValidity.rawValue) N\(row.uidNext)\n"
        for (index, message) in messages.enumerated() {
            try session.progress(index, of: messages.count)
            if session.isCancelled { throw AdministrationFailure("the export was interrupted") }
            for keyword in message.keywords where letters[keyword] == nil && letters.count < Self.lettersMax {
                letters[keyword] = letters.count
            }
            let base =
                "\(message.row.internalDate.time.seconds).U\(message.uid.rawValue).letterlog"
                + ",S=\(message.row.size),W=\(message.row.size)"
            try place(message, directory, base, letters)
            lists += "\(message.uid.rawValue) :\(base)\n"
        }
        let names = letters.sorted { $0.value < $1.value }.map { "\($0.value) \($0.key.name)\n" }.joined()
        if !names.isEmpty { try put(Array(names.utf8), directory + "/dovecot-keywords") }
        try put(Array(lists.utf8), directory + "/dovecot-uidlist")
        // One flush for all files: a flush for each would take longer than the rest.
        sync()
        return messages.count
    }

    private func failure(_ path: String) -> AdministrationFailure {
        AdministrationFailure("\(path): \(String(cString: strerror(errno)))")
    }

    private func list() throws -> ([Message], MailboxRow) {
        try session.engine.read { state in
            guard let row = try state.mailbox(account, mailbox) else { throw Refusal.noSuchMailbox }
            var messages: [Message] = []
            try state.importedRows(account, mailbox) { uid, message in
                let keywords = try state.importedKeywords(account, mailbox, uid, message)
                messages.append(Message(uid: uid, row: message, keywords: keywords.sorted { $0.folded < $1.folded }))
            }
            return (messages, row)
        }
    }

    private func place(
        _ message: Message, _ directory: String, _ base: String, _ letters: [Keyword: Int]
    ) throws {
        var marks = ""
        for (flag, letter) in [
            (SystemFlags.draft, "D"), (.flagged, "F"), (.answered, "R"), (.seen, "S"), (.deleted, "T"),
        ] where message.row.flags.contains(flag) { marks += letter }
        for index in message.keywords.compactMap({ letters[$0] }).sorted() {
            marks.unicodeScalars.append(Unicode.Scalar(UInt8(0x61 + index)))
        }
        let path = "\(directory)/cur/\(base):2,\(marks)"
        let handle = try session.engine.openBody(message.row.blob)
        var body: [UInt8] = []
        try handle.read(at: 0, count: handle.size, into: &body)
        try put(body, path)
        let time = timespec(tv_sec: time_t(message.row.internalDate.time.seconds), tv_nsec: 0)
        guard utimensat(AT_FDCWD, path, [time, time], 0) == 0 else { throw failure(path) }
    }

    private func put(_ octets: [UInt8], _ path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(path) }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try file.write(contentsOf: Data(octets))
    }
}
