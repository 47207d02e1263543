// Conversations with a next host, from our side: `S:` is the server, `C:` what we must say then, `+` an event of the
// connection, `=` what the machine must answer about the message. Each is fed whole, then octet by octet.
import SMTP
import Testing

struct ClientConversation: Sendable, CustomTestStringConvertible {
    let name: String
    var configuration = SMTPClientConfiguration(helloName: "mx.example.test")
    var message = SMTPClientMessage(sender: "a@example.test", recipients: ["x@there.test", "y@there.test"], octets: 10)
    let script: String

    init(_ name: String, _ script: String) { self.init(name, { _ in }, script) }

    init(_ name: String, _ change: (inout ClientConversation) -> Void, _ script: String) {
        self.name = name
        self.script = script
        change(&self)
    }

    var testDescription: String { name }
}

let openingHello = """
    S: 220 there.test ready
    C: EHLO mx.example.test

    """
let openingPlain =
    openingHello + """
        S: 250 there.test
        = ready

        """
let openingPipelined =
    openingHello + """
        S: 250-there.test
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250 8BITMIME
        = ready

        """
let messageAsked = """
    C: MAIL FROM:<a@example.test> SIZE=10
    C: RCPT TO:<x@there.test>
    C: RCPT TO:<y@there.test>
    C: DATA

    """

let clientConversations = openingConversations + transactionConversations + capabilityConversations

@Suite struct ClientConversationTests {
    @Test(arguments: clientConversations)
    func goesAsWritten(_ conversation: ClientConversation) {
        for pieces in [Int.max, 1] { play(conversation, pieces) }
    }

    private func play(_ conversation: ClientConversation, _ pieceMax: Int) {
        var machine = SMTPClientMachine(conversation.configuration)
        var actions: [SMTPClientAction] = []
        var said: [String] = []
        for line in conversation.script.split(separator: "\n") {
            let rest = String(line.dropFirst(line.hasPrefix("S:") || line.hasPrefix("C:") ? 3 : 2))
            switch line.prefix(1) {
            case "S":
                let octets = Array((rest + "\r\n").utf8)
                var start = 0
                while start < octets.count {
                    let end = pieceMax < octets.count ? start + pieceMax : octets.count
                    Array(octets[start..<end]).withUnsafeBytes { machine.receive($0, into: &actions) }
                    start = end
                }
            case "+": event(rest, conversation, &machine, &actions)
            default:
                said += actions.flatMap(describe)
                actions = []
                let next = said.isEmpty ? "nothing" : said.removeFirst()
                #expect(next == String(line), "\(conversation.name), pieces of \(pieceMax)")
            }
        }
        #expect((said + actions.flatMap(describe)).isEmpty, "\(conversation.name): said more than was expected")
        // Whatever state it is in, a message under way is answered when the connection goes.
        actions = []
        let wasSending = machine.isSending
        machine.disconnected(into: &actions)
        let answers = actions.filter { if case .finished = $0 { true } else { false } }
        #expect(answers.count == (wasSending ? 1 : 0))
        #expect(machine.isClosed)
    }

    private func event(
        _ name: String, _ conversation: ClientConversation, _ machine: inout SMTPClientMachine,
        _ actions: inout [SMTPClientAction]
    ) {
        switch name {
        case "send": machine.send(conversation.message, into: &actions)
        case "sent": machine.bodySent(into: &actions)
        case "secured": machine.tlsStarted(into: &actions)
        case "quit": machine.quit(into: &actions)
        case "lost": machine.disconnected(into: &actions)
        default: Issue.record("no event \(name)")
        }
    }

    private func describe(_ action: SMTPClientAction) -> [String] {
        switch action {
        case .send(let octets):
            return String(decoding: octets, as: UTF8.self).split(separator: "\r\n").map { "C: \($0)" }
        case .startTLS: return ["= tls"]
        case .ready: return ["= ready"]
        case .sendBody: return ["= body"]
        case .sendChunk: return ["= chunk"]
        case .prove: return ["= prove"]
        case .finished(let outcomes): return ["= " + outcomes.map(describe).joined(separator: ", ")]
        case .close(.refused(let reply)): return ["= close refused \(reply.code)"]
        case .close(let end): return ["= close \(end)"]
        }
    }

    private func describe(_ outcome: SMTPRecipientOutcome) -> String {
        switch outcome {
        case .delivered(let reply): "delivered \(reply.code)"
        case .deferred(let reply): "deferred \(reply.code)"
        case .failed(let reply): "failed \(reply.code)"
        case .incapable(let reply): "incapable \(reply.code)"
        case .unanswered: "unanswered"
        }
    }
}
