import EventStore
import Foundation
import MailCore
import MailEngine
import MailTypes

@testable import Server

/// A directory of its own for one test.
struct Scratch {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/letterlog-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// To be deferred: a release after the last use would take the directory from under an open store.
    func remove() { try? FileManager.default.removeItem(atPath: path) }

    /// A new store in it, opened.
    func store(_ name: String = "store", domain: String? = "example.test") throws -> LocalBackend {
        let directory = path + "/" + name
        _ = try StoreCreation.create(directory, domain: domain)
        return try LocalBackend(store: directory, configuration: .roomy)
    }
}

extension NodeConfiguration {
    /// Takes mail however full the disk of the test machine is.
    static var roomy: NodeConfiguration {
        var configuration = NodeConfiguration()
        configuration.storage.softFreeOctets = 0
        configuration.storage.hardFreeOctets = 0
        return configuration
    }
}

extension LocalBackend {
    /// Runs a command here and keeps its answer.
    func answer(_ command: some AdministrationCommand, _ form: OutputForm = .text) throws -> [AnswerLine] {
        var lines: [AnswerLine] = []
        try AdministrationSession(self, form: form) { lines.append($0) }.run(command)
        return lines
    }

    /// Puts a message into a mailbox and answers its UID.
    func append(_ address: String, _ mailbox: MailboxName, _ text: String, from: String? = nil) throws -> UID {
        let writer = engine.makeBody()
        try writer.append(Array(text.utf8))
        let (account, id) = try place(address, mailbox)
        let append = AppendMessages(
            mailbox: id, messages: [NewMessage(body: 0)], origin: .lmtp, envelopeFrom: from, envelopeTo: address)
        let request = Request(
            [Request.Item(account, .append(append))], bodies: [try writer.finish()],
            origin: Origin(session: engine.nextSession(), gateway: .lmtp))
        guard case .appended(_, let uids) = try engine.performAndWait(request)[0].result(), let uid = uids.first else {
            throw AdministrationFailure("nothing was appended")
        }
        return uid
    }

    func place(_ address: String, _ mailbox: MailboxName) throws -> (AccountID, MailboxID) {
        try engine.read { state in
            guard let account = try state.owner(ofAddress: address),
                let id = try state.mailboxID(account, named: mailbox)
            else { throw Refusal.noSuchMailbox }
            return (account, id)
        }
    }
}
