// What the load writes down. One line is one fact; the lines of one request are written in one write(2), so that a kill
// or a cut never leaves half a request's.
//
//     try COMMAND MESSAGES              before it is submitted: how many messages an append or delivery brings in all
//     ack COMMAND append ACCOUNT MODSEQ MAILBOX UIDS FLAGS SHA256,...
//     ack COMMAND flags ACCOUNT MODSEQ MAILBOX UIDS        the UIDs that changed
//     ack COMMAND expunge ACCOUNT MODSEQ MAILBOX UIDS
//     ack COMMAND copy|move ACCOUNT MODSEQ MAILBOX UIDS TARGET UIDS
//     ack COMMAND mailbox ACCOUNT MODSEQ MAILBOX NAME      created or renamed
//     ack COMMAND delete|account|collect ACCOUNT MODSEQ MAILBOX
//     full COMMAND, stopped COMMAND, refused COMMAND       answers that promise nothing
//     late COMMAND                                         a promise after `stopped`: never allowed
//
// An empty set of UIDs is written as `-`. MODSEQ is the account's position after the command.
import EventStore
import Glibc
import MailTypes
import Octets
import Synchronization

/// An acknowledged part of a request.
struct Acknowledgement {
    var command: CommandID
    var kind: String
    var account: AccountID
    var position: ModSeq
    var mailbox = MailboxID.root
    /// What follows, as written.
    var rest: [String] = []

    var line: String {
        let fields = ["ack", command.text, kind, "\(account.rawValue)", "\(position.rawValue)", "\(mailbox.rawValue)"]
        return (fields + rest).joined(separator: " ")
    }

    init(
        _ command: CommandID, _ kind: String, _ account: AccountID, _ position: ModSeq, _ mailbox: MailboxID = .root,
        _ rest: [String] = []
    ) {
        self.command = command
        self.kind = kind
        self.account = account
        self.position = position
        self.mailbox = mailbox
        self.rest = rest
    }

    init?(_ words: [String]) {
        guard words.count >= 6, words[0] == "ack", let command = CommandID(text: words[1]),
            let account = UInt32(words[3]), let position = UInt64(words[4]), let mailbox = UInt32(words[5])
        else { return nil }
        self.init(
            command, words[2], AccountID(account), ModSeq(position), MailboxID(mailbox), Array(words.dropFirst(6)))
    }
}

/// A journal read back.
struct Journal {
    /// In the order of the file; the first `promised` stood before the given end.
    var acknowledgements: [Acknowledgement] = []
    var promised = 0
    /// Messages that each append or delivery brings, all of them or none.
    var messages: [CommandID: Int] = [:]

    /// - Parameter promisedOctets: acknowledgements that begin before this octet must have been kept.
    init(_ bytes: [UInt8], promisedOctets: Int) {
        var start = 0
        while let end = bytes[start...].firstIndex(of: 10) {
            let words = String(decoding: bytes[start..<end], as: UTF8.self).split(separator: " ").map(String.init)
            if let acknowledgement = Acknowledgement(words) {
                acknowledgements.append(acknowledgement)
                if start < promisedOctets { promised += 1 }
            } else if words.count == 3, words[0] == "try", let command = CommandID(text: words[1]) {
                messages[command] = Int(words[2])
            }
            start = end + 1
        }
    }
}

/// Appends lines to the journal's file; safe from any task.
final class JournalWriter: Sendable {
    private let descriptor: Int32
    private let acknowledged = Atomic<Int>(0)
    /// SIGKILL to itself after this many acknowledged requests; 0 for never.
    private let killAfter: Int

    init(_ path: String, killAfter: Int) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        self.killAfter = killAfter
        guard descriptor >= 0 else {
            perror(path)
            exit(2)
        }
    }

    func write(_ lines: [String]) {
        let bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            perror("journal")
            exit(2)
        }
    }

    func acknowledge(_ lines: [String]) {
        write(lines)
        if acknowledged.add(1, ordering: .relaxed).newValue == killAfter { kill(getpid(), SIGKILL) }
    }
}

extension CommandID {
    var text: String { Hex.encode(high, width: 16) + Hex.encode(low, width: 16) }

    init?(text: String) {
        guard text.utf8.count == 32, let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }
}

extension ContentHash {
    var text: String {
        [words.0, words.1, words.2, words.3].map { Hex.encode($0, width: 16) }.joined()
    }
}

extension UIDSet {
    /// The journal's form.
    var text: String { isEmpty ? "-" : description }
}
