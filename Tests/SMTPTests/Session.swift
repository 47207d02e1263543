// Plays the handler's part for a machine: owns the input buffer, answers its questions from a table, and writes down
// what came out.
import InputSupport
import MailTypes
import SMTP
import Testing

/// What a site answers: the same in every test unless it says otherwise.
struct Site: Sendable {
    var configuration: SMTPServerConfiguration
    var mechanisms: [String] = []
    /// Seconds since 1970.
    var now = 0
    var bodyVerdict = BodyVerdict.ready
    /// By directory key; `nil` means stored.
    var outcomes: [String: DeliveryOutcome] = [:]

    init(_ dialect: SMTPDialect = .smtp) {
        configuration = SMTPServerConfiguration(dialect: dialect, hostName: "mx.example.test")
    }

    /// A mechanism `TEST`: the message `pass` is right, `more` is challenged with itself.
    func exchange(_ message: [UInt8]?) -> Exchange {
        guard let message else { return .challenge([]) }
        switch String(decoding: message, as: UTF8.self) {
        case "pass": return .end(.accepted)
        case "bad": return .end(.malformed)
        case "later": return .end(.tryLater)
        case let text where text.hasPrefix("more"): return .challenge(message)
        default: return .end(.denied)
        }
    }

    enum Exchange {
        case challenge([UInt8])
        case end(SMTPLoginVerdict)
    }

    func verdict(_ recipient: SMTPRecipient) -> RecipientVerdict {
        if recipient.isBarePostmaster { return .accepted }
        switch recipient.address.directoryKey {
        case "nobody@example.test": return .unknownUser
        case "gone@example.test": return .disabled
        case "full@example.test": return .overQuota
        case "later@example.test": return .tryLater("Directory is busy")
        case let key where key.hasSuffix("@elsewhere.test"): return .relayDenied
        default: return .accepted
        }
    }
}

/// What one session brought about; equal for every way to cut up its input.
struct Record: Equatable {
    struct Message: Equatable {
        var envelope: SMTPEnvelope
        var body: [UInt8]
    }
    var wire: [UInt8] = []
    var messages: [Message] = []
    var checked: [SMTPRecipient] = []
    var logins: [SecretOctets?] = []
    var clients: [SMTPClientIdentity] = []
    var cancelled = 0
    var discarded = 0
    var closed: SMTPCloseReason?

    var text: String { String(decoding: wire, as: UTF8.self) }
    /// Reply lines without their CRLF.
    var lines: [String] { text.split(separator: "\r\n", omittingEmptySubsequences: true).map(String.init) }
}

struct Session {
    private(set) var machine: SMTPServerMachine
    private(set) var record = Record()
    let site: Site
    private var buffer: [UInt8] = []
    private var open: Record.Message?

    init(_ site: Site = Site(), greeted: Bool = true) {
        self.site = site
        machine = SMTPServerMachine(site.configuration)
        machine.mechanisms = site.mechanisms
        machine.now = site.now
        if greeted { tell { $0.start(into: &$1) } }
    }

    static func run(_ input: [UInt8], _ chunking: Chunking = .whole, site: Site = Site()) -> Record {
        var session = Session(site)
        for chunk in chunking.cut(input) { session.send(chunk) }
        return session.record
    }

    static func run(_ input: String, _ chunking: Chunking = .whole, site: Site = Site()) -> Record {
        run(Array(input.utf8), chunking, site: site)
    }

    mutating func send(_ text: String) { send(Array(text.utf8)[...]) }

    mutating func send(_ chunk: ArraySlice<UInt8>) {
        buffer += chunk
        drain()
        #expect(
            machine.isWaiting
                || buffer.count
                    < (machine.isAuthenticating
                        ? SMTPLimits.responseLineOctetsMax : SMTPLimits.commandLineOctetsMax),
            "the rest of the input is bounded")
    }

    /// Calls the machine, then plays out its actions and whatever follows from them.
    mutating func tell(_ call: (inout SMTPServerMachine, inout [SMTPAction]) -> Void) {
        var actions: [SMTPAction] = []
        call(&machine, &actions)
        play(actions, from: [])
        drain()
    }

    private mutating func drain() {
        while !buffer.isEmpty {
            var actions: [SMTPAction] = []
            let consumed = buffer.withUnsafeBytes { machine.receive($0, into: &actions) }
            let input = buffer
            buffer.removeFirst(consumed)
            play(actions, from: input)
            if consumed == 0, actions.isEmpty { return }
        }
    }

    private mutating func play(_ actions: [SMTPAction], from input: [UInt8]) {
        for action in actions {
            #expect(record.closed == nil, "nothing follows a close")
            switch action {
            case .reply(let reply): reply.append(to: &record.wire)
            case .checkRecipient(let recipient):
                record.checked.append(recipient)
                answer { [site] in $0.recipientChecked(site.verdict(recipient), into: &$1) }
            case .beginAuthentication(let mechanism, let message):
                switch mechanism.uppercased() {
                case "TEST": exchange(message)
                case "TLS": answer { $0.loginFinished(.encryptionRequired, into: &$1) }
                default: answer { $0.loginFinished(.unknownMechanism, into: &$1) }
                }
            case .continueAuthentication(let message): exchange(message)
            case .cancelAuthentication: record.cancelled += 1
            case .checkSender(let envelope):
                let verdict: SenderVerdict =
                    switch envelope.reversePath?.localPart {
                    case "alice": .accepted
                    case "later": .tryLater
                    default: .notYours
                    }
                answer { $0.senderChecked(verdict, into: &$1) }
            case .startBody(let envelope):
                #expect(open == nil, "one body at a time")
                if site.bodyVerdict == .ready { open = Record.Message(envelope: envelope, body: []) }
                answer { [site] in $0.bodyStarted(site.bodyVerdict, into: &$1) }
            case .body(let range): open!.body += input[range]
            case .discardBody:
                #expect(open != nil, "a body is discarded once")
                open = nil
                record.discarded += 1
            case .deliver(let octets):
                let message = open!
                open = nil
                #expect(octets == message.body.count)
                record.messages.append(message)
                answer { [site] in $0.deliveryFinished(site.outcomes(message.envelope), into: &$1) }
            case .startTLS: answer { $0.tlsStarted(into: &$1) }
            case .replaceClient(let client):
                record.clients.append(client)
                let verdict: ClientVerdict = client.address == "192.0.2.99" ? .tooMany : .accepted
                answer { $0.clientReplaced(verdict, into: &$1) }
            case .close(let reason): record.closed = reason
            }
        }
    }

    private mutating func exchange(_ message: SecretOctets?) {
        record.logins.append(message)
        switch site.exchange(message?.octets) {
        case .challenge(let octets): answer { $0.loginChallenged(octets, into: &$1) }
        case .end(let verdict): answer { $0.loginFinished(verdict, into: &$1) }
        }
    }

    private mutating func answer(_ call: (inout SMTPServerMachine, inout [SMTPAction]) -> Void) {
        #expect(machine.isWaiting)
        var actions: [SMTPAction] = []
        call(&machine, &actions)
        play(actions, from: [])
    }
}

extension Site {
    func outcomes(_ envelope: SMTPEnvelope) -> [DeliveryOutcome] {
        envelope.recipients.map { outcomes[$0.address.directoryKey] ?? .stored(id: "42") }
    }
}
