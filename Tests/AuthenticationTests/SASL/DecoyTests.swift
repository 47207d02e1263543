// What someone who has no password learns: nothing.
import Digests
import MailCore
import MailTypes
import NIOCore
import Octets
import Testing

@testable import Authentication

@Suite struct DecoyTests {
    private func challenge(_ site: SASLSite, _ user: String, _ scope: CredentialScopes = .imap) async throws -> String {
        let client = ScramClient(user: user)
        let answer = await site.begin("SCRAM-SHA-256", Array(client.first.utf8), site.context(scope)).1
        guard case .challenge(let octets) = answer else { throw SASLTestError.unexpected(answer) }
        // Without the nonce, which is new each time.
        return String(decoding: octets, as: UTF8.self).split(separator: ",").dropFirst().joined(separator: ",")
    }

    @Test func aNameThatNobodyHasIsChallengedLikeOneThatSomebodyHas() async throws {
        try await withSASL { site in
            let verifier = try ScramCredential.make("pencil")
            site.perform(.setCredential(NewCredential(verifier: verifier)))
            let real = try await challenge(site, "alice")
            let made = try await challenge(site, "nobody")
            #expect(real.count == made.count)
            #expect(real.suffix(8) == made.suffix(8), "the same count of iterations")
            same(try await challenge(site, "nobody"), made)
            differ(try await challenge(site, "nobody2"), made)
        }
    }

    @Test func itsSaltIsTheSameAfterARestart() async throws {
        var seen: [String] = []
        for _ in 0..<2 {
            try await withSASL { site in seen.append(try await challenge(site, "nobody")) }
        }
        #expect(seen[0] == seen[1])
        try await withSASL(key: Array(repeating: 2, count: 32)) { site in
            differ(try await challenge(site, "nobody"), seen[0])
        }
    }

    @Test func theChallengeOfAnAccountDoesNotDependOnWhetherItMayLogIn() async throws {
        try await withSASL { site in
            let before = try await challenge(site, "alice")
            site.perform(.setStatus(.disabled))
            same(try await challenge(site, "alice"), before)
            same(try await ScramClient().logIn(site, "SCRAM-SHA-256").outcome, "denied")
            site.perform(.setStatus(.active))
            same(try await ScramClient().logIn(site, "SCRAM-SHA-256").outcome, "success \(site.alice.rawValue)")
        }
    }

    @Test func aCredentialOfAnotherScopeOrThatHasExpiredProvesNothing() async throws {
        try await withSASL { site in
            let verifier = try ScramCredential.make("pencil", iterations: 4_096)
            site.perform(.setCredential(NewCredential(scopes: [.pop3], verifier: verifier)))
            same(try await ScramClient().logIn(site, "SCRAM-SHA-256").outcome, "denied")
            let pop3 = site.context(.pop3)
            same(try await ScramClient().logIn(site, "SCRAM-SHA-256", pop3).outcome, "success \(site.alice.rawValue)")
            site.perform(
                .setCredential(NewCredential(expires: Timestamp(seconds: 1_799_999_999), verifier: verifier)))
            same(try await ScramClient().logIn(site, "SCRAM-SHA-256").outcome, "denied")
            #expect(await site.converse("PLAIN", ["\0alice\0pencil"]).outcome == "denied")
        }
    }

    @Test func aLabelPicksTheCredential() async throws {
        try await withSASL { site in
            let phone = try ScramCredential.make("phone secret", iterations: 4_096)
            site.perform(.setCredential(NewCredential(label: "phone", scopes: [.imap], verifier: phone)))
            var client = ScramClient(user: "alice@example.test/phone", password: "phone secret")
            let success = "success \(site.alice.rawValue)"
            same(try await client.logIn(site, "SCRAM-SHA-256").outcome, success)
            same(try await client.logIn(site, "SCRAM-SHA-256", site.context(.pop3)).outcome, "denied")
            #expect(await site.converse("PLAIN", ["\0alice\0phone secret"]).outcome == success)
            #expect(await site.converse("PLAIN", ["\0alice@example.test/phone\0pencil"]).outcome == "denied")
            client.user = "alice@example.test"
            same(try await client.logIn(site, "SCRAM-SHA-256").outcome, "denied", "the main one is offered")
            client.password = "pencil"
            same(try await client.logIn(site, "SCRAM-SHA-256").outcome, success)
        }
    }

    @Test func anExchangeOutlivedByItsCredentialFails() async throws {
        try await withSASL { site in
            let client = ScramClient()
            let (exchange, answer) = await site.begin("SCRAM-SHA-256", Array(client.first.utf8))
            guard case .challenge(let octets) = answer else { throw SASLTestError.unexpected(answer) }
            let last = try client.last(octets)
            site.perform(.setCredential(NewCredential(verifier: try ScramCredential.make("new", iterations: 4_096))))
            _ = await exchange?.step(last.message)
            #expect(await exchange?.step("").outcome == "denied")
        }
    }

    @Test func failuresOfAllMechanismsCountTogether() async throws {
        try await withSASL({
            $0.failuresMax = 3
            $0.delayFirst = .milliseconds(500)
            $0.forgivenessPeriod = .hours(1)
        }) { site in
            var client = ScramClient(password: "wrong")
            same(try await client.logIn(site, "SCRAM-SHA-256").outcome, "denied")
            #expect(await site.converse("PLAIN", ["\0alice\0wrong"]).outcome == "denied")
            #expect(await site.converse("LOGIN", ["alice", "wrong"]).outcome == "denied")
            client.password = "pencil"
            same(try await client.logIn(site, "SCRAM-SHA-256").outcome, "denied")
            let other = site.context(from: "198.51.100.7")
            same(try await client.logIn(site, "SCRAM-SHA-256", other).outcome, "success \(site.alice.rawValue)")
        }
    }

    @Test func anAnswerIsHeldBackFromTheBeginningOfTheAttempt() {
        let now = NIODeadline.now()
        let old = LoginAnswer(verdict: .denied, delay: .seconds(20), attempted: now - .seconds(10))
        #expect(old.wait <= .seconds(10))
        #expect(LoginAnswer(verdict: .denied, delay: .seconds(1), attempted: now - .seconds(10)).wait == .zero)
    }
}
