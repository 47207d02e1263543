// saslauthd's socket, with somebody else behind it: what is asked, and what becomes of answers that do not come.
import Foundation
import Glibc
import Synchronization
import Testing

@testable import Authentication

/// Listens on a socket; each connection is answered by `answer`, which gets what came first and may hold on.
private final class Daemon: Sendable {
    let path: String
    private let descriptor: CInt
    private let isStopped = Atomic(false)
    let heard = Heard()

    final class Heard: Sendable { let octets = Mutex<[[UInt8]]>([]) }

    init(_ answer: @escaping @Sendable (CInt) -> Void) throws {
        let path = NSTemporaryDirectory() + "/mux-\(UUID().uuidString.prefix(8))"
        self.path = path
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && listen(descriptor, 64) == 0)
        self.descriptor = descriptor
        let heard = heard
        Thread.detachNewThread {
            while true {
                let client = accept(descriptor, nil, nil)
                guard client >= 0 else {
                    // Here, and by nobody else: the number may be another daemon's socket a moment later.
                    close(descriptor)
                    return
                }
                Thread.detachNewThread {
                    var octets = [UInt8](repeating: 0, count: 4_096)
                    let count = recv(client, &octets, octets.count, 0)
                    heard.octets.withLock { $0.append(Array(octets.prefix(max(0, count)))) }
                    answer(client)
                    close(client)
                }
            }
        }
    }

    deinit {
        stop()
        unlink(path)
    }

    /// Once: its thread closes the socket then.
    func stop() {
        guard !isStopped.exchange(true, ordering: .relaxed) else { return }
        shutdown(descriptor, Int32(SHUT_RDWR))
    }
}

private func say(_ descriptor: CInt, _ octets: [UInt8]) -> Bool {
    send(descriptor, octets, octets.count, Int32(MSG_NOSIGNAL)) == octets.count
}

@Suite struct SaslauthdTests {
    private func check(_ path: String, secondsMax: Int = 1) -> SaslauthdClient.Verdict {
        SaslauthdClient(path: path, secondsMax: secondsMax).check(
            login: "ann", password: Array("pass".utf8), service: "imap", realm: "example.test")
    }

    static let said: [(octets: [UInt8], verdict: SaslauthdClient.Verdict)] = [
        ([0, 2, 0x4F, 0x4B], .good), ([0, 3, 0x4F, 0x4B, 0x20], .good), ([0, 2, 0x4E, 0x4F], .bad),
        ([0, 2, 0x6F, 0x6B], .unavailable), ([0, 0], .unavailable), ([0xFF, 0xFF, 0x4F, 0x4B], .unavailable),
        ([0], .unavailable), ([0, 9, 0x4F, 0x4B], .unavailable), ([], .unavailable),
    ]

    @Test(arguments: said)
    func answers(octets: [UInt8], verdict: SaslauthdClient.Verdict) throws {
        let daemon = try Daemon { _ = say($0, octets) }
        defer { daemon.stop() }
        // Each of these is answered or hung up on at once; how long that takes is the machine's affair.
        #expect(check(daemon.path, secondsMax: 60) == verdict)
        var asked: [UInt8] = []
        for part in ["ann", "pass", "imap", "example.test"] { asked += [0, UInt8(part.utf8.count)] + Array(part.utf8) }
        #expect(daemon.heard.octets.withLock { $0 } == [asked])
    }

    @Test func oneThatHangs() throws {
        let daemon = try Daemon { sleepUntilClosed($0) }
        defer { daemon.stop() }
        #expect(check(daemon.path) == .unavailable)
    }

    /// Each octet in time, all of them not.
    @Test func oneThatDribbles() throws {
        let said = Atomic<Int>(0)
        let daemon = try Daemon { descriptor in
            _ = say(descriptor, [2, 0])
            for _ in 0..<512 {
                usleep(100_000)
                guard say(descriptor, [UInt8(ascii: "O")]) else { return }
                said.add(1, ordering: .relaxed)
            }
        }
        defer { daemon.stop() }
        #expect(check(daemon.path) == .unavailable)
        #expect(said.load(ordering: .relaxed) < 100, "it is left long before it is done")
    }

    @Test func nobodyThere() { #expect(check("/nowhere/mux") == .unavailable) }

    @Test func passwordsThatCannotBeAsked() {
        let client = SaslauthdClient(path: "/nowhere/mux", secondsMax: 1)
        let long = [UInt8](repeating: 0x61, count: AuthenticationLimits.saslauthdPartOctetsMax + 1)
        for password in [long, [0x61, 0, 0x62]] {
            #expect(client.check(login: "ann", password: password, service: "imap", realm: "") == .bad)
        }
    }

    /// A daemon that hangs holds so many logins and no more; the others hear at once that it is not there.
    @Test func loginsThatWaitAreFew() async throws {
        let daemon = try Daemon { sleepUntilClosed($0) }
        defer { daemon.stop() }
        let reports = Mutex<[String]>([])
        let external = ExternalPasswords(SaslauthdClient(path: daemon.path, secondsMax: 1), coverage: .all) { text in
            reports.withLock { $0.append(text) }
        }
        let name = try #require(LoginName("ann@example.test", defaultDomain: "example.test"))
        let atOnce = Mutex(0)
        let sent = Mutex(false)
        for number in 0..<(AuthenticationLimits.externalPendingMax + 10) {
            external.check(name, password: [0x61], service: "imap") { verdict in
                #expect(verdict == .unavailable)
                if !sent.withLock({ $0 }), number >= AuthenticationLimits.externalPendingMax {
                    atOnce.withLock { $0 += 1 }
                }
            }
        }
        sent.withLock { $0 = true }
        #expect(atOnce.withLock { $0 } == 10)
        #expect(reports.withLock { $0 } == ["64 logins wait for it"], "once a minute")
        external.shutDown()
    }
}

/// Holds on to a connection until the other side leaves it.
private func sleepUntilClosed(_ descriptor: CInt) {
    var octet: UInt8 = 0
    while recv(descriptor, &octet, 1, 0) > 0 {}
}
