// Plays the handler's part for a machine: owns the input buffer, keeps a small maildrop, answers questions from it, and
// writes down what came out.
import InputSupport
import MailTypes
import POP3
import Testing

/// A maildrop of three messages and one account, `mrose` with the password `tan staaf`.
struct Site: Sendable {
    var configuration = POP3ServerConfiguration(hostName: "pop.example.test", allowsPlaintextLogin: true)
    /// Given where the password is right.
    var login: POP3LoginResult?
    var mechanisms: [String] = []
    var body = POP3BodyResult.opened
    var deletesSucceed = true

    static let bodies = [
        "Subject: one\r\n\r\nfirst\r\n.second\r\n..third\r\n",
        "Subject: two\r\n\r\nno end of line",
        "Subject: three\r\n\r\n",
    ]

    static let maildrop = POP3Maildrop(
        uidValidity: UIDValidity(0x5F00_0001),
        messages: bodies.enumerated().map {
            POP3Maildrop.Message(uid: UID(UInt32($0.offset * 10 + 1)), octets: UInt32($0.element.utf8.count))
        },
        importedUniqueIDs: [UID(11): "kept-from-before", UID(21): "not valid"])

    /// A mechanism `TEST`: the message `pass` is right, `more` is challenged with itself.
    func exchange(_ message: [UInt8]?) -> Exchange {
        guard let message else { return .challenge([]) }
        switch String(decoding: message, as: UTF8.self) {
        case "pass": return .end(login ?? .success(Self.maildrop))
        case "bad": return .end(.malformed)
        case let text where text.hasPrefix("more"): return .challenge(message)
        default: return .end(.failure)
        }
    }

    enum Exchange {
        case challenge([UInt8])
        case end(POP3LoginResult)
    }

    func login(_ credentials: POP3Credentials) -> POP3LoginResult {
        guard credentials == POP3Credentials(user: "mrose", password: Array("tan staaf".utf8)) else { return .failure }
        return login ?? .success(Self.maildrop)
    }
}

/// What one session brought about; equal for every way to cut up its input.
struct Record: Equatable {
    var wire: [UInt8] = []
    var logins: [POP3Credentials] = []
    var messages: [SecretOctets?] = []
    var cancelled = 0
    var deleted: [UID] = []
    var closed: POP3CloseReason?

    var text: String { String(decoding: wire, as: UTF8.self) }
    /// Lines without their CRLF.
    var lines: [String] {
        Array(text.split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init).dropLast())
    }
}

struct Session {
    private(set) var machine: POP3ServerMachine
    private(set) var record = Record()
    let site: Site
    private var buffer: [UInt8] = []

    init(_ site: Site = Site(), greeted: Bool = true) {
        self.site = site
        machine = POP3ServerMachine(site.configuration)
        machine.mechanisms = site.mechanisms
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
                        ? POP3Limits.responseLineOctetsMax : POP3Limits.passwordLineOctetsMax),
            "the rest of the input is bounded")
    }

    /// Calls the machine, then plays out its actions and whatever follows from them.
    mutating func tell(_ call: (inout POP3ServerMachine, inout [POP3Action]) -> Void) {
        var actions: [POP3Action] = []
        call(&machine, &actions)
        play(actions)
        drain()
    }

    private mutating func drain() {
        while !buffer.isEmpty {
            var actions: [POP3Action] = []
            let consumed = buffer.withUnsafeBytes { machine.receive($0, into: &actions) }
            buffer.removeFirst(consumed)
            play(actions)
            if consumed == 0, actions.isEmpty { return }
        }
    }

    private mutating func play(_ actions: [POP3Action]) {
        for action in actions {
            #expect(record.closed == nil, "nothing follows a close")
            switch action {
            case .reply(let reply): reply.append(to: &record.wire)
            case .login(let credentials):
                record.logins.append(credentials)
                answer { [site] in $0.loginFinished(site.login(credentials), into: &$1) }
            case .beginAuthentication(let mechanism, let message):
                guard mechanism.uppercased() == "TEST" else {
                    answer { $0.loginFinished(.unknownMechanism, into: &$1) }
                    continue
                }
                exchange(message)
            case .continueAuthentication(let message): exchange(message)
            case .cancelAuthentication: record.cancelled += 1
            case .list(var listing):
                while !listing.isComplete { listing.append(to: &record.wire, octetsMax: 20) }
                answer { $0.transferFinished(into: &$1) }
            case .openBody: answer { [site] in $0.bodyOpened(site.body, into: &$1) }
            case .sendBody(let retrieval):
                let body = Array(Site.bodies[Int(retrieval.uid.rawValue) / 10].utf8)
                #expect(Int(retrieval.octets) == body.count)
                record.wire += encoded(body, lines: retrieval.lines, .sizes([3]))
                answer { $0.transferFinished(into: &$1) }
            case .commitDeletes(let uids):
                record.deleted = Array(uids)
                answer { [site] in $0.deletesFinished(succeeded: site.deletesSucceed, into: &$1) }
            case .startTLS: answer { $0.tlsStarted(into: &$1) }
            case .close(let reason): record.closed = reason
            }
        }
    }

    private mutating func exchange(_ message: SecretOctets?) {
        record.messages.append(message)
        switch site.exchange(message?.octets) {
        case .challenge(let octets): answer { $0.loginChallenged(octets, into: &$1) }
        case .end(let result): answer { $0.loginFinished(result, into: &$1) }
        }
    }

    private mutating func answer(_ call: (inout POP3ServerMachine, inout [POP3Action]) -> Void) {
        #expect(machine.isWaiting)
        var actions: [POP3Action] = []
        call(&machine, &actions)
        play(actions)
    }
}

/// A body as RETR or TOP sends it, with the final line.
func encoded(_ body: [UInt8], lines: Int? = nil, _ chunking: Chunking = .whole) -> [UInt8] {
    var encoder = POP3BodyEncoder(lines: lines)
    var output: [UInt8] = []
    for chunk in chunking.cut(body).map(Array.init) {
        var ranges: [Range<Int>] = []
        chunk.withUnsafeBytes { encoder.encode($0, into: &ranges) }
        for range in ranges { output += chunk[range] }
    }
    return output + encoder.finish()
}
