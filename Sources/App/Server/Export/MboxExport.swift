import Foundation
import Glibc
import MailTypes

/// One mailbox into one new file.
struct MboxExport {
    private let mailbox: ExportedMailbox

    init(_ session: AdministrationSession, _ account: AccountID, _ mailbox: MailboxID) throws {
        self.mailbox = try ExportedMailbox(session, account, mailbox)
    }

    /// - Throws: when the file is there already, or cannot be written whole and synced.
    func write(_ path: String) throws -> Int {
        let row = mailbox.row
        let file = try ExportedMailbox.create(path)
        try mailbox.forEach { index, message, body in
            let base = index == 0 ? "X-IMAPbase: \(row.uidValidity.rawValue) \(row.uidNext - 1)\(allKeywords)\n" : ""
            try file.write(
                contentsOf: Data(Self.entry(body, fields: base + fields(message), at: message.row.internalDate)))
        }
        guard fsync(file.fileDescriptor) == 0 else { throw ExportedMailbox.failure(path) }
        return mailbox.messages.count
    }

    /// Dovecot drops `X-Keywords` that name others than these: a sender may have written them.
    private var allKeywords: String {
        var text = ""
        var known: Set<Keyword> = []
        var column = 0
        for keyword in mailbox.messages.lazy.flatMap(\.keywords) where known.insert(keyword).inserted {
            let isFull = column > Self.columnsMax
            text += (isFull ? "\n\t" : " ") + keyword.name
            column = (isFull ? 0 : column) + keyword.name.utf8.count + 1
        }
        return text
    }

    /// Where the list of keywords goes on in another line.
    private static let columnsMax = 60

    private func fields(_ message: ExportedMailbox.Message) -> String {
        let flags = message.row.flags
        var text = "X-UID: \(message.uid.rawValue)\nStatus: \(flags.contains(.seen) ? "RO" : "O")\n"
        let letters: [(SystemFlags, String)] = [(.answered, "A"), (.flagged, "F"), (.draft, "T"), (.deleted, "D")]
        let marks = letters.filter { flags.contains($0.0) }.map(\.1).joined()
        if !marks.isEmpty { text += "X-Status: \(marks)\n" }
        if !message.keywords.isEmpty { text += "X-Keywords: \(message.keywords.map(\.name).joined(separator: " "))\n" }
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
