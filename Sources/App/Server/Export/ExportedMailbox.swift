import EventStore
import Foundation
import Glibc
import MailCore
import MailEngine
import MailTypes

/// A mailbox on its way out: the messages that it had in one snapshot, with their octets one after the other.
struct ExportedMailbox {
    struct Message {
        var uid: UID
        var row: MessageRow
        /// In the order of their numbers.
        var keywords: [Keyword]
        /// What it came with; the others have one of UID and UIDVALIDITY, as Dovecot makes them.
        var uidl: String?
    }

    let row: MailboxRow
    let messages: [Message]
    private let session: AdministrationSession

    init(_ session: AdministrationSession, _ account: AccountID, _ mailbox: MailboxID) throws {
        self.session = session
        (row, messages) = try session.engine.read { state in
            guard let row = try state.mailbox(account, mailbox) else { throw Refusal.noSuchMailbox }
            var messages: [Message] = []
            let uidls = try state.uidls(account, mailbox)
            try state.importedRows(account, mailbox) { uid, message in
                let ids = try state.keywords(account, mailbox, uid, message)
                let keywords = try ids.compactMap { try state.keyword(account, $0) }
                messages.append(Message(uid: uid, row: message, keywords: keywords, uidl: uidls[uid]))
            }
            return (row, messages)
        }
    }

    /// - Throws: also when whoever asked has gone.
    func forEach(_ body: (_ index: Int, Message, _ octets: [UInt8]) throws -> Void) throws {
        for (index, message) in messages.enumerated() {
            try session.progress(index, of: messages.count)
            if session.isCancelled { throw AdministrationFailure("the export was interrupted") }
            let handle = try session.engine.openBody(message.row.blob)
            var octets: [UInt8] = []
            try handle.read(at: 0, count: handle.size, into: &octets)
            try body(index, message, octets)
        }
    }

    /// A new file.
    /// - Throws: when there is something already.
    static func create(_ path: String) throws -> FileHandle {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(path) }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// What errno says of a path.
    static func failure(_ path: String) -> AdministrationFailure {
        AdministrationFailure("\(path): \(String(cString: strerror(errno)))")
    }
}
