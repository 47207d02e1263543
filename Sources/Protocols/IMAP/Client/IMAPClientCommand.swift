// Commands of a client that copies mailboxes. A command is octets, cut where the server has to be asked for a literal:
// each piece but the first is sent after a `+`.
import MailTypes
import Octets

package struct IMAPClientCommand: Equatable, Sendable {
    package var tag: String
    /// The last one ends with the line end.
    package private(set) var pieces: [[UInt8]] = [[]]
    /// What a log may show; no password is in it.
    package var name: String

    private init(_ tag: String, _ name: String) {
        self.tag = tag
        self.name = name
        put("\(tag) \(name)")
    }

    private mutating func put(_ text: String) { pieces[pieces.count - 1].put(text) }
    private mutating func put(_ octets: [UInt8]) { pieces[pieces.count - 1].append(contentsOf: octets) }
    private func ended() -> IMAPClientCommand {
        var command = self
        command.put("\r\n")
        return command
    }

    /// `astring`: quoted where that can be, else a literal that the server is asked for.
    private mutating func put(string: [UInt8]) {
        let canQuote = string.count <= IMAPLimits.quotedOctetsMax && string.allSatisfy { (0x20...0x7E).contains($0) }
        guard canQuote else {
            put("{\(string.count)}\r\n")
            pieces.append(string)
            return
        }
        pieces[pieces.count - 1].put(string: string, usesUTF8: false)
    }

    /// A command without arguments: CAPABILITY, NAMESPACE, STARTTLS, LOGOUT, UNSELECT.
    package static func plain(_ tag: String, _ name: String) -> IMAPClientCommand {
        IMAPClientCommand(tag, name).ended()
    }

    package static func login(_ tag: String, user: String, password: SecretOctets) -> IMAPClientCommand {
        var command = IMAPClientCommand(tag, "LOGIN")
        command.put(" ")
        command.put(string: Array(user.utf8))
        command.put(" ")
        command.put(string: password.octets)
        return command.ended()
    }

    /// PLAIN (RFC 4616), with the initial response where the server takes it (RFC 4959). `authorizing` is whose mail it
    /// is when that is somebody else.
    package static func authenticatePlain(
        _ tag: String, authorizing: String, user: String, password: SecretOctets, isInitial: Bool
    ) -> IMAPClientCommand {
        var command = IMAPClientCommand(tag, "AUTHENTICATE PLAIN")
        let message = Array(authorizing.utf8) + [0] + Array(user.utf8) + [0] + password.octets
        let encoded = Base64.encode(message)
        if isInitial {
            command.put(" ")
        } else {
            command.put("\r\n")
            command.pieces.append([])
        }
        command.put(encoded)
        return command.ended()
    }

    /// Every mailbox; with `special`, its special use (RFC 6154 section 2).
    package static func list(_ tag: String, special: Bool) -> IMAPClientCommand {
        var command = IMAPClientCommand(tag, "LIST")
        command.put(" \"\" \"*\"")
        if special { command.put(" RETURN (SPECIAL-USE)") }
        return command.ended()
    }

    package static func lsub(_ tag: String) -> IMAPClientCommand {
        var command = IMAPClientCommand(tag, "LSUB")
        command.put(" \"\" \"*\"")
        return command.ended()
    }

    /// How many messages a mailbox has, and its UIDVALIDITY.
    /// - Parameter name: as LIST gave it.
    package static func count(_ tag: String, _ name: [UInt8]) -> IMAPClientCommand {
        var command = IMAPClientCommand(tag, "STATUS")
        command.put(" ")
        command.put(string: name)
        command.put(" (MESSAGES UIDVALIDITY UIDNEXT)")
        return command.ended()
    }

    /// - Parameter name: as LIST gave it.
    package static func examine(_ tag: String, _ name: [UInt8], condstore: Bool) -> IMAPClientCommand {
        var command = IMAPClientCommand(tag, "EXAMINE")
        command.put(" ")
        command.put(string: name)
        if condstore { command.put(" (CONDSTORE)") }
        return command.ended()
    }

    /// Of every message in the selected mailbox, what a listing has.
    package static func fetchListing(_ tag: String) -> IMAPClientCommand {
        var command = IMAPClientCommand(tag, "UID FETCH")
        command.put(" 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)")
        return command.ended()
    }

    /// The texts of some messages; nothing is marked as read.
    package static func fetchTexts(_ tag: String, _ uids: UIDSet) -> IMAPClientCommand {
        var command = IMAPClientCommand(tag, "UID FETCH")
        command.put(" ")
        command.pieces[0].put(set: uids.runs)
        command.put(" (UID BODY.PEEK[])")
        return command.ended()
    }
}
