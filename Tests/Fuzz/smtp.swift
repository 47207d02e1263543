// The server side of SMTP and LMTP: however the client's octets are cut up, replies and content are the same; every body
// begun is delivered or discarded once; nothing follows the close; output is bounded by input; addresses and trace
// headers can be read back.
//
// Bytes: the listener's configuration; how to cut; eight that steer the answers; then what the client sends. With the
// top bit of the first set, what follows is instead a message, which must arrive as it is.
//
// With FUZZ_STATES set each input is run on with every event, at its end and before the answer to its last question, and
// the states in which that was so are written: `tools/fuzz --states` holds them to `States.all`.
import MailTypes

@testable import SMTP

/// What befalls a session beside its input.
private enum Event: String, CaseIterable { case input, timedOut, shuttingDown, ended, disconnected }

private enum States {
    static func note(_ machine: SMTPServerMachine, _ event: Event) {
        StateReport.reached(name(machine), event.rawValue)
    }

    /// Every state of a session with every event; `awaitingStart` has none.
    static let all = [
        "smtp": common + ["awaitingClient"], "lmtp": common + ["awaitingClient"],
        "submission": common + ["awaitingLogin", "authenticating"],
    ].flatMap { dialect, phases in
        phases.map { "\(dialect).\($0)" }
    }
    private static let common = [
        "connected", "greeted", "transaction", "awaitingSender", "awaitingRecipient", "awaitingBodyStart", "body",
        "awaitingChunkStart",
        "chunk", "awaitingDelivery", "awaitingTLS", "closed",
    ]

    private static func name(_ machine: SMTPServerMachine) -> String {
        let phase =
            switch machine.phase {
            case .awaitingStart: "awaitingStart"
            case .command:
                machine.clientName.isEmpty ? "connected" : machine.envelope == nil ? "greeted" : "transaction"
            case .awaitingLogin: "awaitingLogin"
            case .authenticating: "authenticating"
            case .awaitingSender: "awaitingSender"
            case .awaitingRecipient: "awaitingRecipient"
            case .awaitingBodyStart: "awaitingBodyStart"
            case .body: "body"
            case .awaitingChunkStart: "awaitingChunkStart"
            case .chunk: "chunk"
            case .awaitingDelivery: "awaitingDelivery"
            case .awaitingTLS: "awaitingTLS"
            case .awaitingClient: "awaitingClient"
            case .closed: "closed"
            }
        return "\(machine.configuration.dialect).\(phase)"
    }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSMTP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard input.count > 10 else { return 0 }
    let client = Array(input[10...])
    if input[0] & 128 != 0 {
        sendMessage(client, cut: input[1])
        return 0
    }
    var configuration = SMTPServerConfiguration(
        dialect: [.smtp, .submission, .lmtp, .lmtp][Int(input[0] & 3)], hostName: "mx.example.test")
    configuration.bareLineEnds = input[0] & 4 == 0 ? .refuse : .accept
    if input[0] & 8 != 0 { configuration.messageOctetsMax = 40 }
    configuration.offersTLS = input[1] & 1 != 0
    configuration.trustsPeer = input[1] & 2 != 0
    if input[1] & 4 != 0 {
        configuration.offersDSN = true
        configuration.offersRequireTLS = true
        configuration.holdSecondsMax = 86_400
        configuration.deliverBySecondsMin = 60
    }
    if input[0] & 16 != 0 { configuration.recipientsMax = 2 }
    configuration.checksSenders = input[1] & 8 != 0
    let ending: Event? = [nil, .timedOut, .shuttingDown, .ended][Int(input[0] >> 5 & 3)]
    let play = { (pieces: Pieces) in
        var session = Session(configuration, answers: Array(input[2..<10]), ending: ending)
        return session.run(client, pieces)
    }
    let whole = play(Pieces(cut: nil))
    precondition(play(Pieces(cut: input[1])) == whole, "pieces matter")
    if client.count < 2_048 { precondition(play(Pieces(cut: 0)) == whole, "single octets matter") }
    if StateReport.isAsked {
        StateReport.expect(States.all, Event.self)
        var asking = Session(configuration, answers: Array(input[2..<10]), ending: nil)
        _ = asking.run(client, Pieces(cut: nil))
        for event in Event.allCases {
            for question in [nil, asking.questions - 1] {
                var session = Session(configuration, answers: Array(input[2..<10]), ending: event)
                session.interruptedQuestion = question
                _ = session.run(client, Pieces(cut: nil))
            }
        }
    }
    return 0
}

private enum Entry: Equatable {
    case action(SMTPAction)
    /// All octets of a body, before its `deliver`.
    case content([UInt8])
}

/// A handler that carries actions out as the machine's rules say, and holds the machine to its own.
private struct Session {
    private enum Body { case none, begun, open, discarded }

    private var machine: SMTPServerMachine
    private let answers: [UInt8]
    private let ending: Event?
    /// `ending` comes before the answer to this one, not at the end.
    var interruptedQuestion: Int?
    private(set) var questions = 0
    private var question: SMTPAction?
    private var entries: [Entry] = []
    private var body = Body.none
    private var isInExchange = false
    private var content: [UInt8] = []
    private var outputOctets = 0
    private var inputOctets = 0

    init(_ configuration: SMTPServerConfiguration, answers: [UInt8], ending: Event?) {
        machine = SMTPServerMachine(configuration)
        self.answers = answers
        self.ending = ending
    }

    mutating func run(_ client: [UInt8], _ pieces: Pieces) -> [Entry] {
        var pieces = pieces
        tell { $0.start(into: &$1) }
        var held: [UInt8] = []
        var position = 0
        while position < client.count {
            let count = min(pieces.next(), client.count - position)
            held += client[position..<(position + count)]
            position += count
            inputOctets += count
            receive(&held)
        }
        end()
        return entries
    }

    /// Hands in what is held until nothing more is taken, answering as the questions come.
    private mutating func receive(_ held: inout [UInt8]) {
        while !held.isEmpty {
            let wasWaiting = machine.isWaiting
            var actions: [SMTPAction] = []
            States.note(machine, .input)
            // A buffer of the exact size, so that a read beyond it is seen.
            let consumed = held.withUnsafeBytes { machine.receive($0, into: &actions) }
            precondition((0...held.count).contains(consumed), "more consumed than there was")
            if wasWaiting { precondition(consumed == 0 && actions.isEmpty, "input taken before the answer") }
            for action in actions { take(action, from: held) }
            held.removeFirst(consumed)
            if let asked = question {
                precondition(machine.isWaiting || machine.isClosed)
                question = nil
                answer(asked)
            } else {
                let lineOctetsMax =
                    machine.isAuthenticating ? SMTPLimits.responseLineOctetsMax : SMTPLimits.commandLineOctetsMax
                precondition(held.count < lineOctetsMax, "the machine is stuck")
                break
            }
        }
        if machine.isClosed { precondition(held.isEmpty, "input kept after the close") }
    }

    private mutating func tell(_ event: (inout SMTPServerMachine, inout [SMTPAction]) -> Void) {
        var actions: [SMTPAction] = []
        event(&machine, &actions)
        for action in actions { take(action, from: []) }
    }

    private mutating func take(_ action: SMTPAction, from held: [UInt8]) {
        if case .action(.close) = entries.last { preconditionFailure("an action after the close") }
        switch action {
        case .reply(let reply):
            checkReply(reply)
        case .beginAuthentication(let mechanism, _):
            precondition(!isInExchange && !machine.isAuthenticated && machine.envelope == nil)
            precondition((1...SMTPLimits.mechanismOctetsMax).contains(mechanism.utf8.count))
            isInExchange = true
            question = action
        case .continueAuthentication(let message):
            precondition(isInExchange && message.octets.count <= SMTPLimits.responseLineOctetsMax * 3 / 4)
            question = action
        case .cancelAuthentication:
            precondition(isInExchange, "an exchange cancelled that is none")
            isInExchange = false
        case .checkSender(let envelope):
            precondition(machine.isAuthenticated || machine.configuration.checksSenders)
            precondition(machine.envelope == nil)
            if let sender = envelope.reversePath { checkAddress(sender) }
            question = action
        case .checkRecipient(let recipient):
            checkAddress(recipient.address)
            question = action
        case .startBody(let envelope):
            precondition((1...machine.configuration.recipientsMax).contains(envelope.recipients.count))
            precondition(body == .none, "a body within a body")
            body = .begun
            if let sender = envelope.reversePath { checkAddress(sender) }
            checkRequests(envelope)
            checkTrace(envelope)
            question = action
        case .body(let range):
            precondition(body == .open, "content outside a body")
            precondition(!range.isEmpty && range.lowerBound >= 0 && range.upperBound <= held.count, "range outside")
            content += held[range]
            return
        case .discardBody:
            precondition(body == .open || body == .begun, "a discard without a body")
            body = .discarded
            content = []
        case .deliver(let octets):
            precondition(body == .open && octets == content.count, "a body of another length")
            precondition(octets <= machine.configuration.messageOctetsMax, "a body over the limit")
            body = .none
            entries.append(.content(content))
            content = []
            question = action
        case .startTLS:
            precondition(!machine.isSecure && machine.configuration.offersTLS, "TLS twice, or unasked")
            question = action
        case .replaceClient(let client):
            precondition(machine.configuration.trustsPeer && machine.envelope == nil && !machine.isAuthenticated)
            precondition((client.name?.utf8.count ?? 0) <= SMTPLimits.clientAttributeOctetsMax)
            question = action
        case .close: break
        }
        entries.append(.action(action))
    }

    // MARK: Answers

    private mutating func answer(_ asked: SMTPAction) {
        let steer = answers[questions % answers.count]
        questions += 1
        // Pipelined input waits for the answer.
        befall(.input)
        switch steer {
        case 0xF0: befall(.shuttingDown)
        case 0xF1: befall(.disconnected)
        case 0xF2: befall(.timedOut)
        case 0xF3: befall(.ended)
        default: break
        }
        if let ending, interruptedQuestion == questions - 1 { befall(ending) }
        switch asked {
        case .beginAuthentication, .continueAuthentication:
            if steer % 4 == 0, !machine.isClosed {
                return tell { $0.loginChallenged(Array(repeating: steer, count: Int(steer)), into: &$1) }
            }
            isInExchange = false
            let verdicts: [SMTPLoginVerdict] = [
                .accepted, .accepted, .denied, .tryLater, .malformed, .unknownMechanism, .encryptionRequired,
            ]
            tell { $0.loginFinished(verdicts[Int(steer) % verdicts.count], into: &$1) }
        case .checkSender:
            let verdict: SenderVerdict =
                switch steer {
                case ..<0xC0: .accepted
                case ..<0xE0: .notYours
                case ..<0xE8: .tryLater
                case ..<0xEC: .refused(SMTPReply(421, .init(4, 7, 0), "Later"))
                default: .refused(SMTPReply(554, .init(5, 7, 1), "No"))
                }
            tell { $0.senderChecked(verdict, into: &$1) }
        case .checkRecipient:
            let refusals: [RecipientVerdict] = [
                .unknownUser, .relayDenied, .disabled, .overQuota, .tryLater("Later\r\n250 \u{e9}"),
            ]
            let verdict = steer < 0xC0 ? .accepted : refusals[Int(steer) % refusals.count]
            tell { $0.recipientChecked(verdict, into: &$1) }
        case .startBody:
            let verdict: BodyVerdict = [.queueFull, .storageFull, .tryLater, .ready, .ready, .ready][Int(steer) % 6]
            if body == .begun { body = verdict == .ready ? .open : .none }
            tell { $0.bodyStarted(verdict, into: &$1) }
        case .deliver:
            let all: [DeliveryOutcome] = [
                .stored(id: "0123456789abcdef"), .stored(id: "\r\n.\r\n"), .overQuota, .overQuotaForGood, .storageFull,
                .queueFull, .temporaryFailure, .unknownUser, .disabled, .tooManyHops,
                .refused(SMTPReply(421, .init(4, 7, 0), "Over")), .refused(SMTPReply(554, .init(5, 7, 1), "No")),
            ]
            let count = machine.envelope?.recipients.count ?? 0
            let outcomes = (0..<count).map { all[(Int(steer) + $0 * Int(steer & 1)) % all.count] }
            tell { $0.deliveryFinished(outcomes, into: &$1) }
        case .startTLS:
            tell { $0.tlsStarted(into: &$1) }
            precondition(machine.isClosed || (machine.isSecure && machine.clientName.isEmpty), "remembered over TLS")
        case .replaceClient: tell { $0.clientReplaced(steer < 0xE0 ? .accepted : .tooMany, into: &$1) }
        default: preconditionFailure("not a question")
        }
    }

    private mutating func befall(_ event: Event) {
        States.note(machine, event)
        switch event {
        case .input:
            let isOpen = machine.isWaiting
            var actions: [SMTPAction] = []
            let consumed = [UInt8]("NOOP\r\n".utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
            if isOpen { precondition(consumed == 0 && actions.isEmpty, "input taken before the answer") }
            if machine.isClosed { precondition(consumed == 6 && actions.isEmpty, "input kept after the close") }
        case .timedOut: tell { $0.timedOut(into: &$1) }
        case .shuttingDown: tell { $0.shuttingDown(into: &$1) }
        case .ended: tell { $0.ended("Over\r\n250 \u{e9}", into: &$1) }
        case .disconnected: tell { $0.disconnected(into: &$1) }
        }
    }

    private mutating func end() {
        precondition(machine.isClosed || !machine.isWaiting, "a question is open")
        if let ending, ending != .input, interruptedQuestion == nil { befall(ending) }
        befall(.disconnected)
        precondition(machine.isClosed)
        befall(.input)
        if StateReport.isAsked { for event in Event.allCases { befall(event) } }
        precondition(body == .none || body == .discarded, "a body is left open")
        // The longest answer to a short command is that to HELP; LMTP answers a body once for each RCPT.
        precondition(outputOctets <= 4_096 + 64 * inputOctets, "more output than the input accounts for")
    }

    // MARK: What is written

    private mutating func checkReply(_ reply: SMTPReply) {
        let bytes = reply.bytes
        outputOctets += bytes.count
        if body == .discarded { body = .none }
        let lines = bytes.split(separator: 10, omittingEmptySubsequences: false)
        precondition(lines.last?.isEmpty == true && lines.count == reply.lines.count + 1, "lines of a reply")
        for line in lines.dropLast() {
            precondition(line.count + 1 <= SMTPLimits.replyLineOctetsMax, "a reply line is too long")
            precondition(line.last == 13 && line.dropLast().allSatisfy { (0x20...0x7E).contains($0) }, "not printable")
        }
    }

    /// What a sender asks for can be read again as it is passed on.
    private func checkRequests(_ envelope: SMTPEnvelope) {
        if let by = envelope.deliverBy { precondition(SMTPDeliverBy(parameter: by.parameter) == by) }
        if let id = envelope.envelopeID {
            precondition(SMTPXtext(encoded: SMTPXtext(encoding: id.text).encoded) != nil)
        }
        if case .until(let time)? = envelope.hold {
            precondition(InternetTime.seconds(InternetTime.text(time)) == time, "another time")
        }
        for recipient in envelope.recipients {
            if let notify = recipient.notify { precondition(SMTPNotify(parameter: notify.parameter) == notify) }
            if let original = recipient.originalRecipient {
                precondition(SMTPOriginalRecipient(parameter: original.parameter) == original)
            }
        }
    }

    private func checkTrace(_ envelope: SMTPEnvelope) {
        let trace = SMTPTrace(
            returnPath: envelope.reversePath, clientName: machine.clientName, clientAddress: "2001:db8::1",
            hostName: machine.configuration.hostName, transmissionType: machine.transmissionType(),
            id: "0123456789abcdef",
            date: "Tue, 1 Jul 2003 10:52:37 +0200")
        let lines = traceHeaders(trace).split(separator: 10, omittingEmptySubsequences: false)
        precondition(lines.last?.isEmpty == true)
        var fields = 0
        for line in lines.dropLast() {
            precondition(line.last == 13 && line.count > 2 && line.dropLast().allSatisfy { $0 != 13 && $0 != 0 })
            if line.first != 9 { fields += 1 }
        }
        precondition(fields == 2, "other fields than the two of a trace")
    }
}

/// An address as we write it is read as the same address.
private func checkAddress(_ address: Address) {
    var machine = SMTPServerMachine(SMTPServerConfiguration(dialect: .smtp, hostName: "mx.example.test"))
    var actions: [SMTPAction] = []
    machine.start(into: &actions)
    let text = Array("EHLO a\r\nMAIL FROM:<\(address)> SMTPUTF8\r\n".utf8)
    let consumed = text.withUnsafeBytes { machine.receive($0, into: &actions) }
    guard let again = machine.envelope?.reversePath, consumed == text.count else {
        preconditionFailure("an address cannot be read as it is written")
    }
    precondition(Array(again.localPart.utf8) == Array(address.localPart.utf8), "another local part")
    precondition(Array(again.domain.utf8) == Array(address.domain.utf8), "another domain")
}

/// A message with its dots stuffed as RFC 5321 section 4.5.2 says comes out as it went in, and nothing of it is taken for
/// a command.
private func sendMessage(_ octets: [UInt8], cut: UInt8) {
    var message = octets
    if !message.isEmpty, message.suffix(2) != [13, 10] { message += [13, 10] }
    var stuffed: [UInt8] = []
    for (index, octet) in message.enumerated() {
        let isLineStart = index == 0 || index >= 2 && message[index - 1] == 10 && message[index - 2] == 13
        if octet == 46, isLineStart { stuffed.append(46) }
        stuffed.append(octet)
    }
    var configuration = SMTPServerConfiguration(dialect: .lmtp, hostName: "mx.example.test")
    configuration.bareLineEnds = .accept
    var session = Session(configuration, answers: [3], ending: nil)
    let before = Array("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n".utf8)
    let entries = session.run(before + stuffed + Array(".\r\nQUIT\r\n".utf8), Pieces(cut: cut == 255 ? nil : cut))
    precondition(entries.last == .action(.close(.quit)), "the session did not end with QUIT")
    let bodies = entries.filter { if case .content = $0 { true } else { false } }
    let isRefused = entries.contains { if case .action(.discardBody) = $0 { true } else { false } }
    if message.contains(0) {
        precondition(isRefused && bodies.isEmpty, "a NUL was taken")
    } else if !isRefused {
        precondition(bodies == [.content(message)], "another message came out")
    } else {
        // Only a mail loop is left as a reason.
        precondition(message.count > 9 * SMTPLimits.hopsMax && bodies.isEmpty, "a message refused without reason")
    }
}
