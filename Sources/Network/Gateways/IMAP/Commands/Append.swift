// APPEND with MULTIAPPEND and CATENATE, and REPLACE (RFC 9051 section 6.3.12, RFC 3502, RFC 4469, RFC 8508): all of them
// are stored in one transaction, or none.
//
// Text goes from the socket to the engine's body writer as it comes, in memory while it is little and in unlinked files
// beyond; parts named by URL are copied from the stored message range by range. What is wrong with a command is
// remembered and said at its end, unless the client still waits for leave to send.
import EventStore
import IMAP
import Logging
import MIME
import MailCore
import MailEngine
import MailTypes
import NIOCore
import Synchronization

/// An APPEND or REPLACE on its way.
final class PendingAppend {
    let target: AppendTarget
    private unowned let connection: Connection
    private var options: [AppendOptions] = []
    private var receivers: [BodyReceiver] = []
    private var octets = 0
    private var octetsOfMessage = 0
    /// Why it will be refused.
    var failure: IMAPOutcome?
    /// A URL of CATENATE that names no part of its message: known when the part is to be copied.
    let isBadURL = BadURL()

    init(_ target: AppendTarget, _ connection: Connection) {
        self.target = target
        self.connection = connection
    }

    var hasRoom: Bool { receivers.last?.hasRoom ?? true }
    var messageCount: Int { options.count }

    func begin(_ options: AppendOptions) {
        self.options.append(options)
        octetsOfMessage = 0
        guard failure == nil else { return }
        let inMemory = octets < GatewayLimits.imapAppendMemoryOctetsMax
        guard inMemory || self.options.count <= GatewayLimits.imapAppendFilesMax else {
            return fail(.no("Too many messages for one APPEND", code: .limit))
        }
        receivers.append(BodyReceiver(connection, spoolsAtOnce: !inMemory))
    }

    func add(_ part: ByteBuffer) {
        octets += part.readableBytes
        octetsOfMessage += part.readableBytes
        guard failure == nil else { return }
        guard octetsOfMessage <= connection.gateway.options.messageOctetsMax else {
            return fail(.no("The message is too big", code: .tooBig))
        }
        receivers.last?.append(part)
    }

    /// Goes on with octets of a stored message.
    func add(
        _ read:
            @escaping @Sendable ((UnsafeRawBufferPointer) throws(EngineFailure) -> Void) throws(EngineFailure) ->
            Void
    ) {
        receivers.last?.append(read)
    }

    /// Whether text of that length still fits.
    func takes(_ count: UInt64) -> Bool {
        count <= UInt64(connection.gateway.options.messageOctetsMax - octetsOfMessage)
    }

    func fail(_ outcome: IMAPOutcome) {
        if failure == nil { failure = outcome }
        abandon()
    }

    func abandon() {
        for receiver in receivers { receiver.abandon() }
        receivers = []
    }

    /// Hands over all bodies, or why there are none.
    func bodies(_ completion: @escaping (Result<[any BodySource], EngineFailure>) -> Void) {
        close(receivers[...], [], completion)
    }

    private func close(
        _ rest: ArraySlice<BodyReceiver>, _ done: [any BodySource],
        _ completion: @escaping (Result<[any BodySource], EngineFailure>) -> Void
    ) {
        guard let first = rest.first else { return completion(.success(done)) }
        first.finish { [self] result in
            switch result {
            case .success(let source): close(rest.dropFirst(), done + [source], completion)
            case .failure(let failure): completion(.failure(failure))
            }
        }
    }

    var messages: [NewMessage] {
        options.enumerated().map { index, options in
            NewMessage(
                body: index, flags: options.flags.system, keywords: options.flags.keywords, internalDate: options.date)
        }
    }
}

/// Told by the thread that copies.
final class BadURL: Sendable {
    private let first = Mutex<String?>(nil)

    func note(_ text: String) { first.withLock { $0 = $0 ?? text } }
    var text: String? { first.withLock { $0 } }
}

extension IMAPSession {
    func beginAppend(_ target: AppendTarget) {
        let append = PendingAppend(target, connection)
        self.append = append
        if target.replaced != nil, selected == nil {
            append.failure = .bad("No mailbox is selected")
        } else if target.replaced != nil, selected?.isReadOnly == true {
            append.failure = .no("The mailbox is open for reading", code: .readOnly)
        }
    }

    /// Whether there is a mailbox and room: so that a client that waits is refused before it sends.
    func appendLiteral(_ literal: AppendLiteral) {
        guard let append else { return }
        if append.failure == nil { append.failure = refusal(of: append, literal) }
        if let failure = append.failure {
            append.abandon()
            act { machine.literalRefused(failure, into: &actions) }
        } else {
            act { machine.literalAccepted(into: &actions) }
        }
    }

    private func refusal(of append: PendingAppend, _ literal: AppendLiteral) -> IMAPOutcome? {
        guard let account else { return .no("Log in first") }
        guard append.takes(literal.octets) else {
            return .no("A message has at most \(connection.gateway.options.messageOctetsMax) octets", code: .tooBig)
        }
        switch connection.gateway.admits() {
        case .open: break
        case .queueFull: return Self.reply(to: .busy)
        case .stopped: return Self.reply(to: .stopped(""))
        }
        do {
            return try engine.read { state in
                guard try state.mailboxID(account, named: append.target.mailbox) != nil else {
                    return .no("There is no such mailbox", code: .tryCreate)
                }
                guard let head = try state.head(account) else { return nil }
                let isOver =
                    head.quota.bytes > 0 && head.used.bytes + literal.octets > head.quota.bytes
                    || head.quota.messages > 0 && head.used.messages + UInt64(append.messageCount) > head.quota.messages
                // REPLACE frees what it replaces: its own check comes with the change.
                return isOver && append.target.replaced == nil
                    ? .no("The quota is used up", code: .overQuota) : nil
            }
        } catch {
            connection.log.error("the state cannot be read", metadata: ["error": "\(error)"])
            return .no("Try again later", code: .unavailable)
        }
    }

    func finishAppend() {
        guard let append, let account else { return }
        current = .noop
        if let failure = append.failure {
            discardAppend()
            return finish(failure)
        }
        let replaced: UID?
        switch append.target.replaced {
        case nil: replaced = nil
        case .uid(let uid)?: replaced = uid == 0 ? selected?.view.uids.last : UID(uid)
        case .sequenceNumber(let number)?:
            let count = UInt32(selected?.view.uids.count ?? 0)
            replaced = selected?.view.uids.uid(at: number == 0 ? count : number)
            if replaced == nil {
                discardAppend()
                return finish(.bad("There is no such message"))
            }
        }
        append.bodies { [self] result in
            self.append = nil
            switch result {
            case .failure(let failure):
                finish(Self.reply(to: failure))
            case .success(let bodies):
                if let url = append.isBadURL.text {
                    return finish(.no("The message has no such part", code: .badURL(url)))
                }
                let octetsMax = connection.gateway.options.messageOctetsMax
                guard bodies.allSatisfy({ $0.count <= octetsMax }) else {
                    return finish(.no("The message is too big", code: .tooBig))
                }
                // Parts of CATENATE can be empty one by one.
                guard bodies.allSatisfy({ $0.count > 0 }) else { return finish(.no("A message cannot be empty")) }
                store(append, bodies, account, replacing: replaced)
            }
        }
    }

    private func store(
        _ append: PendingAppend, _ bodies: [any BodySource], _ account: AccountID, replacing replaced: UID?
    ) {
        guard let id = mailboxID(append.target.mailbox, creatable: true) else { return }
        var command = AppendMessages(mailbox: id, messages: append.messages, origin: .append)
        if append.target.replaced != nil {
            guard let mailbox = selected, let uid = replaced, mailbox.view.uids.contains(uid) else {
                return finish(.no("There is no such message", code: .nonExistent))
            }
            command.replaced = ReplacedMessages(mailbox: mailbox.view.mailbox, uids: UIDSet(uid))
        }
        change(.append(command), bodies: bodies) { [self] outcome in
            guard case .done(.appended(let validity, let uids), _) = outcome else {
                return finish(refusal(outcome, creatable: true))
            }
            connection.counters.deliveries.add(uids.count)
            let code = IMAPResponseCode.appendUID(validity, uids)
            guard append.target.replaced != nil else { return finish(.ok("Stored", code: code)) }
            // RFC 8508 section 4.3: APPENDUID stands in an untagged OK, before the old message goes.
            write(.untagged(.ok("Stored", code: code)))
            finishTellingModSeq("Replaced")
        }
    }

    func discardAppend() {
        append?.abandon()
        append = nil
    }
}
