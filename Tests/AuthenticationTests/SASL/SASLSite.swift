// A real engine with one account, a SASL room above it, and a client of SCRAM that is written from RFC 5802 with the
// digests of the room Digests. Clients that share nothing with us are in ClientTests.
import Digests
import EventStore
import MailCore
import MailEngine
import MailTypes
import NIOCore
import Octets
import Synchronization
import Testing

@testable import Authentication

struct SASLSite {
    let engine: MailEngine
    let authenticator: PasswordAuthenticator
    let sasl: SASLServer
    let alice: AccountID

    static let channel = LoginChannel(
        exporter: Array(repeating: 7, count: 32), serverEndPoint: Array(repeating: 9, count: 32))

    func context(
        _ scope: CredentialScopes = .imap, plaintext: Bool = true, channel: LoginChannel? = nil,
        from client: String = "192.0.2.1"
    ) -> LoginContext {
        LoginContext(
            scope: scope, source: LoginSource(IPAddress(client)), isPlaintextAllowed: plaintext, channel: channel)
    }

    func perform(_ command: AccountCommand) {
        _ = engine.performAndWait(Request([Request.Item(alice, command)], origin: Origin(gateway: .admin)))
    }

    /// Begins and gives the exchange with its first answer.
    func begin(
        _ mechanism: String, _ initial: [UInt8]?, _ context: LoginContext? = nil
    ) async -> (SASLExchange?, SASLAnswer) {
        let exchange = Mutex<SASLExchange?>(nil)
        let answer = await withCheckedContinuation { continuation in
            let begun = sasl.begin(mechanism, initialResponse: initial, context: context ?? self.context()) {
                continuation.resume(returning: $0)
            }
            exchange.withLock { $0 = begun }
        }
        return (exchange.withLock { $0 }, answer)
    }

    /// Sends the messages in order, each after a challenge, and gives the last answer.
    func converse(
        _ mechanism: String, _ messages: [String], _ context: LoginContext? = nil
    ) async -> SASLAnswer {
        var (exchange, answer) = await begin(mechanism, messages.first.map { Array($0.utf8) }, context)
        for message in messages.dropFirst() {
            guard case .challenge = answer, let exchange else { return answer }
            answer = await exchange.step(message)
        }
        _ = exchange
        return answer
    }
}

extension SASLExchange {
    func step(_ message: String) async -> SASLAnswer {
        await withCheckedContinuation { continuation in
            step(Array(message.utf8)) { continuation.resume(returning: $0) }
        }
    }
}

extension SASLAnswer {
    /// Without the time to wait.
    var outcome: String {
        switch self {
        case .challenge(let octets): "challenge \(String(decoding: octets, as: UTF8.self))"
        case .finished(let answer):
            switch answer.verdict {
            case .accepted(let account): "success \(account.rawValue)"
            case .denied: "denied"
            case .tryLater: "unavailable"
            }
        case .failed(let failure): "\(failure)"
        }
    }
}

func withSASL(
    tokens: (any TokenService)? = nil, _ change: (inout AuthenticationOptions) -> Void = { _ in },
    key: [UInt8] = Array(repeating: 1, count: 32),
    _ body: (SASLSite) async throws -> Void
) async throws {
    let engine = MailEngine(
        store: MemoryStore(), options: EngineOptions(spoolDirectory: "/tmp"),
        clock: { Timestamp(seconds: 1_800_000_000) })
    defer { engine.close() }
    let credential = NewCredential(verifier: try ScramCredential.make("pencil", iterations: 4_096))
    let new = NewAccount(address: try #require(Address("alice@example.test")), credential: credential)
    _ = engine.performAndWait(
        Request([Request.Item(Request.newAccount, .createAccount(new))], origin: Origin(gateway: .admin)))
    let alice = try #require(try engine.read { try $0.owner(ofAddress: "alice@example.test") })
    var options = AuthenticationOptions()
    options.delayFirst = .zero
    options.failuresMax = 1_000
    change(&options)
    let authenticator = PasswordAuthenticator(
        engine: engine, defaultDomain: "example.test", options: options, key: key)
    defer { authenticator.shutDown() }
    let sasl = SASLServer(authenticator: authenticator, hostName: "mx.example.test", tokens: tokens)
    #expect(SASLServer.libraryProblem == nil)
    try await body(SASLSite(engine: engine, authenticator: authenticator, sasl: sasl, alice: alice))
}

/// A client of SCRAM.
struct ScramClient {
    var user = "alice@example.test"
    var password = "pencil"
    var algorithm = DigestAlgorithm.sha256
    var authorization = ""
    /// `n`, `y` or `p=name`.
    var flag = "n"
    var binding: [UInt8] = []
    /// Changed in the proof's first octet.
    var spoilsProof = false

    private let nonce = "rOprNGfwEbeRWgbN"
    private var header: String { flag + "," + (authorization.isEmpty ? "" : "a=\(authorization)") + "," }
    private var bare: String { "n=\(user),r=\(nonce)" }

    var first: String { header + bare }

    struct Last {
        let message: String
        /// What the server must say.
        let verdict: String
        let salt: String
        let iterations: Int
    }

    func last(_ challenge: [UInt8]) throws -> Last {
        let text = String(decoding: challenge, as: UTF8.self)
        let fields = text.split(separator: ",").map { String($0.dropFirst(2)) }
        try #require(fields.count == 3)
        #expect(fields[0].hasPrefix(nonce) && fields[0].count > nonce.count + 10)
        let salt = try #require(Base64.decode(fields[1]))
        let iterations = try #require(Int(fields[2]))
        let salted = PBKDF2.derive(
            algorithm, password: Array(password.utf8), salt: salt, iterations: iterations, count: algorithm.octets)
        let clientKey = HMACDigest.code(algorithm, key: salted, message: Array("Client Key".utf8))
        let serverKey = HMACDigest.code(algorithm, key: salted, message: Array("Server Key".utf8))
        let withoutProof = "c=\(Base64.encode(Array(header.utf8) + binding)),r=\(fields[0])"
        let auth = Array("\(bare),\(text),\(withoutProof)".utf8)
        let signature = HMACDigest.code(algorithm, key: algorithm.digest(clientKey), message: auth)
        var proof = zip(clientKey, signature).map { $0 ^ $1 }
        if spoilsProof { proof[0] ^= 1 }
        let server = HMACDigest.code(algorithm, key: serverKey, message: auth)
        return Last(
            message: withoutProof + ",p=\(Base64.encode(proof))", verdict: "challenge v=\(Base64.encode(server))",
            salt: fields[1], iterations: iterations)
    }

    /// The whole exchange; the server's proof is checked on the way.
    func logIn(_ site: SASLSite, _ mechanism: String, _ context: LoginContext? = nil) async throws -> SASLAnswer {
        let (exchange, answer) = await site.begin(mechanism, Array(first.utf8), context)
        guard case .challenge(let challenge) = answer, let exchange else { return answer }
        let last = try last(challenge)
        let verdict = await exchange.step(last.message)
        guard case .challenge = verdict else { return verdict }
        #expect(verdict.outcome == last.verdict)
        return await exchange.step("")
    }
}

/// `#expect(try await a == b)` in a closure does not compile.
func same(
    _ actual: String, _ expected: String, _ comment: Comment? = nil, at location: SourceLocation = #_sourceLocation
) {
    #expect(actual == expected, comment, sourceLocation: location)
}

func differ(_ actual: String, _ other: String, at location: SourceLocation = #_sourceLocation) {
    #expect(actual != other, sourceLocation: location)
}
