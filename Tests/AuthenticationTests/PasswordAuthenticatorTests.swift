// Logins against accounts of a real engine: who gets in, who does not, what the next login of an address costs.
import EventStore
import MailCore
import MailEngine
import MailTypes
import NIOCore
import Synchronization
import Testing

@testable import Authentication

@Suite struct PasswordAuthenticatorTests {
    /// An engine with one account, and an authenticator.
    private struct Site {
        let engine: MailEngine
        let authenticator: PasswordAuthenticator
        let alice: AccountID

        func logIn(
            _ name: String, _ password: String, scope: CredentialScopes = .pop3, from client: String = "192.0.2.1"
        ) async -> LoginAnswer {
            await withCheckedContinuation { continuation in
                authenticator.logIn(
                    name, password: Array(password.utf8), scope: scope, from: LoginSource(IPAddress(client))
                ) {
                    continuation.resume(returning: $0)
                }
            }
        }

        func perform(_ command: AccountCommand) {
            _ = engine.performAndWait(Request([Request.Item(alice, command)], origin: Origin(gateway: .admin)))
        }
    }

    private final class Clock: Sendable {
        let seconds = Atomic<Int64>(1_800_000_000)
    }

    private func withSite(
        _ change: (inout AuthenticationOptions) -> Void = { _ in },
        _ body: (Site, Clock) async throws -> Void
    ) async throws {
        let clock = Clock()
        let engine = MailEngine(
            store: MemoryStore(), options: EngineOptions(spoolDirectory: "/tmp"),
            clock: { Timestamp(seconds: clock.seconds.load(ordering: .relaxed)) })
        defer { engine.close() }
        let credential = NewCredential(verifier: try ScramCredential.make("right", iterations: 4_096))
        let new = NewAccount(address: try #require(Address("alice@example.test")), credential: credential)
        _ = engine.performAndWait(
            Request([Request.Item(Request.newAccount, .createAccount(new))], origin: Origin(gateway: .admin)))
        let alice = try #require(try engine.read { try $0.owner(ofAddress: "alice@example.test") })
        var options = AuthenticationOptions()
        change(&options)
        let authenticator = PasswordAuthenticator(engine: engine, defaultDomain: "example.test", options: options)
        defer { authenticator.shutDown() }
        try await body(Site(engine: engine, authenticator: authenticator, alice: alice), clock)
    }

    @Test func namesWithAndWithoutDomain() async throws {
        try await withSite { site, _ in
            for name in ["alice", "alice@example.test", "ALICE@Example.Test"] {
                #expect(await site.logIn(name, "right").verdict == .accepted(site.alice))
            }
        }
    }

    @Test(arguments: [
        ("alice", "wrong"), ("alice", ""), ("alice", "right "), ("nobody", "right"), ("alice@elsewhere.test", "right"),
        ("", "right"), ("@", "right"), ("*", "right"),
        ("alice", "\u{0}"),
    ])
    func denied(_ name: String, _ password: String) async throws {
        try await withSite { site, _ in
            #expect(await site.logIn(name, password) == LoginAnswer(verdict: .denied, delay: .milliseconds(500)))
        }
    }

    @Test func namesAndPasswordsOfAnyLengthAreDenied() async throws {
        try await withSite { site, _ in
            let long = String(repeating: "x", count: 100_000)
            #expect(await site.logIn(long, "right").verdict == .denied)
            #expect(await site.logIn("alice", long).verdict == .denied)
        }
    }

    @Test func whoMayNotIsDeniedLikeWhoIsWrong() async throws {
        try await withSite { site, clock in
            site.perform(.setStatus(.disabled))
            #expect(await site.logIn("alice", "right").verdict == .denied)
            site.perform(.setStatus(.active))
            #expect(await site.logIn("alice", "right").verdict == .accepted(site.alice))
            let app = NewCredential(
                label: "phone", scopes: [.imap], expires: Timestamp(seconds: 1_800_000_100),
                verifier: try ScramCredential.make("other", iterations: 4_096))
            site.perform(.setCredential(app))
            #expect(await site.logIn("alice", "other", scope: .pop3).verdict == .denied)
            #expect(await site.logIn("alice", "other", scope: .imap).verdict == .accepted(site.alice))
            #expect(await site.logIn("alice", "right", scope: .imap).verdict == .accepted(site.alice))
            clock.seconds.store(1_800_000_101, ordering: .relaxed)
            #expect(await site.logIn("alice", "other", scope: .imap).verdict == .denied)
        }
    }

    @Test func aChangedPasswordHoldsAtOnceThoughTheOldOneWasJustUsed() async throws {
        try await withSite { site, _ in
            #expect(await site.logIn("alice", "right").verdict == .accepted(site.alice))
            #expect(await site.logIn("alice", "right").verdict == .accepted(site.alice))
            site.perform(
                .setCredential(NewCredential(verifier: try ScramCredential.make("new", iterations: 4_096))))
            #expect(await site.logIn("alice", "right").verdict == .denied)
            #expect(await site.logIn("alice", "new").verdict == .accepted(site.alice))
        }
    }

    @Test func aGoodLoginIsNotDerivedAgain() async throws {
        // With no room for anyone to wait, only the cache answers.
        try await withSite({
            $0.pendingMax = 1
            // However long the machine takes between two lines of this test.
            $0.cacheLifetime = .hours(1)
        }) { site, _ in
            #expect(await site.logIn("alice", "right").verdict == .accepted(site.alice))
            let answers = Mutex<[LoginAnswer.Verdict]>([])
            for _ in 0..<100 {
                site.authenticator.logIn(
                    "alice", password: Array("right".utf8), scope: .pop3, from: LoginSource(IPAddress("192.0.2.1"))
                ) {
                    let verdict = $0.verdict
                    answers.withLock { $0.append(verdict) }
                }
            }
            // Answered before the call returned, all of them.
            #expect(answers.withLock { $0 } == Array(repeating: .accepted(site.alice), count: 100))
        }
    }

    @Test func tooManyAtOnceAreToldToTryLater() async throws {
        try await withSite({ $0.pendingMax = 0 }) { site, _ in
            #expect(await site.logIn("alice", "right") == LoginAnswer(verdict: .tryLater, delay: .zero))
        }
    }

    @Test func anAddressThatFailsIsSlowedThenRefusedAndOthersAreNot() async throws {
        try await withSite({
            $0.failuresMax = 4
            $0.forgivenessPeriod = .hours(1)
        }) { site, _ in
            var delays: [Int64] = []
            for _ in 0..<4 { delays.append(await site.logIn("alice", "wrong").delay.nanoseconds / 1_000_000) }
            #expect(delays == [500, 1_000, 2_000, 4_000])
            let refused = await site.logIn("alice", "right")
            #expect(refused == LoginAnswer(verdict: .denied, delay: .seconds(15), isUnheard: true))
            let owner = await site.logIn("alice", "right", from: "198.51.100.7")
            #expect(owner == LoginAnswer(verdict: .accepted(site.alice), delay: .zero, credential: 1))
            // Nor is another's login from the same address.
            #expect(await site.logIn("nobody", "wrong").isUnheard == false)
        }
    }

    @Test func aGoodLoginFromASlowedAddressIsHeldBackAlike() async throws {
        try await withSite({ $0.forgivenessPeriod = .hours(1) }) { site, _ in
            _ = await site.logIn("alice", "wrong")
            _ = await site.logIn("alice", "wrong")
            #expect(await site.logIn("alice", "right").delay == .seconds(1))
        }
    }

    @Test func aClosedStoreIsATemporaryMatter() async throws {
        try await withSite { site, _ in
            site.engine.store.close()
            #expect(await site.logIn("alice", "right").verdict == .tryLater)
        }
    }
}
