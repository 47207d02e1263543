// The server side of POP3: however the client's octets are cut up, the replies are the same; messages go by QUIT alone
// and only those that DELE marked; nothing follows the close; output is bounded by input.
//
// Bytes: the listener's configuration and the maildrop; how to cut; eight that steer the answers; then what the client
// sends.
//
// With FUZZ_STATES set each input is run on with every event, at its end and before the answer to its last question, and
// the states in which that was so are written: `tools/fuzz --states` holds them to `States.all`.
import MailTypes

@testable import POP3

/// What befalls a session beside its input.
private enum Event: String, CaseIterable { case input, timedOut, shuttingDown, ended, disconnected }

private enum States {
    static func note(_ machine: POP3ServerMachine, _ event: Event) {
        StateReport.reached(name(machine), event.rawValue)
    }

    /// Every state of a session with every event; `awaitingStart` has none.
    static let all = [
        "authorization", "transaction", "awaitingLogin", "authenticating", "awaitingBody", "awaitingTransfer",
        "awaitingDeletes", "awaitingTLS", "closed",
    ]

    private static func name(_ machine: POP3ServerMachine) -> String {
        switch machine.phase {
        case .awaitingStart: "awaitingStart"
        case .command: machine.isInTransaction ? "transaction" : "authorization"
        case .awaitingLogin: "awaitingLogin"
        case .authenticating: "authenticating"
        case .awaitingBody: "awaitingBody"
        case .awaitingTransfer: "awaitingTransfer"
        case .awaitingDeletes: "awaitingDeletes"
        case .awaitingTLS: "awaitingTLS"
        case .closed: "closed"
        }
    }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPOP3(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard input.count > 10 else { return 0 }
    let client = Array(input[10...])
    let play = { (pieces: Pieces) in
        var session = Session(kind: input[0], answers: Array(input[2..<10]))
        return session.run(client, pieces)
    }
    let whole = play(Pieces(cut: nil))
    precondition(play(Pieces(cut: input[1])) == whole, "pieces matter")
    if client.count < 2_048 { precondition(play(Pieces(cut: 0)) == whole, "single octets matter") }
    if StateReport.isAsked {
        StateReport.expect(States.all, Event.self)
        var asking = Session(kind: input[0], answers: Array(input[2..<10]))
        _ = asking.run(client, Pieces(cut: nil))
        for event in Event.allCases {
            for question in [nil, asking.questions - 1] {
                var session = Session(kind: input[0], answers: Array(input[2..<10]))
                session.ending = event
                session.interruptedQuestion = question
                _ = session.run(client, Pieces(cut: nil))
            }
        }
    }
    return 0
}

/// UIDs 3, 6, 9... with sizes that include the largest, and ids from another server for some.
private func maildrop(_ count: Int) -> POP3Maildrop {
    let messages = (1...10).prefix(count).map {
        POP3Maildrop.Message(uid: UID(UInt32($0 * 3)), octets: $0 == 2 ? .max : UInt32($0) * 100)
    }
    let ids = [UID(6): "from-elsewhere", UID(9): String(repeating: "x", count: 70), UID(12): "not good"]
    return POP3Maildrop(uidValidity: UIDValidity(77), messages: Array(messages), importedUniqueIDs: ids)
}

/// A handler that carries actions out as the machine's rules say, and holds the machine to its own.
private struct Session {
    private var machine: POP3ServerMachine
    private let messageCount: Int
    var ending: Event?
    /// `ending` comes before the answer to this one, not at the end.
    var interruptedQuestion: Int?
    private let answers: [UInt8]
    private(set) var questions = 0
    private var question: POP3Action?
    private var actions: [POP3Action] = []
    private var outputOctets = 0
    private var inputOctets = 0
    /// Listings are as long as the maildrop, which no input accounts for.
    private var isInMaildrop = false
    private var isInExchange = false

    init(kind: UInt8, answers: [UInt8]) {
        machine = POP3ServerMachine(
            POP3ServerConfiguration(
                hostName: "pop.example.test", allowsPlaintextLogin: kind & 1 == 0, offersTLS: kind & 2 == 0))
        machine.mechanisms = kind & 1 == 0 ? ["SCRAM-SHA-256", "PLAIN"] : []
        messageCount = Int(kind >> 1 & 15)
        ending = [nil, .timedOut, .shuttingDown, .ended][Int(kind >> 6)]
        self.answers = answers
    }

    mutating func run(_ client: [UInt8], _ pieces: Pieces) -> [POP3Action] {
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
        return actions
    }

    private mutating func receive(_ held: inout [UInt8]) {
        while !held.isEmpty {
            let wasWaiting = machine.isWaiting
            var actions: [POP3Action] = []
            States.note(machine, .input)
            // A buffer of the exact size, so that a read beyond it is seen.
            let consumed = held.withUnsafeBytes { machine.receive($0, into: &actions) }
            precondition((0...held.count).contains(consumed), "more consumed than there was")
            if wasWaiting { precondition(consumed == 0 && actions.isEmpty, "input taken before the answer") }
            for action in actions { take(action) }
            held.removeFirst(consumed)
            guard question != nil else {
                let lineOctetsMax =
                    machine.isAuthenticating ? POP3Limits.responseLineOctetsMax : POP3Limits.passwordLineOctetsMax
                precondition(held.count < lineOctetsMax, "the machine is stuck")
                break
            }
            // One answer may be followed by the next question.
            while let asked = question {
                precondition(machine.isWaiting || machine.isClosed)
                question = nil
                answer(asked)
            }
        }
        if machine.isClosed { precondition(held.isEmpty, "input kept after the close") }
    }

    private mutating func tell(_ event: (inout POP3ServerMachine, inout [POP3Action]) -> Void) {
        var actions: [POP3Action] = []
        event(&machine, &actions)
        for action in actions { take(action) }
    }

    private mutating func take(_ action: POP3Action) {
        if case .close = actions.last { preconditionFailure("an action after the close") }
        actions.append(action)
        switch action {
        case .reply(let reply): check(reply)
        case .login(let credentials):
            precondition(!isInMaildrop && !credentials.user.isEmpty && !credentials.password.isEmpty)
            precondition(machine.allowsPlaintextLogin, "a password in the clear")
            question = action
        case .beginAuthentication(let mechanism, _):
            precondition(
                !isInMaildrop && !isInExchange && (1...POP3Limits.mechanismOctetsMax).contains(mechanism.utf8.count))
            isInExchange = true
            question = action
        case .continueAuthentication(let message):
            precondition(isInExchange && message.octets.count <= POP3Limits.responseLineOctetsMax * 3 / 4)
            question = action
        case .cancelAuthentication:
            precondition(isInExchange, "an exchange cancelled that is none")
            isInExchange = false
        case .list(let listing):
            check(listing)
            question = action
        case .openBody(let retrieval), .sendBody(let retrieval):
            precondition(isInMaildrop && maildrop(messageCount).messages.contains { $0.uid == retrieval.uid })
            question = action
        case .commitDeletes(let uids):
            let known = Set(maildrop(messageCount).messages.map(\.uid))
            precondition(isInMaildrop && !uids.isEmpty && uids.allSatisfy(known.contains), "unknown messages deleted")
            question = action
        case .startTLS:
            precondition(!isInMaildrop && !machine.isSecure && machine.configuration.offersTLS, "TLS out of turn")
            question = action
        case .close: break
        }
    }

    private mutating func answer(_ asked: POP3Action) {
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
        case .login:
            let failures: [POP3LoginResult] = [.failure, .inUse, .tooSoon, .temporary]
            let isIn = steer < 0xC0 && !machine.isClosed
            let result = isIn ? .success(maildrop(messageCount)) : failures[Int(steer) % failures.count]
            isInMaildrop = isInMaildrop || isIn
            tell { $0.loginFinished(result, into: &$1) }
        case .beginAuthentication, .continueAuthentication:
            if steer % 4 == 0, !machine.isClosed {
                return tell { $0.loginChallenged(Array(repeating: steer, count: Int(steer)), into: &$1) }
            }
            isInExchange = false
            let failures: [POP3LoginResult] = [
                .failure, .temporary, .malformed, .unknownMechanism, .encryptionRequired,
            ]
            let isIn = steer < 0x40 && !machine.isClosed
            isInMaildrop = isInMaildrop || isIn
            let result = isIn ? .success(maildrop(messageCount)) : failures[Int(steer) % failures.count]
            tell { $0.loginFinished(result, into: &$1) }
        case .list: tell { $0.transferFinished(into: &$1) }
        case .openBody:
            let result: POP3BodyResult = [.gone, .temporary, .needsUTF8, .opened, .opened][Int(steer) % 5]
            tell { $0.bodyOpened(result, into: &$1) }
        case .sendBody:
            if steer % 8 == 7 { tell { $0.transferFailed(into: &$1) } } else { tell { $0.transferFinished(into: &$1) } }
        case .commitDeletes: tell { $0.deletesFinished(succeeded: steer % 2 == 0, into: &$1) }
        case .startTLS: tell { $0.tlsStarted(into: &$1) }
        default: preconditionFailure("not a question")
        }
    }

    private mutating func befall(_ event: Event) {
        States.note(machine, event)
        switch event {
        case .input:
            let isOpen = machine.isWaiting
            var actions: [POP3Action] = []
            let consumed = [UInt8]("NOOP\r\n".utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
            if isOpen { precondition(consumed == 0 && actions.isEmpty, "input taken before the answer") }
            if machine.isClosed { precondition(consumed == 6 && actions.isEmpty, "input kept after the close") }
        case .timedOut: tell { $0.timedOut(into: &$1) }
        case .shuttingDown: tell { $0.shuttingDown(into: &$1) }
        case .ended: tell { $0.ended("Over\r\n+OK \u{e9}", into: &$1) }
        case .disconnected: tell { $0.disconnected(into: &$1) }
        }
    }

    private mutating func end() {
        precondition(machine.isClosed || !machine.isWaiting, "a question is open")
        if let ending, ending != .input, interruptedQuestion == nil { befall(ending) }
        befall(.disconnected)
        precondition(machine.isClosed && question == nil)
        befall(.input)
        if StateReport.isAsked { for event in Event.allCases { befall(event) } }
        // The longest answer to a short command is that to CAPA.
        precondition(outputOctets <= 4_096 + 64 * inputOctets, "more output than the input accounts for")
    }

    private mutating func check(_ reply: POP3Reply) {
        let bytes = reply.bytes
        outputOctets += bytes.count
        let lines = bytes.split(separator: 10, omittingEmptySubsequences: false)
        precondition(lines.last?.isEmpty == true && (bytes.first == 43 || bytes.first == 45), "not a status line")
        precondition(lines.count == (reply.lines.map { $0.count + 3 } ?? 2), "lines of a reply")
        for line in lines.dropLast() {
            precondition(line.count + 1 <= POP3Limits.replyLineOctetsMax, "a reply line is too long")
            precondition(line.last == 13 && line.dropLast().allSatisfy { (0x20...0x7E).contains($0) }, "not printable")
        }
        precondition(reply.challenge == nil || bytes.starts(with: [43, 32]), "not a challenge")
    }

    /// A listing is the same in whatever pieces it is written, each of them bounded.
    private func check(_ listing: POP3Listing) {
        var whole: [UInt8] = []
        var all = listing
        all.append(to: &whole, octetsMax: 1 << 20)
        precondition(all.isComplete && whole.suffix(3) == [46, 13, 10], "a listing without its end")
        var pieced: [UInt8] = []
        var rest = listing
        while !rest.isComplete {
            let before = pieced.count
            rest.append(to: &pieced, octetsMax: 100)
            precondition((1...100).contains(pieced.count - before), "a piece of another size")
        }
        precondition(pieced == whole, "pieces of a listing matter")
    }
}
