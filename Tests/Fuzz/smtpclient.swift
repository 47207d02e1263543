// The sending side of SMTP: whatever another server says, however it is cut up, what we do is the same; every message is
// answered once with an outcome per recipient; nothing is said after the close; no password goes out in the clear.
//
// Bytes: the configuration; how to cut; then what the server sends, in which 0x01 stands for the event that we owe
// (TLS begun, a message sent, a body written) and 0x02 for the end of the connection.
import SMTP

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
    let whole = Run(configuration, isUTF8: input[0] & 16 != 0).play(server, pieceMax: .max)
    precondition(Run(configuration, isUTF8: input[0] & 16 != 0).play(server, pieceMax: 1) == whole, "octets matter")
    let cut = Int(input[1]) + 1
    precondition(Run(configuration, isUTF8: input[0] & 16 != 0).play(server, pieceMax: cut) == whole, "pieces matter")
    return 0
}

private struct Run {
    private var machine: SMTPClientMachine
    private let isUTF8: Bool
    private var actions: [SMTPClientAction] = []
    private var entries: [SMTPClientAction] = []
    private var owed: SMTPClientAction?
    private var isUnanswered = false

    init(_ configuration: SMTPClientConfiguration, isUTF8: Bool) {
        machine = SMTPClientMachine(configuration)
        self.isUTF8 = isUTF8
    }

    func play(_ server: [UInt8], pieceMax: Int) -> [SMTPClientAction] {
        var run = self
        for part in server.split(omittingEmptySubsequences: false, whereSeparator: { $0 == 1 || $0 == 2 }) {
            var start = part.startIndex
            while start < part.endIndex {
                let end = pieceMax < part.endIndex - start ? start + pieceMax : part.endIndex
                // A buffer of the exact size, so that a read beyond it is seen.
                Array(part[start..<end]).withUnsafeBytes { run.machine.receive($0, into: &run.actions) }
                run.take()
                start = end
            }
            if part.endIndex < server.endIndex, server[part.endIndex] == 2 {
                run.machine.disconnected(into: &run.actions)
            } else {
                run.pay()
            }
            run.take()
        }
        run.machine.timedOut(into: &run.actions)
        run.take()
        precondition(run.machine.isClosed && !run.isUnanswered, "a message without an answer")
        return run.entries
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
