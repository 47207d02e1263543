// A session of IMAP: octets to `IMAPServerMachine`, and what it asks for to the engine.
//
// How a command is carried out
// - The machine hands over `.perform(command)` and takes no input until it is answered. `perform` below calls the
//   function in Commands/ that has the command's name.
// - That function writes untagged responses (`respond`), then calls `finish(outcome)`: at once, or after an answer of
//   the engine (`change`), or after reading that was done in slices on the reading threads (`read`).
// - `finish` is the sync point: what others did to the selected mailbox is told as the command's sync rule allows, then
//   the machine writes the tagged reply.
// To add a command: its case in `perform`, its file in Commands/, a conversation in Tests/GatewaysTests.
//
// Invariants
// - One thing at a time: while an answer is awaited or slices are read, the machine consumes nothing and the view does
//   not move.
// - A sequence number means the same message from one sync point to the next (MailboxView).
// - Nothing that grows with a mailbox is made on the event loop, or before the client takes what was made before.
// - The session holds nothing durable: it may die at any line.
import Authentication
import EventStore
import IMAP
import Logging
import MailCore
import MailEngine
import MailTypes
import NIOCore
import Projections

final class IMAPSession: MailSession {
    unowned let connection: Connection
    var machine: IMAPServerMachine
    /// What the machine asks for, carried out from the front.
    var actions: [IMAPAction] = []

    /// From login on.
    var account: AccountID?
    var selected: SelectedMailbox?
    /// Keywords of the account by number, as far as they were needed.
    var keywords: [Keyword] = []
    /// The command that is being performed.
    var current: IMAPCommand?
    /// Positions of changes that the current command made, whose flags its own responses tell.
    var ownPositions: Set<ModSeq> = []
    /// Reading that goes on in slices.
    var reading: Reading?
    var append: PendingAppend?
    var idle: Idle?
    /// An exchange of AUTHENTICATE.
    var exchange: SASLExchange?
    /// What the sync point after STORE tells.
    var stored: StoredFlags?
    /// Flags that the current FETCH has told, newer than the view.
    var toldFlags: [UID: ModSeq] = [:]
    /// Implicit `\Seen`s that are on their way, and the command that waits for them.
    var seenPending = 0
    var held: IMAPCommand?
    /// COMPRESS has been answered; what comes next is deflated.
    private var compresses = false
    /// Whether the log of this account knows of this session.
    var isRecorded = false
    /// What the client says it is.
    var clientName = ""
    /// The client is gone, or will be: nothing more is done for it.
    private(set) var isOver = false

    private var isActing = false
    private var scratch: [UInt8] = []

    init(_ connection: Connection, _ configuration: IMAPServerConfiguration) {
        self.connection = connection
        machine = IMAPServerMachine(configuration)
    }

    var engine: MailEngine { connection.gateway.engine }
    /// What is known of messages without reading them.
    var cache: MessageCache { connection.gateway.options.cache }

    // MARK: MailSession

    var isWaiting: Bool { machine.isWaiting }
    var hasRoomForInput: Bool { append?.hasRoom ?? true }
    var silenceMax: TimeAmount {
        let options = connection.gateway.options
        return account == nil ? options.imapLoginSilenceMax : options.imapSilenceMax
    }

    func start() { act { machine.start(isEncrypted: connection.isSecure, into: &actions) } }
    func refuse() { act { machine.refuseConnection(into: &actions) } }
    func tlsStarted() { act { machine.tlsStarted(connection.imapConfiguration, into: &actions) } }
    func timedOut() { act { machine.timedOut(into: &actions) } }
    func shutDown() { act { machine.shuttingDown(into: &actions) } }
    func end(_ reason: SessionEnd) { endSession(reason.text) }
    func outputDrained() { readOn() }

    func disconnected() {
        act { machine.disconnected(into: &actions) }
        end()
    }

    func receive(_ input: inout ByteBuffer) {
        let window =
            machine.isReceivingMessage
            ? input.readableBytes : min(input.readableBytes, GatewayLimits.commandWindowOctets)
        let consumed = input.withUnsafeReadableBytes { bytes in
            machine.receive(UnsafeRawBufferPointer(rebasing: bytes[..<window]), into: &actions)
        }
        carryOut(input)
        input.moveReaderIndex(forwardBy: consumed)
        if compresses { beginCompression(&input) }
    }

    /// Tells the machine something and carries out what it answers.
    func act(_ tell: () -> Void) {
        tell()
        carryOut(ByteBuffer())
    }

    /// - Parameter input: what the ranges of `.appendOctets` count in.
    private func carryOut(_ input: ByteBuffer) {
        guard !isActing else { return }
        isActing = true
        var index = 0
        while index < actions.count {
            carryOut(actions[index], input)
            index += 1
        }
        actions.removeAll(keepingCapacity: true)
        isActing = false
    }

    private func carryOut(_ action: IMAPAction, _ input: ByteBuffer) {
        switch action {
        case .reply(let reply): write(reply)
        case .data(let octets): connection.write(octets)
        case .perform(let command):
            current = command
            ownPositions.removeAll(keepingCapacity: true)
            if seenPending > 0, command.readsFlags { held = command } else { begin(command) }
        case .identified(let fields): identified(fields)
        case .leaveMailbox: leaveMailbox()
        case .condstoreBegan: tellHighestModSeq()
        case .login(let credentials): logIn(credentials)
        case .authenticate(let mechanism, let response): beginAuthentication(mechanism, response)
        case .authenticationResponse(let response): continueAuthentication(response)
        case .authenticationCancelled: cancelAuthentication()
        case .startTLS: connection.startTLS()
        case .startCompression: compresses = true
        case .startIdle: startIdle()
        case .stopIdle: stopIdle()
        case .beginAppend(let target): beginAppend(target)
        case .beginMessage(let options): append?.begin(options)
        case .appendURL(let url): appendURL(url)
        case .appendLiteral(let literal): appendLiteral(literal)
        case .appendOctets(let range):
            if let part = input.getSlice(at: input.readerIndex + range.lowerBound, length: range.count) {
                append?.add(part)
            }
        case .finishAppend: finishAppend()
        case .discardAppend: discardAppend()
        case .close(let reason):
            connection.log.debug("session over", metadata: ["reason": "\(reason)"])
            end()
            connection.finish()
        }
    }

    /// Some see what has come in the meantime first (engine.md section 9.4).
    func begin(_ command: IMAPCommand) {
        guard command.seesNews, selected != nil else { return perform(command) }
        sync(.withoutExpunge) { [self] in
            guard selected != nil else { return finish(.no("The mailbox is no more", code: .nonExistent)) }
            perform(command)
        }
    }

    /// RFC 4978: from the octet behind the command on.
    private func beginCompression(_ input: inout ByteBuffer) {
        compresses = false
        let leftover = input
        input.clear()
        guard connection.startDeflate(leftover) else { return endSession("No memory for compression") }
        act { machine.compressionStarted(into: &actions) }
    }

    /// The table of commands.
    func perform(_ command: IMAPCommand) {
        switch command {
        case .noop: finish(.ok("Done"))
        case .select(let request): select(request)
        case .close: close()
        case .unselect: unselect()
        case .create(let name, let uses): create(name, uses)
        case .delete(let name): delete(name)
        case .rename(let name, let newName): rename(name, to: newName)
        case .subscribe(let name): subscribe(name, true)
        case .unsubscribe(let name): subscribe(name, false)
        case .list(let request): list(request)
        case .status(let name, let attributes): status(name, attributes)
        case .getQuota(let root): getQuota(root)
        case .getQuotaRoot(let name): getQuotaRoot(name)
        case .setQuota(let root, _): setQuota(root)
        case .unauthenticate: unauthenticate()
        case .expunge(let set): expunge(set)
        case .search(let request): search(request)
        case .sort(let request): sort(request)
        case .thread(let request): thread(request)
        case .fetch(let request): fetch(request)
        case .store(let request): store(request)
        case .copy(let set, let name, let isUID): copy(set, name, isUID: isUID)
        case .move(let set, let name, let isUID): move(set, name, isUID: isUID)
        }
    }

    // MARK: For commands

    func write(_ reply: IMAPReply) {
        scratch.removeAll(keepingCapacity: true)
        reply.append(to: &scratch)
        connection.write(scratch)
        if case .tagged = reply { connection.counters.replies.add() }
    }

    /// Ends the current command after telling what others did.
    func finish(_ outcome: IMAPOutcome) {
        guard let command = current else { return }
        sync(command.syncRule) { [self] in
            current = nil
            act { machine.commandFinished(outcome, into: &actions) }
        }
    }

    /// Ends it with the store's failure; what went wrong is for the log only.
    func fail(_ error: any Error, _ what: String) {
        connection.log.error("\(what)", metadata: ["error": "\(error)"])
        connection.counters.reject(.temporary)
        finish(.no("Try again later", code: .unavailable))
    }

    /// Reads a snapshot here and now: only for what costs little however large the account.
    func snapshot<R>(_ body: (any ShardReader) throws -> R) -> R? {
        do {
            return try engine.read(body)
        } catch {
            fail(error, "the state cannot be read")
            return nil
        }
    }

    /// Submits a change of this account; `body` runs on the loop after the commit.
    func change(
        _ command: AccountCommand, bodies: [any BodySource] = [], _ body: @escaping (CommandOutcome) -> Void
    ) {
        change([command], bodies: bodies) { body($0[0]) }
    }

    /// The same for several in one transaction.
    func change(
        _ commands: [AccountCommand], bodies: [any BodySource] = [], _ body: @escaping ([CommandOutcome]) -> Void
    ) {
        guard let account else { return finish(.no("Log in first")) }
        let origin = Origin(actor: account, session: connection.id, gateway: .imap)
        recordSession()
        let positions = PositionLog()
        let answer = connection.answering { [self] (outcomes: [CommandOutcome]) in
            guard !isOver else { return }
            ownPositions.formUnion(positions.all)
            for outcome in outcomes { ownPositions.formUnion(outcome.flagPositions) }
            body(outcomes)
        }
        let items = commands.map { Request.Item(account, $0) }
        engine.submit(
            Request(items, bodies: bodies, origin: origin), progress: { positions.note($0) }, completion: answer)
    }

    /// Before the first change: so that it can be traced to a client.
    func recordSession() {
        guard !isRecorded, let account else { return }
        isRecorded = true
        let opened = SessionOpened(
            session: connection.id, gateway: .imap, tls: connection.isSecure,
            clientAddress: connection.client.text ?? "",
            client: clientName)
        let origin = Origin(actor: account, session: connection.id, gateway: .imap)
        engine.submit(Request([Request.Item(account, .openSession(opened))], origin: origin)) { _ in }
    }

    /// Nothing more can be done for the client: says why and goes.
    func endSession(_ text: String, code: IMAPResponseCode? = nil) {
        act { machine.end(code, text, into: &actions) }
    }

    /// Lets go of everything; called more than once.
    private func end() {
        guard !isOver else { return }
        isOver = true
        leaveMailbox()
        reading = nil
        discardAppend()
        cancelAuthentication()
        idle?.end()
        idle = nil
    }
}
