// Administrative commands: each is a Codable value that runs over a backend, and is written once.
//
// The command line builds the value. When a node runs, the value travels as JSON over `STORE/admin.sock` and runs
// there; when none runs, it runs in the process of the command line on a store that it opened. What it prints goes
// through `AdministrationSession` as finished lines, so both ways print the same.
import Foundation

package protocol AdministrationCommand: Codable, Sendable {
    /// Its words on the command line, `account add`; they name it on the socket too.
    static var words: String { get }
    /// Does it. Items go to the session as they are found; what is returned comes last.
    func run(in session: AdministrationSession) throws -> AdministrationResult?
}

/// The last line of a command: a sentence, and the same as a value.
package struct AdministrationResult: Sendable {
    package var text: String
    package var value: JSONValue
    /// What was asked for, and so printed even when `--quiet` asks for silence.
    package var isAnswer: Bool
    /// How many of the things asked for were done.
    package var counts: (done: Int, total: Int)?

    package init(_ text: String, _ value: JSONValue, isAnswer: Bool = false) {
        self.text = text
        self.value = value
        self.isAnswer = isAnswer
    }
}

/// In which form the lines of an answer are wanted.
package enum OutputForm: String, Codable, Sendable {
    case text, json
}

/// One line of an answer, finished but for the decision to print it.
package struct AnswerLine: Codable, Equatable, Sendable {
    package enum Kind: String, Codable, Sendable {
        /// Part of what was asked for.
        case item
        /// Said beside the answer.
        case note
        /// How far long work is: `done` of `total`.
        case progress
        /// The end; its text may be empty.
        case done
        /// The end; the text says why, `status` how.
        case failed
    }

    package var kind: Kind
    package var text: String
    package var done: Int?
    package var total: Int?
    package var status: ExitStatus?

    package init(_ kind: Kind, _ text: String = "", done: Int? = nil, total: Int? = nil, status: ExitStatus? = nil) {
        self.kind = kind
        self.text = text
        self.done = done
        self.total = total
        self.status = status
    }

    package var isLast: Bool { kind == .done || kind == .failed }
}

/// Every command that can be asked of a store, by its words.
package enum AdministrationCommands {
    package static let all: [any AdministrationCommand.Type] = [
        AccountAdd.self, AccountList.self, AccountShow.self, AccountSetPassword.self, AccountAlias.self,
        AccountSetQuota.self, AccountSetCapabilities.self, AccountSetMaildir.self, AccountSetStatus.self,
        AccountRemove.self,
        AccountPasswordAdd.self, AccountPasswordList.self, AccountPasswordRevoke.self,
        DomainAdd.self, DomainList.self, DomainRemove.self, Who.self, Kick.self,
        DomainKeyAdd.self, DomainKeyList.self, DomainKeyShow.self, DomainKeyRemove.self,
        MailboxList.self, MailboxStatus.self, MailboxCreate.self, MailboxRename.self, MailboxDelete.self,
        ImportMbox.self, ImportMaildir.self, ImportImap.self, ExportMbox.self, ExportMaildir.self, LogShow.self,
        LogTail.self,
        LogWhy.self, QueueList.self, QueueShow.self, QueueChange.self, StoreStats.self, StoreRebuild.self,
        StoreVerify.self, MaildirShowStatus.self, MaildirConfirm.self, MaildirRestore.self,
    ]

    private struct Envelope<Command: AdministrationCommand>: Codable {
        var command: String
        var form: OutputForm
        var arguments: Command
    }

    private struct Name: Decodable {
        var command: String
        var form: OutputForm
    }

    /// The request as one line of JSON, without its line end.
    package static func encode(_ command: some AdministrationCommand, _ form: OutputForm) throws -> Data {
        let envelope = Envelope(command: type(of: command).words, form: form, arguments: command)
        return try JSONEncoder().encode(envelope)
    }

    /// - Throws: `AdministrationFailure` when the line is no request that this version knows.
    package static func decode(_ line: Data) throws -> (any AdministrationCommand, OutputForm) {
        let decoder = JSONDecoder()
        guard let name = try? decoder.decode(Name.self, from: line) else {
            throw AdministrationFailure("the request is not one of ours", .usage)
        }
        guard let type = all.first(where: { $0.words == name.command }) else {
            throw AdministrationFailure("the node does not know the command `\(name.command)`", .usage)
        }
        return (try decodeArguments(type, line, decoder), name.form)
    }

    private static func decodeArguments<Command: AdministrationCommand>(
        _ type: Command.Type, _ line: Data, _ decoder: JSONDecoder
    ) throws -> any AdministrationCommand {
        do {
            return try decoder.decode(Envelope<Command>.self, from: line).arguments
        } catch {
            throw AdministrationFailure("the node does not understand this `\(type.words)`", .usage)
        }
    }
}
