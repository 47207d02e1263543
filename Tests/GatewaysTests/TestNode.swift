// A real engine over the in-memory store, with real listeners on loopback.
import Authentication
import EventStore
import Foundation
import Logging
import MailCore
import MailEngine
import MailTypes
import Octets
import Testing

@testable import Gateways

/// The password of every account here.
let password = "correct horse"

/// Derived once: what it costs is not what is tested here.
private let verifier = (try? ScramCredential.make(password, iterations: 4_096)) ?? ""

struct TestNode {
    let engine: MailEngine
    /// Nil when the test brought a store of its own.
    let store: MemoryStore?
    let gateways: Gateways
    let addresses: [GatewayProtocol: String]

    func client(_ name: GatewayProtocol, receiveBuffer: Int32? = nil) throws -> TestClient {
        try TestClient(addresses[name]!, receiveBuffer: receiveBuffer)
    }

    /// A client of a listener that begins with TLS, or of another before STARTTLS.
    func secureClient(_ name: GatewayProtocol) throws -> TestClient {
        let client = try client(name)
        try client.secure()
        return client
    }

    /// After the greeting and LHLO.
    func lmtp() throws -> TestClient {
        let client = try client(.lmtp)
        #expect(try client.reply() == ["220 mx.example.test LMTP Letterlog"])
        #expect(try client.command("LHLO client.test").hasPrefix("250 "))
        return client
    }

    func smtp() throws -> TestClient {
        let client = try client(.smtp)
        #expect(try client.reply() == ["220 mx.example.test ESMTP Letterlog"])
        #expect(try client.command("EHLO client.test").hasPrefix("250 "))
        return client
    }

    /// After the greeting, EHLO and AUTH.
    func submission(_ user: String) throws -> TestClient {
        let client = try client(.submission)
        _ = try client.reply()
        #expect(try client.command("EHLO client.test").hasPrefix("250"))
        let plain = Base64.encode(Array("\0\(user)\0\(password)".utf8))
        #expect(try client.command("AUTH PLAIN \(plain)").hasPrefix("235"))
        return client
    }

    /// After the greeting and LOGIN.
    func imap(_ user: String, receiveBuffer: Int32? = nil) throws -> IMAPClient {
        let client = try IMAPClient(addresses[.imap]!, receiveBuffer: receiveBuffer)
        #expect(try client.line().hasPrefix("* OK "))
        let reply = try client.run("LOGIN \(user)@example.test \"\(password)\"")
        #expect(reply.isOK, "\(reply)")
        return client
    }

    /// After USER and PASS.
    func pop3(_ user: String, utf8: Bool = false, receiveBuffer: Int32? = nil) throws -> TestClient {
        let client = try client(.pop3, receiveBuffer: receiveBuffer)
        #expect(try client.line().hasPrefix("+OK"))
        if utf8 { #expect(try client.command("UTF8") == "+OK UTF-8 from now on") }
        #expect(try client.command("USER \(user)").hasPrefix("+OK"))
        #expect(try client.command("PASS \(password)").hasPrefix("+OK"))
        return client
    }

    @discardableResult
    func perform(_ account: AccountID, _ command: AccountCommand) -> CommandOutcome {
        engine.performAndWait(Request([Request.Item(account, command)], origin: Origin(gateway: .admin)))[0]
    }

    func account(_ address: String) throws -> AccountID {
        try #require(try engine.read { try $0.owner(ofAddress: address) })
    }

    /// The bodies in the INBOX of an account, in order.
    func bodies(_ address: String) throws -> [[UInt8]] {
        let drop = try #require(try engine.maildrop(try account(address)))
        return try drop.blobs.map { try octets(BlobNumber($0)) }
    }

    func octets(_ blob: BlobNumber) throws -> [UInt8] {
        let handle = try engine.openBody(blob)
        var bytes: [UInt8] = []
        try handle.read(at: 0, count: handle.size, into: &bytes)
        return bytes
    }

    func letters(_ address: String) throws -> [String] {
        try bodies(address).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Puts a message into an INBOX without a gateway.
    func deposit(_ address: String, _ octets: [UInt8]) throws {
        let account = try account(address)
        let inbox = try #require(try engine.read { try $0.mailboxID(account, named: .inbox) })
        let body = engine.makeBody()
        try body.append(octets)
        let append = AppendMessages(mailbox: inbox, messages: [NewMessage(body: 0)], origin: .append)
        let outcome = engine.performAndWait(
            Request([Request.Item(account, .append(append))], bodies: [try body.finish()], origin: Origin()))[0]
        guard case .done = outcome else { throw ClientError.system("\(outcome)") }
    }
}

func wallClock() -> Timestamp {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Timestamp(milliseconds: Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000)
}

/// Asks again for a while until the answer is yes: for what comes after a commit and not with it.
func eventually(_ condition: () async throws -> Bool) async rethrows -> Bool {
    for _ in 0..<3_000 {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return false
}

/// Runs `body` on a thread of its own: the clients of these tests block, and the pool of Swift tasks has few threads.
func onOwnThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
    }
}

/// Runs `body` against a node with alice, bob, carol and a postmaster at example.test, and drains it.
func withNode(
    listeners: [(GatewayProtocol, ListenAddress)]? = nil,
    options change: (inout GatewayOptions) -> Void = { _ in },
    engine changeEngine: (inout EngineOptions) -> Void = { _ in },
    health: @escaping @Sendable () -> HealthReport = { HealthReport() },
    store given: (any ShardStore)? = nil,
    _ body: (TestNode) async throws -> Void
) async throws {
    let memory = given == nil ? MemoryStore() : nil
    guard let store = given ?? memory else { return }
    var engineOptions = EngineOptions(spoolDirectory: "/tmp")
    changeEngine(&engineOptions)
    let engine = MailEngine(store: store, options: engineOptions, clock: wallClock)
    for name in ["alice", "bob", "carol", "postmaster"] {
        let new = NewAccount(
            address: Address(localPart: name, domain: "example.test")!, credential: NewCredential(verifier: verifier))
        let outcome = engine.performAndWait(
            Request([Request.Item(Request.newAccount, .createAccount(new))], origin: Origin(gateway: .admin)))[0]
        guard case .done = outcome else { throw ClientError.system("\(outcome)") }
    }
    var options = GatewayOptions(hostName: "mx.example.test", defaultDomain: "example.test")
    options.eventLoops = 2
    options.authentication.delayFirst = .zero
    change(&options)
    var logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    logger.logLevel = .trace
    let gateways = Gateways(
        engine: engine, options: options, logger: logger, health: health, extraMetrics: { "extra_metric 7\n" })
    let loopback = ListenAddress.tcp(host: "127.0.0.1", port: 0)
    let bound = try await gateways.start(
        listeners ?? [(.smtp, loopback), (.lmtp, loopback), (.pop3, loopback), (.imap, loopback), (.http, loopback)])
    let node = TestNode(
        engine: engine, store: memory, gateways: gateways,
        addresses: Dictionary(bound, uniquingKeysWith: { first, _ in first }))
    do {
        try await body(node)
    } catch {
        await gateways.drain(deadline: .milliseconds(10))
        engine.close()
        throw error
    }
    await gateways.drain(deadline: .seconds(2))
    engine.close()
}
