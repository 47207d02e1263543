// What a story writes down, and what it says afterwards.
//
//     have ACCOUNT KEY MAILBOX UID FLAGS    a message as it is committed; it stays so until one of the next five
//     touch ACCOUNT KEY                     before its flags or its place change: it must be there, once
//     split ACCOUNT KEY                     before another program renames its file into another folder, and syncs nothing:
//                                           a disk may come back with both names, which is a copy until it was seen
//     copy ACCOUNT KEY                      before it is copied: it may be there twice
//     drop ACCOUNT KEY                      before it is deleted: it may be gone, until it is seen again
//     rebase ACCOUNT KEY                    before the numbers of its mailbox change
//     spoil ACCOUNT KEY                     before another program writes into its file, or takes what is ours out of its
//                                           folder: only a rebuild mends that
//     mend ACCOUNT KEY                      that is over
//     valid ACCOUNT MAILBOX NUMBER          the UIDVALIDITY of a mailbox
//
// A message is known by the subject of its text.
import EventStore
import MailCore
import MailEngine
import MailTypes

/// A message as the state has it.
struct MaildirMessage: Equatable {
    var key: String
    var mailbox: MailboxID
    var uid: UID
    var flags: UInt8

    /// The subject of a text that begins with it.
    static func key(_ bytes: [UInt8]) -> String? {
        let line = bytes.prefix { $0 != 13 && $0 != 10 }
        let text = String(decoding: line, as: UTF8.self)
        return text.hasPrefix("Subject: ") ? String(text.dropFirst(9)) : nil
    }

    static func all(_ account: AccountID, _ engine: MailEngine) throws -> [MaildirMessage] {
        var rows: [(MailboxID, UID, MessageRow)] = []
        try engine.read { state in
            var boxes: [MailboxID] = []
            try state.mailboxes(account) { id, _ in
                boxes.append(id)
                return true
            }
            for box in boxes {
                try state.messages(account, box, from: UID(1)) { uid, row in
                    rows.append((box, uid, row))
                    return true
                }
            }
        }
        return try rows.map { box, uid, row in
            var bytes: [UInt8] = []
            let body = try engine.openBody(row.blob)
            try body.read(at: 0, count: body.size, into: &bytes)
            return MaildirMessage(key: key(bytes) ?? "?", mailbox: box, uid: uid, flags: row.flags.rawValue)
        }
    }

    static func validities(_ account: AccountID, _ engine: MailEngine) throws -> [MailboxID: UInt32] {
        var found: [MailboxID: UInt32] = [:]
        try engine.read { state in
            try state.mailboxes(account) { id, row in
                found[id] = row.uidValidity.rawValue
                return true
            }
        }
        return found
    }
}

final class MaildirJournalWriter {
    private let file: JournalWriter
    /// What was said last of each message, by account and key.
    private var said: [String: [MaildirMessage]] = [:]
    private var validities: [String: UInt32] = [:]
    /// Changed in the tree, and not yet looked at: nothing is promised before that.
    private var loose: Set<String> = []

    init(_ path: String) { file = JournalWriter(path, killAfter: 0) }

    func write(_ word: String, _ account: AccountID, _ key: String) {
        file.write(["\(word) \(account.rawValue) \(key)"])
        said["\(account.rawValue) \(key)"] = nil
    }

    func loosen(_ account: AccountID, _ key: String) { loose.insert("\(account.rawValue) \(key)") }

    func settled() { loose = [] }

    /// Writes down what is news: all of it is committed.
    func observe(_ accounts: [AccountID], _ engine: MailEngine) throws {
        var lines: [String] = []
        for account in accounts {
            for (mailbox, value) in try MaildirMessage.validities(account, engine).sorted(by: { $0.key < $1.key }) {
                let name = "\(account.rawValue) \(mailbox.rawValue)"
                if validities.updateValue(value, forKey: name) != value { lines.append("valid \(name) \(value)") }
            }
            let all = Dictionary(grouping: try MaildirMessage.all(account, engine), by: \.key)
            for (key, messages) in all.sorted(by: { $0.key < $1.key }) {
                let name = "\(account.rawValue) \(key)"
                guard !loose.contains(name), said.updateValue(messages, forKey: name) != messages else { continue }
                lines += messages.map { "have \(name) \($0.mailbox.rawValue) \($0.uid.rawValue) \($0.flags)" }
            }
        }
        if !lines.isEmpty { file.write(lines) }
    }
}

/// A journal read back up to where it was promised.
struct MaildirJournal {
    struct Promise {
        /// As they must be; empty when something is under way.
        var messages: [MaildirMessage] = []
        var mayBeGone = false
        var isCopied = false
        var mayBeSplit = false
        var countMax: Int { isCopied || mayBeSplit ? 2 : 1 }
    }

    var promises: [AccountID: [String: Promise]] = [:]
    var validities: [AccountID: [MailboxID: UInt32]] = [:]
    var isSpoilt = false
    var facts = 0

    init?(_ bytes: [UInt8], promisedOctets: Int) {
        var rebased: Set<MailboxID> = []
        for line in String(decoding: bytes.prefix(promisedOctets), as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count >= 3, let number = UInt32(words[1]) else { return nil }
            let account = AccountID(number)
            var promise = promises[account]?[words[2]] ?? Promise()
            switch words[0] {
            case "have":
                guard words.count == 6, let box = UInt32(words[3]), let uid = UInt32(words[4]),
                    let flags = UInt8(words[5])
                else { return nil }
                let message = MaildirMessage(key: words[2], mailbox: MailboxID(box), uid: UID(uid), flags: flags)
                promise.messages.removeAll { $0.mailbox == message.mailbox }
                promise.messages.append(message)
                promise.mayBeGone = false
                promise.mayBeSplit = false
                facts += 1
            case "valid":
                guard words.count == 4, let box = UInt32(words[2]), let value = UInt32(words[3]) else { return nil }
                validities[account, default: [:]][MailboxID(box)] = value
                continue
            case "touch": promise.messages = []
            case "split":
                promise.messages = []
                promise.mayBeSplit = true
            case "copy":
                promise.messages = []
                promise.isCopied = true
            case "drop":
                promise.messages = []
                promise.mayBeGone = true
            case "rebase":
                rebased.formUnion(promise.messages.map(\.mailbox))
                promise.messages = []
            case "spoil":
                promise.messages = []
                isSpoilt = true
            case "mend": isSpoilt = false
            default: return nil
            }
            promises[account, default: [:]][words[2]] = promise
        }
        for account in validities.keys {
            for mailbox in rebased { validities[account]?[mailbox] = nil }
        }
    }
}
