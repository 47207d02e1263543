// Names of directories: accounts below the root, folders below an account.
//
// Folders follow Maildir++: `.A.B` for the mailbox A/B, each component in modified UTF-7. A dot inside a component, a
// backslash, and a tilde that opens a component are written `\2e`, `\5c` and `\7e`, which is what Dovecot's listescape
// plugin reads and writes; without the plugin Dovecot shows the escape as it stands and serves the mail all the same.
// A name too long for a directory is cut and ends in `\-` and the mailbox's number, which no escape can look like.
import MailTypes
import Octets

enum MaildirDirectoryName {
    /// The folder of a mailbox, relative to the account's directory; empty for INBOX.
    static func folder(_ name: MailboxName, _ mailbox: MailboxID) -> String {
        if name.isInbox { return "" }
        let text = name.components.map { "." + component($0) }.joined()
        return limited(text, ending: "\\-" + String(mailbox.rawValue, radix: 16))
    }

    /// The mailbox that a folder of another program stands for; nil where its name says none.
    static func mailbox(ofFolder folder: String) -> MailboxName? {
        guard folder.hasPrefix("."), folder.utf8.count <= MaildirLimits.directoryNameOctetsMax else { return nil }
        var components: [String] = []
        for part in folder.dropFirst().split(separator: ".", omittingEmptySubsequences: false) {
            guard let text = ModifiedUTF7.decode(String(part)), let component = unescaped(text) else { return nil }
            components.append(component)
        }
        return MailboxName(components: components)
    }

    /// Nil where a backslash opens no escape of ours.
    private static func unescaped(_ text: String) -> String? {
        var octets: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let octet = rest.popFirst() {
            guard octet == 0x5C else {
                octets.append(octet)
                continue
            }
            guard rest.count >= 2, let value = Hex.decode(String(decoding: rest.prefix(2), as: UTF8.self))?.first else {
                return nil
            }
            octets.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: octets, as: UTF8.self)
    }

    /// A folder on its way from one name to another.
    static func parked(_ mailbox: MailboxID) -> String { ".\\-" + String(mailbox.rawValue, radix: 16) }

    /// The mailbox of a folder that was left under way.
    static func parkedMailbox(_ name: String) -> MailboxID? {
        guard name.hasPrefix(".\\-"), let id = UInt32(name.dropFirst(3), radix: 16), parked(MailboxID(id)) == name
        else {
            return nil
        }
        return MailboxID(id)
    }

    /// A line of `subscriptions`, version 2: components between tabs.
    static func subscription(_ name: MailboxName) -> String {
        name.components.map(component).joined(separator: "\t")
    }

    private static func component(_ text: String) -> String {
        var escaped = ""
        for character in text.unicodeScalars {
            switch character {
            case ".": escaped += "\\2e"
            case "\\": escaped += "\\5c"
            default: escaped.unicodeScalars.append(character)
            }
        }
        let text = ModifiedUTF7.encode(escaped)
        return text.hasPrefix("~") ? "\\7e" + text.dropFirst() : text
    }

    /// The directory of an account: its primary address, with `/`, `%`, control characters and an opening dot as `%XX`.
    static func account(_ address: String, _ account: AccountID) -> String {
        var out: [UInt8] = []
        for octet in address.utf8 {
            let isUnsafe = octet < 0x21 || octet == 0x7F || octet == 0x2F || octet == 0x25 || octet == 0x5C
            if isUnsafe || (octet == 0x2E && out.isEmpty) {
                out.append(contentsOf: Array("%".utf8) + Hex.encode([octet]).uppercased().utf8)
            } else {
                out.append(octet)
            }
        }
        return limited(String(decoding: out, as: UTF8.self), ending: "%-" + String(account.rawValue, radix: 16))
    }

    private static func limited(_ text: String, ending: String) -> String {
        guard text.utf8.count > MaildirLimits.directoryNameOctetsMax else { return text }
        var cut = ""
        for character in text.unicodeScalars {
            guard cut.utf8.count + UTF8.width(character) + ending.utf8.count <= MaildirLimits.directoryNameOctetsMax
            else { break }
            cut.unicodeScalars.append(character)
        }
        return cut + ending
    }
}
