// An engine with the outbound queue running over it: a resolver in memory, a clock that tests set, real sockets.
import EventStore
import Foundation
import Logging
import MailCore
import MailEngine
import MailTypes
import NIOPosix
import SMTP
import Synchronization
import Testing

@testable import Delivery

/// Names as a test has them. A name that is not in it does not exist.
struct TestResolver: MailResolver {
    var exchangers: [String: DNSAnswer<[MailExchanger]>] = [:]
    var addresses: [String: DNSAnswer<[String]>] = [:]
    var validations: [String: DNSValidation] = [:]

    func validation(of domain: String) async -> DNSValidation { validations[domain] ?? .unsigned }

    func exchangers(of domain: String) async -> DNSAnswer<[MailExchanger]> { exchangers[domain] ?? .noName }
    func addresses(of host: String) async -> DNSAnswer<[String]> { addresses[host] ?? .noName }

    /// All mail for `domain` goes to 127.0.0.1.
    static func loopback(_ domain: String...) -> TestResolver {
        var resolver = TestResolver(addresses: ["mx.there.test": .found(["127.0.0.1"])])
        for name in domain {
            resolver.exchangers[name] = .found([MailExchanger(preference: 10, host: "mx.there.test")])
        }
        return resolver
    }
}

struct Site: Sendable {
    let engine: MailEngine
    let runner: QueueRunner
    let now: TestClock

    /// Puts a message into the queue.
    @discardableResult
    func enqueue(
        _ recipients: [String], from sender: String = "alice@example.test",
        text: String = "Subject: hello\r\n\r\n.a letter\r\n", _ change: (inout Enqueue) -> Void = { _ in }
    ) throws -> QueueID {
        let body = engine.makeBody()
        try body.append(Array(text.utf8))
        var command = Enqueue(body: 0, mailFrom: sender, recipients: recipients)
        change(&command)
        let outcome = engine.performAndWait(
            Request([Request.Item(.queue, .enqueue(command))], bodies: [try body.finish()], origin: Origin()))[0]
        guard case .done(.queued(let id), _) = outcome else { throw SiteError("\(outcome)") }
        return id
    }

    func perform(_ command: AccountCommand) {
        _ = engine.performAndWait(Request([Request.Item(.queue, command)], origin: Origin(gateway: .admin)))
    }

    /// Octets that an account may have; 0 is no limit.
    func setQuota(_ octets: UInt64, of address: String) throws {
        let account = try #require(try engine.read { try $0.owner(ofAddress: address) })
        let command = AccountCommand.setQuota(Quota(bytes: octets, messages: 0))
        _ = engine.performAndWait(Request([Request.Item(account, command)], origin: Origin(gateway: .admin)))
    }

    func entry(_ id: QueueID) throws -> QueueEntry? { try engine.read { try $0.queueEntry(id) } }

    func queue() throws -> [QueueEntry] {
        try engine.read { state in
            var entries: [QueueEntry] = []
            try state.queue { _, entry in
                entries.append(entry)
                return true
            }
            return entries
        }
    }

    /// Letters in the INBOX of an account.
    func letters(_ address: String) throws -> [String] {
        let account = try #require(try engine.read { try $0.owner(ofAddress: address) })
        let drop = try #require(try engine.maildrop(account))
        return try drop.blobs.map { blob in
            let handle = try engine.openBody(BlobNumber(blob))
            var bytes: [UInt8] = []
            try handle.read(at: 0, count: handle.size, into: &bytes)
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// Waits until `condition` holds; a bounded time.
    func wait(_ what: String, until condition: () throws -> Bool) async throws {
        // Long, since other tests take the processors; a test that holds ends at once.
        let end = ContinuousClock.now + .seconds(120)
        while ContinuousClock.now < end {
            if try condition() { return }
            try await Task.sleep(nanoseconds: 5_000_000)
        }
        throw SiteError("waited in vain until \(what)")
    }
}

struct SiteError: Error, CustomStringConvertible {
    let description: String
    init(_ text: String) { description = text }
}

final class TestClock: Sendable {
    private let offset = Mutex(Int64(0))

    func advance(bySeconds seconds: Int64) { offset.withLock { $0 += seconds * 1000 } }

    var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let milliseconds = Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
        return Timestamp(milliseconds: milliseconds + offset.withLock { $0 })
    }
}

/// Runs `body` beside a queue whose hosts listen on `port`. alice@example.test is ours.
///
/// - Parameter fails: why the engine does not take a record.
func withSite(
    port: Int, resolver: TestResolver = .loopback("there.test"),
    _ change: (inout DeliveryOptions) -> Void = { _ in },
    refuses: @escaping @Sendable (String) -> SMTPServerReply? = { _ in nil },
    fails: @escaping @Sendable (Request) -> EngineFailure? = { _ in nil },
    _ body: (Site) async throws -> Void
) async throws {
    let clock = TestClock()
    let engine = MailEngine(
        store: MemoryStore(), options: EngineOptions(spoolDirectory: "/tmp"), clock: { clock.now })
    let address = try #require(Address("alice@example.test"))
    _ = engine.performAndWait(
        Request(
            [Request.Item(Request.newAccount, .createAccount(NewAccount(address: address)))],
            origin: Origin(gateway: .admin)))
    var options = DeliveryOptions(hostName: "mx.example.test", draw: { 4 })
    options.port = port
    options.connectTimeout = .seconds(2)
    change(&options)
    let threads = NIOThreadPool(numberOfThreads: 2)
    threads.start()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let runner = QueueRunner(
        engine: engine, resolver: resolver, options: options, group: group, fileThreads: threads,
        log: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
        submit: { request in
            if let failure = fails(request) { return request.items.map { _ in .failed(failure) } }
            return await engine.perform(request)
        },
        inbox: { address in
            if let reply = refuses(address) { return .refused(reply) }
            return try engine.read { state in
                guard let key = Address(address)?.directoryKey, let account = try state.owner(ofAddress: key),
                    let inbox = try state.mailboxID(account, named: .inbox)
                else { return .elsewhere }
                return .mailbox(account, inbox)
            }
        })
    await runner.start()
    let result: Result<Void, any Error>
    do {
        result = .success(try await body(Site(engine: engine, runner: runner, now: clock)))
    } catch {
        result = .failure(error)
    }
    await runner.stop(within: .seconds(5))
    engine.close()
    try await group.shutdownGracefully()
    try await threads.shutdownGracefully()
    try result.get()
}
