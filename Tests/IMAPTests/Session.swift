// A handler for tests: it feeds the machine in pieces, answers its questions at once or when told, and keeps a transcript
// that does not depend on how the input was cut.
import IMAP
import MailTypes

/// Lengths of the pieces in which input arrives, over and over.
enum Pieces: Sendable {
    case whole
    case octets(Int)
    /// One cut, at this octet.
    case splitAt(Int)
}

struct Session {
    enum Entry: Equatable {
        /// What went to the client.
        case sent(String)
        /// Everything else; message octets that came in a row as one.
        case action(IMAPAction)
        case text([UInt8])
    }

    var machine: IMAPServerMachine
    var entries: [Entry] = []
    /// The answer to a question; nil leaves it open.
    var answer: (IMAPAction, inout IMAPServerMachine, inout [IMAPAction]) -> Void = Session.sayYes
    private var pending: [UInt8] = []

    static let configuration: IMAPServerConfiguration = {
        var configuration = IMAPServerConfiguration(
            hostName: "imap.example.test", allowsPlaintextLogin: true, appendOctetsMax: 100_000)
        configuration.mechanisms = ["SCRAM-SHA-256", "PLAIN"]
        configuration.canStartTLS = true
        return configuration
    }()

    init(_ configuration: IMAPServerConfiguration = Session.configuration) {
        machine = IMAPServerMachine(configuration)
        tell { $0.start(into: &$1) }
        entries = []
    }

    /// Logged in, with a mailbox selected where `selected`.
    static func loggedIn(
        selected: Bool = false, _ configuration: IMAPServerConfiguration = Session.configuration
    ) -> Session {
        var session = Session(configuration)
        session.send("a LOGIN u p\r\n" + (selected ? "b SELECT INBOX\r\n" : ""))
        session.entries = []
        return session
    }

    static func sayYes(_ action: IMAPAction, _ machine: inout IMAPServerMachine, _ actions: inout [IMAPAction]) {
        switch action {
        case .login, .authenticationResponse: machine.loginFinished(.success(hidden: []), into: &actions)
        case .authenticate(_, let response):
            if response == nil {
                machine.challenge([], into: &actions)
            } else {
                machine.loginFinished(.success(hidden: []), into: &actions)
            }
        case .perform(.select(let request)): machine.mailboxSelected(isReadOnly: request.isReadOnly, into: &actions)
        case .perform, .stopIdle, .finishAppend: machine.commandFinished(.ok("Done"), into: &actions)
        case .appendLiteral: machine.literalAccepted(into: &actions)
        case .startTLS: machine.tlsStarted(machine.configuration, into: &actions)
        case .startCompression: machine.compressionStarted(into: &actions)
        default: break
        }
    }

    mutating func send(_ text: String, _ pieces: Pieces = .whole) { send(Array(text.utf8), pieces) }

    mutating func send(_ octets: [UInt8], _ pieces: Pieces = .whole) {
        var rest = octets[...]
        var isFirst = true
        while !rest.isEmpty {
            let count: Int
            switch pieces {
            case .whole: count = rest.count
            case .octets(let size): count = min(size, rest.count)
            case .splitAt(let place): count = isFirst ? min(max(place, 1), rest.count) : rest.count
            }
            isFirst = false
            pending += rest.prefix(count)
            rest = rest.dropFirst(count)
            drain()
        }
    }

    mutating func tell(_ body: (inout IMAPServerMachine, inout [IMAPAction]) -> Void) {
        var actions: [IMAPAction] = []
        body(&machine, &actions)
        carryOut(&actions, [])
        drain()
    }

    private mutating func drain() {
        while !pending.isEmpty, !machine.isWaiting {
            var actions: [IMAPAction] = []
            let consumed = pending.withUnsafeBytes { machine.receive($0, into: &actions) }
            let input = pending
            pending.removeFirst(consumed)
            carryOut(&actions, input)
            precondition(consumed > 0 || machine.isWaiting, "the machine stands still")
        }
    }

    private mutating func carryOut(_ actions: inout [IMAPAction], _ input: [UInt8]) {
        var index = 0
        while index < actions.count {
            let action = actions[index]
            switch action {
            case .reply(let reply): append(sent: reply.bytes)
            case .data(let octets): append(sent: octets)
            case .appendOctets(let range):
                if case .text(let octets)? = entries.last {
                    entries[entries.count - 1] = .text(octets + input[range])
                } else {
                    entries.append(.text(Array(input[range])))
                }
            default: entries.append(.action(action))
            }
            answer(action, &machine, &actions)
            index += 1
        }
    }

    private mutating func append(sent octets: [UInt8]) {
        precondition(octets.suffix(2).elementsEqual([13, 10]), "a response without its end")
        entries.append(.sent(String(decoding: octets.dropLast(2), as: UTF8.self)))
    }

    /// What went to the client, a line each.
    var sent: [String] { entries.compactMap { if case .sent(let text) = $0 { text } else { nil } } }
    var actions: [IMAPAction] { entries.compactMap { if case .action(let action) = $0 { action } else { nil } } }
    var performed: [IMAPCommand] {
        actions.compactMap { if case .perform(let command) = $0 { command } else { nil } }
    }
}

/// What must be the same for every cut of `text`: all at once, octet by octet, split at every octet.
func everyCut(_ text: [UInt8], from start: Session) -> [[Session.Entry]] {
    var results: [[Session.Entry]] = []
    for pieces in [Pieces.whole, .octets(1), .octets(3)] + (1..<max(2, min(text.count, 2_000))).map(Pieces.splitAt) {
        var session = start
        session.send(text, pieces)
        results.append(session.entries)
    }
    return results
}
