// The server side of IMAP in every state: however the client's octets are cut up, the replies, commands and message texts
// are the same; an APPEND that is begun ends once; nothing follows the close; what is held and written is bounded by what
// was sent.
//
// Bytes: the state to begin in and the configuration; how to cut; eight that steer the answers; then what the client
// sends.
import MailTypes

@testable import IMAP

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzIMAP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
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
    return 0
}

private enum Entry: Equatable {
    case action(IMAPAction)
    case text([UInt8])
}

/// A handler that carries actions out as the machine's rules say, and holds the machine to its own.
private struct Session {
    private enum Append { case none, begun, text(left: UInt64) }

    private var machine: IMAPServerMachine
    private let answers: [UInt8]
    private var questions = 0
    private var question: IMAPAction?
    private var actions: [IMAPAction] = []
    private var entries: [Entry] = []
    private var append = Append.none
    private var inputOctets = 0
    private var outputOctets = 0
    private var isRecording = false

    init(kind: UInt8, answers: [UInt8]) {
        var configuration = IMAPServerConfiguration(
            hostName: "imap.example.test", allowsPlaintextLogin: kind & 8 == 0, appendOctetsMax: 4_096)
        configuration.mechanisms = ["PLAIN", "SCRAM-SHA-256"]
        configuration.canStartTLS = true
        configuration.usesLiteralMinus = kind & 16 != 0
        machine = IMAPServerMachine(configuration)
        self.answers = answers
        machine.start(into: &actions)
        actions = []
        prepare(kind & 7, enabling: kind >> 5)
        isRecording = true
    }

    /// Takes the machine to one of its states, all answers being yes.
    private mutating func prepare(_ state: UInt8, enabling: UInt8) {
        if state == 1 { return say("s AUTHENTICATE PLAIN\r\n") { $0.challenge([1], into: &$1) } }
        guard state > 1 else { return }
        say("s AUTHENTICATE PLAIN AA==\r\n") { $0.loginFinished(.success(hidden: []), into: &$1) }
        let names = ["CONDSTORE", "QRESYNC", "IMAP4rev2", "UTF8=ACCEPT"]
        let enabled = names.indices.filter { enabling & 1 << $0 != 0 }.map { names[$0] }
        if !enabled.isEmpty { say("s ENABLE \(enabled.joined(separator: " "))\r\n") { _, _ in } }
        guard state > 2 else { return }
        say("s SELECT INBOX\r\n") { $0.mailboxSelected(isReadOnly: state == 3, into: &$1) }
        switch state {
        case 5: say("s IDLE\r\n") { _, _ in }
        case 6:
            say("s APPEND INBOX {9}\r\n") { $0.literalAccepted(into: &$1) }
            append = .text(left: 9)
        case 7: say("s SEARCH SUBJECT {3}\r\n") { _, _ in }
        default: break
        }
    }

    private mutating func say(_ text: String, _ answer: (inout IMAPServerMachine, inout [IMAPAction]) -> Void) {
        let octets = Array(text.utf8)
        let consumed = octets.withUnsafeBytes { machine.receive($0, into: &actions) }
        precondition(consumed == octets.count, "a prepared line is not taken whole")
        answer(&machine, &actions)
        actions = []
    }

    mutating func run(_ client: [UInt8], _ pieces: Pieces) -> [Entry] {
        var pieces = pieces
        var held: [UInt8] = []
        var position = 0
        while position < client.count {
            let count = min(pieces.next(), client.count - position)
            held += client[position..<(position + count)]
            position += count
            inputOctets = position
            while true {
                let before = machine.phase
                let consumed = held.withUnsafeBytes { machine.receive($0, into: &actions) }
                precondition(consumed >= 0 && consumed <= held.count, "more consumed than there was")
                carryOut(held)
                held.removeFirst(consumed)
                precondition(
                    machine.held.count <= IMAPLimits.commandOctetsMax && machine.droppedTail.count <= 64,
                    "too much is held")
                if question == nil {
                    precondition(held.isEmpty || machine.isWaiting == false, "waiting for nothing")
                    if held.isEmpty { break }
                    precondition(consumed > 0 || machine.phase != before, "the machine stands still")
                    continue
                }
                // What comes behind in the clear is dropped, however much of it has come.
                if question == .startTLS { return end() }
                answer()
            }
        }
        return end()
    }

    private mutating func end() -> [Entry] {
        tell { $0.timedOut(into: &$1) }
        tell { $0.shuttingDown(into: &$1) }
        tell { $0.disconnected(into: &$1) }
        precondition(machine.isClosed)
        if case .none = append {} else { preconditionFailure("an APPEND is left open") }
        // CAPABILITY and what repeats it are the longest answers.
        precondition(outputOctets <= 4_096 + 256 * inputOctets, "more output than the input accounts for")
        return entries
    }

    private mutating func tell(_ body: (inout IMAPServerMachine, inout [IMAPAction]) -> Void) {
        body(&machine, &actions)
        carryOut([])
    }

    // MARK: Actions

    private mutating func carryOut(_ input: [UInt8]) {
        var index = 0
        while index < actions.count {
            precondition(entries.last.map { !isClose($0) } ?? true, "something follows the close")
            carryOut(actions[index], input)
            index += 1
        }
        actions.removeAll(keepingCapacity: true)
    }

    private func isClose(_ entry: Entry) -> Bool {
        if case .action(.close) = entry { true } else { false }
    }

    private mutating func carryOut(_ action: IMAPAction, _ input: [UInt8]) {
        switch action {
        case .appendOctets(let range):
            guard case .text(let left) = append, UInt64(range.count) <= left, !range.isEmpty,
                range.upperBound <= input.count
            else { preconditionFailure("text that was not announced") }
            append = .text(left: left - UInt64(range.count))
            if case .text(let octets)? = entries.last {
                entries[entries.count - 1] = .text(octets + input[range])
            } else {
                entries.append(.text(Array(input[range])))
            }
            return
        case .beginAppend:
            guard case .none = append else { preconditionFailure("an APPEND within another") }
            append = .begun
        case .beginMessage, .appendURL, .appendLiteral:
            if case .none = append { preconditionFailure("a message outside an APPEND") }
            if case .text(let left) = append, left > 0 { preconditionFailure("a text is cut short") }
        case .finishAppend, .discardAppend:
            if case .none = append { preconditionFailure("no APPEND was begun") }
            append = .none
        case .reply(let reply): check(reply.bytes)
        case .data(let octets): check(octets)
        default: break
        }
        entries.append(.action(action))
        switch action {
        case .perform, .login, .authenticate, .authenticationResponse, .startTLS, .startCompression, .stopIdle,
            .appendLiteral, .finishAppend:
            precondition(question == nil, "a question while another is open")
            question = action
        default: break
        }
    }

    private mutating func answer() {
        guard let asked = question else { return }
        question = nil
        guard !machine.isClosed else { return }
        precondition(machine.isWaiting, "a question that is not waited for")
        let steer = answers[questions % answers.count]
        questions += 1
        let outcomes: [IMAPOutcome] = [.ok("Done"), .no("No", code: .cannot), .ok("\r\n[x]"), .no("")]
        let outcome = outcomes[Int(steer & 3)]
        // Deleted from outside meanwhile.
        if steer & 32 != 0 {
            switch asked {
            case .perform, .stopIdle, .finishAppend: tell { $0.mailboxClosed("Gone", into: &$1) }
            default: break
            }
        }
        switch asked {
        case .perform(.select(let request)) where steer & 1 == 0:
            tell { $0.mailboxSelected(isReadOnly: request.isReadOnly, into: &$1) }
        case .perform, .stopIdle, .finishAppend: tell { $0.commandFinished(outcome, into: &$1) }
        case .login, .authenticate, .authenticationResponse:
            let results: [IMAPLoginResult] = [
                .success(hidden: []), .failure, .success(hidden: [.idle, .imap4rev2]), .malformed, .temporary,
            ]
            if case .login = asked {
                tell { $0.loginFinished(results[Int(steer) % results.count], into: &$1) }
            } else if steer & 8 != 0 {
                tell { $0.challenge(steer & 16 == 0 ? [] : [1, 2, 3], into: &$1) }
            } else {
                tell { $0.loginFinished(results[Int(steer) % results.count], into: &$1) }
            }
        case .startCompression: tell { $0.compressionStarted(into: &$1) }
        case .appendLiteral(let literal):
            if steer & 4 == 0 {
                append = .text(left: literal.octets)
                tell { $0.literalAccepted(into: &$1) }
            } else {
                tell { $0.literalRefused(.no("No", code: .tryCreate), into: &$1) }
            }
        default: preconditionFailure("not a question")
        }
    }

    /// Lines, each whole and printable.
    private mutating func check(_ octets: [UInt8]) {
        outputOctets += octets.count
        precondition(octets.suffix(2) == [13, 10], "a line without its end")
        precondition(octets.dropLast(2).allSatisfy { (0x20...0x7E).contains($0) }, "not printable")
    }
}
