// The sending side of SMTP: whatever another server says, however it is cut up, what we do is the same; every message is
// answered once with an outcome per recipient; nothing is said after the close; no password goes out in the clear.
//
// Bytes: the configuration and the event at the end; how to cut; then what the server sends, in which 0x01 stands for the event that we owe
// (TLS begun, a message sent, a body written), 0x02 for the end of the connection and 0x03 for our wish to go.
//
// With FUZZ_STATES set each input is run on with every event at its end, and the states in which that was so are written:
// `tools/fuzz --states` holds them to `States.all`.

@testable import SMTP

/// What befalls a connection beside the event that we owe.
private enum Event: String, CaseIterable { case input, quit, timedOut, disconnected }

private enum States {
    static func note(_ machine: SMTPClientMachine, _ event: Event) {
        StateReport.reached(name(machine), event.rawValue)
    }

    /// Every state of a connection, by what is awaited, with every event.
    static let all = [
        "greeting", "ehlo", "helo", "startTLS", "startingTLS", "plain", "loginName", "loginPassword", "loginDone",
        "scramFirst", "proving", "scramProof", "scramDone", "ready", "mail", "recipient", "data", "writing", "end",
        "reset", "quit", "closed",
    ]

    private static func name(_ machine: SMTPClientMachine) -> String {
        switch machine.phase {
        case .startingTLS: return "startingTLS"
        case .ready: return "ready"
        case .closed: return "closed"
        case .busy: break
        }
        switch machine.awaited.first {
        case .greeting: return "greeting"
        case .ehlo: return "ehlo"
        case .helo: return "helo"
        case .startTLS: return "startTLS"
        case .auth(let step): return "\(step)"
        case .mail: return "mail"
        case .recipient: return "recipient"
        case .data: return "data"
        case .end: return "end"
        case .reset: return "reset"
        case .quit: return "quit"
        case nil: return machine.isSending ? "writing" : "proving"
        }
    }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSMTPClient(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard input.count > 2 else { return 0 }
    var configuration = SMTPClientConfiguration(helloName: "mx.example.test")
    configuration.tls = [.never, .opportunistic, .required][Int(input[0] & 3) % 3]
    configuration.isImplicitTLS = input[0] & 4 != 0
    if input[0] & 8 != 0 { configuration.credentials = SMTPClientCredentials(user: "user", password: "secret") }
    if input[0] & 32 != 0 { configuration.scramNonce = "nonce" }
    let server = Array(input[2...])
    var run = Run(configuration, isUTF8: input[0] & 16 != 0)
    run.ending = [nil, .quit, .disconnected, .input][Int(input[0] >> 6)]
    let whole = run.play(server, pieceMax: .max)
    precondition(run.play(server, pieceMax: 1) == whole, "octets matter")
    let cut = Int(input[1]) + 1
    precondition(run.play(server, pieceMax: cut) == whole, "pieces matter")
    if StateReport.isAsked {
        StateReport.expect(States.all, Event.self)
        for event in Event.allCases {
            run.ending = event
            _ = run.play(server, pieceMax: .max)
        }
    }
    return 0
}

private struct Run {
    private var machine: SMTPClientMachine
    private let isUTF8: Bool
    private var actions: [SMTPClientAction] = []
    private var entries: [SMTPClientAction] = []
    private var owed: SMTPClientAction?
    /// Comes when the server has said everything.
    var ending: Event?
    private var isUnanswered = false

    init(_ configuration: SMTPClientConfiguration, isUTF8: Bool) {
        machine = SMTPClientMachine(configuration)
        self.isUTF8 = isUTF8
    }

    func play(_ server: [UInt8], pieceMax: Int) -> [SMTPClientAction] {
        var run = self
        for part in server.split(omittingEmptySubsequences: false, whereSeparator: { (1...3).contains($0) }) {
            var start = part.startIndex
            while start < part.endIndex {
                let end = pieceMax < part.endIndex - start ? start + pieceMax : part.endIndex
                // A buffer of the exact size, so that a read beyond it is seen.
                States.note(run.machine, .input)
                Array(part[start..<end]).withUnsafeBytes { run.machine.receive($0, into: &run.actions) }
                run.take()
                start = end
            }
            guard part.endIndex < server.endIndex else { break }
            switch server[part.endIndex] {
            case 1: run.pay()
            case 2: run.befall(.disconnected)
            default: run.befall(.quit)
            }
            run.take()
        }
        if let ending = run.ending { run.befall(ending) }
        run.befall(.timedOut)
        if StateReport.isAsked { for event in Event.allCases { run.befall(event) } }
        precondition(run.machine.isClosed && !run.isUnanswered, "a message without an answer")
        return run.entries
    }

    private mutating func befall(_ event: Event) {
        States.note(machine, event)
        switch event {
        case .input: Array("250 x\r\n".utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
        case .quit:
            machine.quit(into: &actions)
            if owed == .ready { owed = nil }
        case .timedOut: machine.timedOut(into: &actions)
        case .disconnected: machine.disconnected(into: &actions)
        }
        take()
    }

    private mutating func pay() {
        guard !machine.isClosed, let owed else { return }
        self.owed = nil
        switch owed {
        case .startTLS: machine.tlsStarted(into: &actions)
        case .prove: machine.proved(SMTPScramProof(client: [1], server: [2]), into: &actions)
        case .sendBody, .sendChunk: machine.bodySent(into: &actions)
        case .ready:
            isUnanswered = true
            var message = SMTPClientMessage(
                sender: "", recipients: ["a@b", "c@d"], octets: 1_000, is8Bit: true, needsUTF8: isUTF8)
            message.isBinary = machine.features.hasBinaryMIME
            message.mustRequireTLS = machine.features.hasRequireTLS
            message.notify = ["NEVER", ""]
            message.deliverBy = SMTPDeliverBy(seconds: 60, mode: isUTF8 ? .return : .notify)
            machine.send(message, into: &actions)
        default: break
        }
    }

    private mutating func take() {
        for action in actions {
            if case .close = entries.last { preconditionFailure("an action after the close") }
            switch action {
            case .send(let octets):
                let text = String(decoding: octets, as: UTF8.self)
                precondition(text.hasSuffix("\r\n") && !text.contains("\0"))
                if text.hasPrefix("AUTH") { precondition(machine.isEncrypted, "a password in the clear") }
            case .prove(let challenge):
                precondition(machine.isEncrypted && (4_096...1_000_000).contains(challenge.iterations))
                owed = action
            case .startTLS, .sendBody, .sendChunk, .ready: owed = action
            case .finished(let outcomes):
                precondition(isUnanswered && outcomes.count == 2, "an answer to no message")
                isUnanswered = false
            case .close: owed = nil
            }
            entries.append(action)
        }
        actions = []
    }
}
