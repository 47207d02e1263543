import EventStore
import Gateways
import MailCore
import MailEngine
import MailTypes
import Projections

/// What a command needs of the process it runs in: the node, or the command line that opened the store itself.
package protocol AdministrationBackend: AnyObject, Sendable {
    var engine: MailEngine { get }
    /// The store under the engine, for what reads it as files.
    var store: LMDBStore { get }
    var configuration: NodeConfiguration { get }
    /// Whether the process serves, so that the store can change while a command looks at it.
    var serves: Bool { get }
    /// Follows the log with the Maildirs; nil when nothing does in this process.
    var projector: MaildirProjector? { get }
    /// The parse cache; nil when this process has it not open.
    var cache: MessageCache? { get }
    /// The sessions of clients; nil where no node serves.
    var gateways: Gateways? { get }
}

/// One run of one command: the door to the engine, and the way out for what it prints.
package final class AdministrationSession {
    package let backend: any AdministrationBackend
    package let form: OutputForm
    private let deliver: (AnswerLine) throws -> Void
    private let cancelled: () -> Bool
    let origin: Origin

    package init(
        _ backend: any AdministrationBackend, form: OutputForm, cancelled: @escaping () -> Bool = { false },
        deliver: @escaping (AnswerLine) throws -> Void
    ) {
        self.backend = backend
        self.form = form
        self.cancelled = cancelled
        self.deliver = deliver
        origin = Origin(session: backend.engine.nextSession(), gateway: .admin)
    }

    var engine: MailEngine { backend.engine }
    var configuration: NodeConfiguration { backend.configuration }
    /// Whoever asked has gone.
    var isCancelled: Bool { cancelled() }

    /// Runs the command and delivers its last line, whatever happens.
    /// - Throws: only what `deliver` throws.
    package func run(_ command: some AdministrationCommand) throws {
        let last: AnswerLine
        do {
            let result = try command.run(in: self)
            let text = result.map { form == .json ? $0.value.text : $0.text } ?? ""
            // A result that was asked for is an item, which no `--quiet` hides.
            if let result, result.isAnswer {
                try deliver(AnswerLine(.item, text))
                last = AnswerLine(.done)
            } else {
                last = AnswerLine(.done, text, done: result?.counts?.done, total: result?.counts?.total)
            }
        } catch {
            let failure = AdministrationFailure(error)
            last = AnswerLine(.failed, failure.text, status: failure.status)
        }
        try deliver(last)
    }

    func item(_ text: String, _ value: @autoclosure () -> JSONValue) throws {
        try deliver(AnswerLine(.item, form == .json ? value().text : text))
    }

    func note(_ text: String) throws { try deliver(AnswerLine(.note, text)) }

    func progress(_ done: Int, of total: Int?) throws {
        try deliver(AnswerLine(.progress, done: done, total: total))
    }

    // MARK: Engine

    /// Does one thing to one account, durably.
    func perform(
        _ account: AccountID, _ command: AccountCommand, bodies: [any BodySource] = []
    ) throws -> CommandResult {
        try begin(account, command, bodies: bodies).wait()[0].result()
    }

    /// Hands the command in, to be waited for later.
    func begin(
        _ account: AccountID, _ command: AccountCommand, bodies: [any BodySource] = []
    ) -> PendingOutcomes {
        engine.begin(Request([Request.Item(account, command)], bodies: bodies, origin: origin))
    }

    /// The account of an address or alias; a name without `@` gets the default domain.
    func account(_ text: String) throws -> (id: AccountID, address: String) {
        let address = try self.address(text)
        return try engine.read { state in
            guard let id = try state.owner(of: address) else {
                throw AdministrationFailure("there is no account \(address.directoryKey)")
            }
            return (id, try state.primaryAddress(id) ?? address.directoryKey)
        }
    }

    func address(_ text: String) throws -> Address {
        var text = text
        if !text.contains("@") {
            guard let domain = try defaultDomain() else {
                throw AdministrationFailure("\(text) has no domain, and the store has no default domain", .usage)
            }
            text += "@" + domain
        }
        guard let address = Address(text), !address.localPart.contains("*") else {
            throw AdministrationFailure("\(text) is not an address", .usage)
        }
        return address
    }

    /// From the configuration, or as `init` wrote it into the store.
    func defaultDomain() throws -> String? {
        if let domain = configuration.domain { return domain }
        return try engine.read { try $0.defaultDomain() }
    }

    func mailbox(_ account: AccountID, _ text: String) throws -> MailboxID {
        let name = try mailboxName(text)
        return try engine.read { state in
            guard let id = try state.mailboxID(account, named: name) else {
                throw AdministrationFailure("there is no mailbox \(name)")
            }
            return id
        }
    }

    func mailboxName(_ text: String) throws -> MailboxName {
        guard let name = MailboxName(text) else {
            throw AdministrationFailure(
                "\(text) is not a name for a mailbox: components joined by /, each of 1 to "
                    + "\(MailboxName.componentOctetsMax) octets without control characters, at most "
                    + "\(MailboxName.depthMax) of them", .usage)
        }
        return name
    }
}

extension CommandOutcome {
    /// What a command that was done has to tell.
    func result() throws -> CommandResult {
        switch self {
        case .done(let result, _): return result
        case .duplicate: return .done
        case .refused(let refusal): throw refusal
        case .failed(let failure): throw failure
        }
    }
}

/// Settings of the store itself, kept as settings of the system account.
package enum StoreSetting {
    /// The domain a login name without `@` gets.
    package static let domain = "domain"
}

extension StateReader {
    func defaultDomain() throws -> String? { try setting(.system, StoreSetting.domain) }
}
