import Foundation
import Glibc
import MailTypes
import Projections

/// One mailbox as a Maildir of its own, with Dovecot's lists: UIDs, UIDVALIDITY, POP3 UIDLs that came with messages, and
/// the first 26 of its keywords.
struct MaildirExport {
    /// Letters that a file name has for keywords: `a` to `z`.
    private static let lettersMax = 26

    private let mailbox: ExportedMailbox

    init(_ session: AdministrationSession, _ account: AccountID, _ mailbox: MailboxID) throws {
        self.mailbox = try ExportedMailbox(session, account, mailbox)
    }

    /// - Throws: when the directory is there already, or cannot be written whole and synced.
    func write(_ directory: String) throws -> Int {
        for path in [directory, directory + "/cur", directory + "/new", directory + "/tmp"] {
            guard mkdir(path, 0o700) == 0 else { throw ExportedMailbox.failure(path) }
        }
        let row = mailbox.row
        var letters: [Keyword: Int] = [:]
        var lists = "3 V\(row.uidValidity.rawValue) N\(row.uidNext)\n"
        try mailbox.forEach { _, message, body in
            let keywords = message.keywords.sorted { $0.folded < $1.folded }
            for keyword in keywords where letters[keyword] == nil && letters.count < Self.lettersMax {
                letters[keyword] = letters.count
            }
            let base =
                "\(message.row.internalDate.time.seconds).U\(message.uid.rawValue).letterlog"
                + ",S=\(message.row.size),W=\(message.row.size)"
            try place(message, body, directory, base, letters)
            lists += UIDList.line(message.uid, base, uidl: message.uidl)
        }
        let names = letters.sorted { $0.value < $1.value }.map { "\($0.value) \($0.key.name)\n" }.joined()
        if !names.isEmpty { try put(Array(names.utf8), directory + "/dovecot-keywords") }
        try put(Array(lists.utf8), directory + "/dovecot-uidlist")
        // One flush for all files: a flush for each would take longer than the rest.
        sync()
        return mailbox.messages.count
    }

    private func place(
        _ message: ExportedMailbox.Message, _ body: [UInt8], _ directory: String, _ base: String,
        _ letters: [Keyword: Int]
    ) throws {
        let bits = message.keywords.compactMap { letters[$0] }.reduce(UInt64(0)) { $0 | 1 << UInt64($1) }
        let marks = MaildirLetters(message.row.flags, keywords: bits, forwarded: false).text
        let path = "\(directory)/cur/\(base):2,\(marks)"
        try put(body, path)
        let time = timespec(tv_sec: time_t(message.row.internalDate.time.seconds), tv_nsec: 0)
        guard utimensat(AT_FDCWD, path, [time, time], 0) == 0 else { throw ExportedMailbox.failure(path) }
    }

    private func put(_ octets: [UInt8], _ path: String) throws {
        try ExportedMailbox.create(path).write(contentsOf: Data(octets))
    }
}
