// A session of SMTP or LMTP: octets to `SMTPServerMachine`, and what it asks for to the engine.
//
// What a command needs of the engine is in Commands/ under the command's name.
import Authentication
import Logging
import MailEngine
import MailTypes
import NIOCore
import SMTP

final class SMTPSession: MailSession {
    unowned let connection: Connection
    var machine: SMTPServerMachine
    /// What the machine asks for, carried out from the front.
    var actions: [SMTPAction] = []
    /// Of the recipients that the open transaction has accepted, in their order.
    var targets: [RecipientTarget] = []
    var body: BodyReceiver?
    /// Before `body`, in a session of somebody who has logged in.
    var submission: SubmittedMessage?
    /// Of the recipients elsewhere among `targets`.
    var allowance: SendingAllowance?
    /// Of the message that is being received, where it may be one that came before.
    var repeated: RepeatedMessage?
    /// What is put before the body of the transaction, or is there already.
    var preface: MessagePreface?
    /// Messages this session has begun; part of their names.
    var messageCount = 0
    let directory: RecipientDirectory
    /// Who has connected, whomever it speaks for now.
    let peer: ClientAddress
    /// A login by AUTH that is under way.
    var exchange: SASLExchange?
    /// From login on.
    var account: AccountID?
    /// Of the login, or of the last try.
    var mechanism = ""
    /// Those that there were when the session began: it keeps them when the site takes others.
    let filters: [MilterOptions]
    /// From the first transaction on that a filter sees.
    var milters: MilterChain?
    /// What filters may ask about.
    var milterFacts = MilterFacts()

    private var isActing = false
    private var scratch: [UInt8] = []

    init(_ connection: Connection, _ configuration: SMTPServerConfiguration) {
        self.connection = connection
        peer = connection.client
        filters = connection.gateway.milters.filter { $0.dialects.contains(configuration.dialect) }
        var configuration = configuration
        configuration.checksSenders = !filters.isEmpty
        machine = SMTPServerMachine(configuration)
        directory = connection.gateway.directory
    }

    var isWaiting: Bool { machine.isWaiting }
    var hasRoomForInput: Bool { body?.hasRoom ?? true }
    var silenceMax: TimeAmount {
        let options = connection.gateway.options
        return machine.isReceivingBody ? options.smtpBodySilenceMax : options.smtpCommandSilenceMax
    }

    func start() {
        refreshMechanisms()
        act { machine.start(into: &actions) }
    }
    func refuse() { act { machine.refuseConnection(into: &actions) } }
    func tlsStarted() {
        milters?.forgetGreeting()
        refreshMechanisms()
        act { machine.tlsStarted(into: &actions) }
    }

    func timedOut() { act { machine.timedOut(into: &actions) } }
    func shutDown() { act { machine.shuttingDown(into: &actions) } }
    func end(_ reason: SessionEnd) { act { machine.ended(reason.text, into: &actions) } }
    func disconnected() { act { machine.disconnected(into: &actions) } }
    func outputDrained() {}

    func receive(_ input: inout ByteBuffer) {
        machine.now = Int(connection.gateway.engine.clock().seconds)
        let window =
            machine.isReceivingBody || machine.isAuthenticating
            ? input.readableBytes : min(input.readableBytes, GatewayLimits.commandWindowOctets)
        let consumed = input.withUnsafeReadableBytes { bytes in
            machine.receive(UnsafeRawBufferPointer(rebasing: bytes[..<window]), into: &actions)
        }
        carryOut(input)
        input.moveReaderIndex(forwardBy: consumed)
    }

    /// Tells the machine something and carries out what it answers.
    func act(_ tell: () -> Void) {
        tell()
        carryOut(ByteBuffer())
    }

    /// - Parameter input: what the ranges of `.body` count in.
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

    private func carryOut(_ action: SMTPAction, _ input: ByteBuffer) {
        switch action {
        case .reply(let reply):
            scratch.removeAll(keepingCapacity: true)
            reply.append(to: &scratch)
            connection.write(scratch)
            connection.counters.replies.add()
        case .beginAuthentication(let mechanism, let response):
            self.mechanism = mechanism
            beginAuthentication(mechanism, response?.octets)
        case .continueAuthentication(let response): continueAuthentication(response.octets)
        case .cancelAuthentication: cancelAuthentication()
        case .checkSender(let sender): check(sender: sender)
        case .checkRecipient(let recipient): check(recipient)
        case .startBody(let envelope): startBody(envelope)
        case .body(let range):
            if let part = input.getSlice(at: input.readerIndex + range.lowerBound, length: range.count) {
                part.withUnsafeReadableBytes { (bytes: UnsafeRawBufferPointer) -> Void in repeated?.read(bytes) }
                if let body { submission.map { $0.append(part, to: body) } ?? body.append(part) }
            }
        case .discardBody:
            body?.abandon()
            body = nil
            submission = nil
            preface?.check?.abandon()
            preface = nil
            connection.counters.reject(.message)
        case .deliver: deliver()
        case .startTLS: connection.startTLS()
        case .replaceClient(let client): replaceClient(client)
        case .close(let reason):
            connection.log.debug("session over", metadata: ["reason": "\(reason)"])
            cancelAuthentication()
            milters?.end()
            connection.finish()
        }
    }
}
