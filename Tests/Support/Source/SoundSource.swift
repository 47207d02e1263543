import Foundation

/// What a sound server says about one folder of some messages: every third UID, of which the highest that it has given are
/// no longer there.
package enum SoundSource {
    package static let count = 7
    package static let uidValidity: UInt32 = 77
    package static func uidNext(_ count: Int = count) -> UInt32 { UInt32(count * 3 + 78) }

    /// The subject of the message with a UID.
    package static func subject(_ uid: Int) -> String { "Subject: \(100 + uid)" }

    package static func answer(_ tag: String, _ command: String) -> String? { answer(tag, command, count: count) }

    /// - Parameters:
    ///   - count: of messages.
    ///   - flags: of all of them, beside a keyword.
    package static func answer(_ tag: String, _ command: String, count: Int, flags: String = "\\Seen") -> String? {
        if ["AUTHENTICATE", "LOGIN", "EXAMINE", "CAPABILITY"].contains(where: command.hasPrefix) {
            return "* CAPABILITY IMAP4rev1 CONDSTORE\r\n* \(count) EXISTS\r\n* OK [UIDVALIDITY \(uidValidity)]\r\n"
                + "* OK [UIDNEXT \(uidNext(count))]\r\n* OK [HIGHESTMODSEQ \(5 + flags.utf8.count)]\r\n\(tag) OK done\r\n"
        }
        if command.hasPrefix("LIST") { return "* LIST () \"/\" INBOX\r\n\(tag) OK done\r\n" }
        if command.hasPrefix("STATUS") {
            return "* STATUS INBOX (MESSAGES \(count) UIDVALIDITY \(uidValidity))\r\n\(tag) OK\r\n"
        }
        if command.hasPrefix("UID FETCH 1:*") {
            let lines = (1...count).map { number in
                "* \(number) FETCH (UID \(number * 3) FLAGS (\(flags) key\(number % 2)) INTERNALDATE "
                    + "\"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 16)\r\n"
            }
            return lines.joined() + "\(tag) OK done\r\n"
        }
        if command.hasPrefix("UID FETCH") {
            // In descending order, which is as good as any.
            let lines = uids(String(command.split(separator: " ")[2])).reversed().map { uid in
                let text = "\(subject(uid))\r\n\r\nUID \(uid)"
                return "* \(uid / 3) FETCH (BODY[] {\(text.utf8.count)}\r\n\(text) UID \(uid))\r\n"
            }
            return lines.joined() + "\(tag) OK done\r\n"
        }
        return "\(tag) OK done\r\n"
    }

    /// Those of a set that are there.
    private static func uids(_ set: String) -> [Int] {
        set.split(separator: ",").flatMap { part -> [Int] in
            let ends = part.split(separator: ":").compactMap { Int($0) }
            return Array((ends.first ?? 0)...(ends.last ?? 0))
        }.filter { $0 % 3 == 0 }
    }
}
