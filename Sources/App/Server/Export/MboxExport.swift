import EventStore
import Foundation
import Glibc
import MailCore
import MailTypes

/// One mailbox into one new file.
struct MboxExport {
    private struct Message {
        var uid: UID
        var row: MessageRow
        var keywords: [String]
    }

    private let session: AdministrationSession
    private let account: AccountID
    private let mailbox: MailboxID

    init(_ session: AdministrationSession, _ account: AccountID, _ mailbox: MailboxID) {
        self.session = session
        self.account = account
        self.mailbox = mailbox
    }

    /// - Throws: when the file is there already, or cannot be written whole and synced.
    func write(_ path: String) throws -> Int {
        let (messages, row) = try list()
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw AdministrationFailure("\(path): \(String(cString: strerror(errno)))") }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        for (index, message) in messages.enumerated() {
            try session.progress(index, of: messages.count)
            if session.isCancelled { throw AdministrationFailure("the export was interrupted") }
            let handle = try session.engine.openBody(message.row.blob)
            var body: [UInt8] = []
            try handle.read(at: 0, count: handle.size, into: &body)
            let base = index == 0 ? "X-IMAPbase: \(row.uidValidity.rawValue) \(row.uidNext - 1)\n" : ""
            try file.write(
                contentsOf: Data(Self.entry(body, fields: base + fields(message), at: message.row.internalDate)))
        }
        guard fsync(descriptor) == 0 else {
            throw AdministrationFailure("\(path): \(String(cString: strerror(errno)))")
        }
        return messages.count
    }

    private func list() throws -> ([Message], MailboxRow) {
        try session.engine.read { state in
            guard let row = try state.mailbox(account, mailbox) else { throw Refusal.noSuchMailbox }
            var rows: [(UID, MessageRow)] = []
            try state.messages(account, mailbox, from: UID(1)) { uid, row in
                rows.append((uid, row))
                return true
            }
            let messages = try rows.map { uid, row in
                let ids = try state.keywords(account, mailbox, uid, row)
                return Message(
                    uid: uid, row: row, keywords: try ids.compactMap { try state.keyword(account, $0)?.name })
            }
            return (messages, row)
        }
    }

    private func fields(_ message: Message) -> String {
        let flags = message.row.flags
        var text = "X-UID: \(message.uid.rawValue)\nStatus: \(flags.contains(.seen) ? "RO" : "O")\n"
        let letters: [(SystemFlags, String)] = [(.answered, "A"), (.flagged, "F"), (.draft, "T"), (.deleted, "D")]
        let marks = letters.filter { flags.contains($0.0) }.map(\.1).joined()
        if !marks.isEmpty { text += "X-Status: \(marks)\n" }
        if !message.keywords.isEmpty { text += "X-Keywords: \(message.keywords.joined(separator: " "))\n" }
        return text
    }

    /// The `From ` line, the fields, the message with LF line ends and quoted `From ` lines, an empty line.
    static func entry(_ body: [UInt8], fields: String, at date: InternalDate) -> [UInt8] {
        var out = Array("From MAILER-DAEMON \(asctime(date.time))\n\(fields)".utf8)
        out.reserveCapacity(body.count + 200)
        var start = 0
        while start < body.count {
            let feed = body[start...].firstIndex(of: 0x0A)
            var end = feed ?? body.count
            if end > start, feed != nil, body[end - 1] == 0x0D { end -= 1 }
            let line = body[start..<end]
            if line.drop(while: { $0 == 0x3E }).starts(with: "From ".utf8) { out.append(0x3E) }
            out.append(contentsOf: line)
            out.append(0x0A)
            start = (feed ?? body.count - 1) + 1
        }
        out.append(0x0A)
        return out
    }

    /// `Thu Jan  1 00:00:00 1970`, in UTC.
    private static func asctime(_ time: Timestamp) -> String {
        var seconds = time_t(time.seconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ value: Int32, _ fill: String = "0") -> String { value < 10 ? fill + "\(value)" : "\(value)" }
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        return "\(days[Int(parts.tm_wday)]) \(months[Int(parts.tm_mon)]) \(two(parts.tm_mday, " ")) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) \(Int(parts.tm_year) + 1900)"
    }
}
