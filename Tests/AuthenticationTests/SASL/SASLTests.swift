// Every mechanism against a real account: success, and each way to fail.
import Digests
import MailCore
import MailTypes
import NIOCore
import Octets
import Synchronization
import Testing

@testable import Authentication

@Suite struct SASLTests {
    @Test func mechanismsDependOnTheConnection() async throws {
        try await withSASL { site in
            #expect(site.sasl.mechanisms(site.context(plaintext: false)) == ["SCRAM-SHA-256", "SCRAM-SHA-1"])
            let scram = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"]
            #expect(site.sasl.mechanisms(site.context()) == scram)
            let plus = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"]
            #expect(site.sasl.mechanisms(site.context(channel: SASLSite.channel)) == plus + scram)
            var channel = SASLSite.channel
            channel.exporter = nil
            #expect(site.sasl.mechanisms(site.context(channel: channel)) == scram)
            channel.certificateAddresses = ["alice@example.test"]
            #expect(
                site.sasl.mechanisms(site.context(channel: channel)) == [
                    "SCRAM-SHA-256", "SCRAM-SHA-1", "EXTERNAL", "PLAIN", "LOGIN",
                ])
        }
        try await withSASL({ $0.mechanisms = [.scramSHA256, .login] }) { site in
            #expect(site.sasl.mechanisms(site.context()) == ["SCRAM-SHA-256", "LOGIN"])
            #expect(await site.converse("PLAIN", ["\0alice\0pencil"]).outcome == "unknownMechanism")
        }
    }

    @Test(arguments: ["CRAM-MD5", "DIGEST-MD5", "NTLM", "ANONYMOUS", "", "GSSAPI", "SCRAM-SHA-512", "OAUTHBEARER"])
    func whatIsNotOfferedIsUnknown(_ name: String) async throws {
        try await withSASL { site in
            #expect(await site.converse(name, [""]).outcome == "unknownMechanism")
            #expect(site.sasl.exchangesUnderWay == 0)
        }
    }

    @Test func aPlainTextMechanismNeedsEncryption() async throws {
        try await withSASL { site in
            let bare = site.context(plaintext: false)
            #expect(await site.converse("PLAIN", ["\0alice\0pencil"], bare).outcome == "encryptionRequired")
            #expect(await site.converse("LOGIN", ["alice", "pencil"], bare).outcome == "encryptionRequired")
            #expect(await site.converse("OAUTHBEARER", [""], bare).outcome == "unknownMechanism")
        }
    }

    // MARK: PLAIN and LOGIN

    @Test(arguments: [
        ("\0alice\0pencil", "success"), ("\0alice@example.test\0pencil", "success"),
        ("alice@example.test\0alice\0pencil", "success"), ("alice\0alice\0pencil", "success"),
        ("\0alice\0pen", "denied"), ("\0nobody\0pencil", "denied"), ("bob\0alice\0pencil", "denied"),
        ("\0alice\0", "denied"), ("\0\0pencil", "denied"), ("alice", "denied"), ("", "denied"),
        ("\0alice\0pencil\0", "denied"), ("\0alice@example.test/password\0pencil", "success"),
        ("\0alice@example.test/other\0pencil", "denied"), ("\0\u{FF}\0pencil", "denied"),
    ])
    func plain(_ message: String, _ expected: String) async throws {
        try await withSASL { site in
            let outcome = await site.converse("PLAIN", [message]).outcome
            #expect(outcome == (expected == "success" ? "success \(site.alice.rawValue)" : expected))
        }
    }

    @Test func withoutAnInitialResponseTheClientIsAskedForIt() async throws {
        try await withSASL { site in
            let (exchange, answer) = await site.begin("plain", nil)
            #expect(answer == .challenge([]))
            #expect(await exchange?.step("\0alice\0pencil").outcome == "success \(site.alice.rawValue)")
            #expect(site.sasl.exchangesUnderWay == 0)
        }
    }

    @Test func loginAsksForNameAndPassword() async throws {
        try await withSASL { site in
            let (exchange, answer) = await site.begin("LOGIN", nil)
            #expect(answer.outcome == "challenge Username:")
            #expect(await exchange?.step("alice").outcome == "challenge Password:")
            #expect(await exchange?.step("pencil").outcome == "success \(site.alice.rawValue)")
            #expect(await site.converse("LOGIN", ["alice", "pencil"]).outcome == "success \(site.alice.rawValue)")
            #expect(await site.converse("LOGIN", ["alice", "wrong"]).outcome == "denied")
            #expect(await site.converse("LOGIN", ["nobody", "pencil"]).outcome == "denied")
        }
    }

    // MARK: SCRAM

    @Test(arguments: [DigestAlgorithm.sha256, .sha1])
    func scram(_ algorithm: DigestAlgorithm) async throws {
        try await withSASL { site in
            let name = "SCRAM-\(algorithm.rawValue)"
            let client = ScramClient(algorithm: algorithm)
            let success = "success \(site.alice.rawValue)"
            same(try await client.logIn(site, name).outcome, success)
            var changed = client
            changed.user = "alice"
            changed.authorization = "alice@example.test"
            same(try await changed.logIn(site, name).outcome, success)
            changed.authorization = "bob"
            same(try await changed.logIn(site, name).outcome, "denied")
            changed = client
            changed.password = "wrong"
            same(try await changed.logIn(site, name).outcome, "denied")
            changed = client
            changed.spoilsProof = true
            same(try await changed.logIn(site, name).outcome, "denied")
            changed = client
            changed.user = "nobody"
            same(try await changed.logIn(site, name).outcome, "denied")
            #expect(site.sasl.exchangesUnderWay == 0)
        }
    }

    @Test(arguments: [DigestAlgorithm.sha256, .sha1], ["tls-exporter", "tls-server-end-point"])
    func scramPlus(_ algorithm: DigestAlgorithm, _ binding: String) async throws {
        try await withSASL { site in
            let name = "SCRAM-\(algorithm.rawValue)-PLUS"
            let context = site.context(channel: SASLSite.channel)
            let data = try #require(SASLSite.channel.binding(named: binding))
            let client = ScramClient(algorithm: algorithm, flag: "p=\(binding)", binding: data)
            same(try await client.logIn(site, name, context).outcome, "success \(site.alice.rawValue)")
            var changed = client
            changed.binding = data.reversed().map { $0 ^ 1 }
            same(try await changed.logIn(site, name, context).outcome, "denied")
            changed.binding = []
            same(try await changed.logIn(site, name, context).outcome, "denied")
            changed = client
            changed.flag = "p=tls-unique"
            same(try await changed.logIn(site, name, context).outcome, "denied")
            for flag in ["n", "y"] {
                changed = client
                changed.flag = flag
                changed.binding = []
                same(try await changed.logIn(site, name, context).outcome, "denied")
            }
            // A binding in the mechanism that has none.
            same(try await client.logIn(site, "SCRAM-\(algorithm.rawValue)", context).outcome, "denied")
            same(try await client.logIn(site, name).outcome, "unknownMechanism")
        }
    }

    @Test func aClientThatWasToldWeCannotBindHasBeenLiedTo() async throws {
        try await withSASL { site in
            let client = ScramClient(flag: "y")
            let plus = site.context(channel: SASLSite.channel)
            same(try await client.logIn(site, "SCRAM-SHA-256", plus).outcome, "denied")
            same(try await client.logIn(site, "SCRAM-SHA-256").outcome, "success \(site.alice.rawValue)")
        }
    }

    @Test(arguments: [
        "", ",", "n", "x,,n=alice,r=a", "p=,,n=alice,r=a", "n,", "n,,", "n,,n=alice", "n,,r=a", "n,,n=,r=a",
        "n,,n=al\0ice,r=abcdefgh", "n,,m=x,n=alice,r=a", "n,b=x,n=alice,r=a",
        "n,,n=a=2Xlice,r=abcdefgh", "n,,n=alice,r=" + String(repeating: "x", count: 9_000),
    ])
    func aBrokenFirstMessageOfScramIsRefused(_ message: String) async throws {
        try await withSASL { site in
            let outcome = await site.converse("SCRAM-SHA-256", [message]).outcome
            #expect(["denied", "malformed"].contains(outcome), "\(outcome)")
            #expect(site.sasl.exchangesUnderWay == 0)
        }
    }

    @Test(arguments: ["", "c=biws", "x", "c=biws,r=wrong,p=AAAA", "\0", "c=biws,r=%,p=", "c=biws,r=%,p=AAAA,x=y"])
    func aBrokenLastMessageOfScramIsRefused(_ message: String) async throws {
        try await withSASL { site in
            let (exchange, answer) = await site.begin("SCRAM-SHA-256", Array(ScramClient().first.utf8))
            guard case .challenge(let challenge) = answer else { throw SASLTestError.unexpected(answer) }
            let nonce = String(decoding: challenge, as: UTF8.self).split(separator: ",")[0].dropFirst(2)
            let parts = message.split(separator: "%", omittingEmptySubsequences: false)
            #expect(await exchange?.step(parts.joined(separator: String(nonce))).outcome == "denied")
            // Nothing comes after the end.
            #expect(await exchange?.step("").outcome == "malformed")
        }
    }

    // MARK: Bounds

    @Test func anOverlongMessageEndsTheExchange() async throws {
        try await withSASL { site in
            let long = String(repeating: "x", count: AuthenticationLimits.messageOctetsMax + 1)
            #expect(await site.converse("PLAIN", [long]).outcome == "malformed")
            #expect(await site.converse("PLAIN", [String(long.dropLast())]).outcome == "denied")
            #expect(site.sasl.exchangesUnderWay == 0)
        }
    }

    @Test func exchangesUnderWayAreBoundedAndEndWithTheirConnection() async throws {
        try await withSASL({ $0.exchangesMax = 2 }) { site in
            var exchanges: [SASLExchange?] = []
            for _ in 0..<2 { exchanges.append(await site.begin("LOGIN", nil).0) }
            #expect(await site.begin("LOGIN", nil).1.outcome == "unavailable")
            exchanges[0]?.cancel()
            exchanges[0]?.cancel()
            #expect(site.sasl.exchangesUnderWay == 1)
            #expect(await site.begin("LOGIN", nil).1.outcome == "challenge Username:")
            exchanges = []
            #expect(site.sasl.exchangesUnderWay == 0)
        }
    }

    @Test func exchangesOfManyThreadsAtOnce() async throws {
        try await withSASL { site in
            let good = try await withThrowingTaskGroup(of: Int.self) { group in
                for worker in 0..<8 {
                    group.addTask {
                        var good = 0
                        for turn in 0..<25 {
                            var client = ScramClient(algorithm: turn % 2 == 0 ? .sha256 : .sha1)
                            if (worker + turn) % 5 == 0 { client.password = "wrong" }
                            let answer = try await client.logIn(site, "SCRAM-\(client.algorithm.rawValue)")
                            let success = "success \(site.alice.rawValue)"
                            if answer.outcome == success { good += 1 }
                            if await site.converse("PLAIN", ["\0alice\0pencil"]).outcome == success { good += 1 }
                        }
                        return good
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(good == 8 * 25 * 2 - 8 * 5)
        }
    }
}

enum SASLTestError: Error {
    case unexpected(SASLAnswer)
}
