// The text of the files beside the messages, as Dovecot 2.3 reads them.
import MailCore
import MailTypes
import Octets

/// `dovecot-uidlist`, version 3: a header, then a line for each message in ascending order of UIDs.
///
/// Dovecot takes the next UID from the header or from the last line, whichever is higher, so lines may be appended under
/// an older header. A line whose file is gone means nothing to it.
package enum UIDList {
    static let fileName = "dovecot-uidlist"
    /// Opens every GUID that we give: the list, and so the folder, is ours. The account and the mailbox follow.
    static let guidPrefix = "6c74726c6f670001"

    struct Header: Equatable {
        var validity: UIDValidity
        var nextUID: UInt32
        /// 32 hexadecimal digits.
        var guid: String

        var text: String { "3 V\(validity.rawValue) N\(nextUID) G\(guid)\n" }

        init(_ validity: UIDValidity, nextUID: UInt32, _ account: AccountID, _ mailbox: MailboxID) {
            self.validity = validity
            self.nextUID = nextUID
            guid = UIDList.guid(account, mailbox)
        }

        /// Nil when `line` (without its line end) is not a header of version 3 with V, N and G.
        init?(parsing line: some Collection<UInt8>) {
            guard let text = String(validating: line, as: UTF8.self) else { return nil }
            let words = text.split(separator: " ")
            guard words.first == "3" else { return nil }
            var validity: UInt32?
            var nextUID: UInt32?
            var guid: String?
            for word in words.dropFirst() {
                let value = word.dropFirst()
                switch word.first {
                case "V": validity = UInt32(value)
                case "N": nextUID = UInt32(value)
                case "G": guid = String(value)
                default: continue
                }
            }
            guard let validity, let nextUID, let guid, validity > 0, nextUID > 0 else { return nil }
            self.validity = UIDValidity(validity)
            self.nextUID = nextUID
            self.guid = guid
        }

        /// Whose folder it is; nil when the list is not ours.
        var owner: (account: AccountID, mailbox: MailboxID)? {
            guard guid.utf8.count == 32, guid.hasPrefix(UIDList.guidPrefix),
                let account = UInt32(guid.dropFirst(16).prefix(8), radix: 16),
                let mailbox = UInt32(guid.suffix(8), radix: 16)
            else { return nil }
            return (AccountID(account), MailboxID(mailbox))
        }
    }

    static func guid(_ account: AccountID, _ mailbox: MailboxID) -> String {
        guidPrefix + Hex.encode(account.rawValue, width: 8) + Hex.encode(mailbox.rawValue, width: 8)
    }

    /// - Parameter uidl: what POP3 clients know the message by, where it is none of UID and UIDVALIDITY.
    package static func line(_ uid: UID, _ base: String, uidl: String? = nil) -> String {
        guard let uidl, UniqueID.isValid(uidl) else { return "\(uid.rawValue) :\(base)\n" }
        return "\(uid.rawValue) P\(uidl) :\(base)\n"
    }

    /// UID, base name and UIDL of a line without its line end; nil when it is not one.
    static func parse(_ line: some Collection<UInt8>) -> (uid: UID, base: String, uidl: String?)? {
        guard let space = line.firstIndex(of: 32),
            let uid = UInt32(String(decoding: line[..<space], as: UTF8.self)), uid > 0
        else { return nil }
        // Fields are a letter and a value; a value may have a colon in it.
        var uidl: String?
        var rest = line[line.index(after: space)...]
        while let letter = rest.first, letter != 58 {
            guard let end = rest.firstIndex(of: 32) else { return nil }
            if letter == 0x50 { uidl = String(decoding: rest[..<end].dropFirst(), as: UTF8.self) }
            rest = rest[rest.index(after: end)...]
        }
        guard rest.first == 58 else { return nil }
        return (UID(uid), String(decoding: rest.dropFirst(), as: UTF8.self), uidl)
    }
}

/// `dovecot-keywords`: the number of a letter, `a` being 0, and the keyword.
enum KeywordList {
    static let fileName = "dovecot-keywords"

    /// Keyword n of the account has letter n in every mailbox, so a letter never changes its meaning. Nil without any.
    static func text(_ keywords: [Keyword?]) -> String? {
        let lines = keywords.prefix(MaildirLimits.keywordLettersMax).enumerated().compactMap { index, keyword in
            keyword.map { "\(index) \($0.name)\n" }
        }
        return lines.isEmpty ? nil : lines.joined()
    }

    /// The keywords of the lines, by number; what is none is nil.
    static func names(_ text: [UInt8]) -> [Keyword?] {
        var names: [Keyword?] = []
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1)
            guard words.count == 2, let number = Int(words[0]),
                (0..<MaildirLimits.keywordLettersMax).contains(number)
            else { continue }
            while names.count <= number { names.append(nil) }
            names[number] = Keyword(String(words[1]))
        }
        return names
    }
}

/// `subscriptions`, version 2.
enum SubscriptionList {
    static let fileName = "subscriptions"

    static func text(_ names: [String]) -> String {
        let lines = names.compactMap { MailboxName($0).map(MaildirDirectoryName.subscription) }.sorted()
        return "V\t2\n\n" + lines.map { $0 + "\n" }.joined()
    }
}

/// `maildirsize` of Maildir++: the limit, then what is used. Without a limit there is no such file.
enum QuotaFile {
    static let fileName = "maildirsize"

    static func text(quota: Quota, used: Quota) -> String? {
        var limits: [String] = []
        if quota.bytes > 0 { limits.append("\(quota.bytes)S") }
        if quota.messages > 0 { limits.append("\(quota.messages)C") }
        guard !limits.isEmpty else { return nil }
        return limits.joined(separator: ",") + "\n\(used.bytes) \(used.messages)\n"
    }
}
