// OAUTHBEARER and XOAUTH2: their messages, what becomes of a token, and what a token service's answer says.
import Foundation
import MailCore
import MailTypes
import Synchronization
import Testing

@testable import Authentication

@Suite struct TokenTests {
    /// Knows one token, of alice.
    private final class Service: TokenService {
        let asked = Mutex<[String]>([])
        func judge(_ token: [UInt8], completion: @escaping @Sendable (TokenVerdict) -> Void) {
            let text = String(decoding: token, as: UTF8.self)
            asked.withLock { $0.append(text) }
            switch text {
            case "good": completion(.active(name: "alice@example.test"))
            case "stranger": completion(.active(name: "nobody@example.test"))
            case "silent": completion(.unavailable)
            default: completion(.inactive)
            }
        }
    }

    @Test(arguments: [
        ("n,,\u{1}auth=Bearer abc\u{1}\u{1}", "", "abc"),
        (
            "n,a=alice=2Cb=3Dc,\u{1}host=x\u{1}port=143\u{1}auth=bearer a.b-c_d~e+f/g==\u{1}\u{1}", "alice,b=c",
            "a.b-c_d~e+f/g=="
        ),
        ("y,a=x,\u{1}auth=BEARER abc\u{1}host=\u{1}\u{1}", "x", "abc"),
    ])
    func oauthBearer(_ text: String, _ authorization: String, _ token: String) throws {
        let message = try #require(TokenMessage(Array(text.utf8), .oauthBearer))
        #expect(message.authorization == authorization)
        #expect(message.token == Array(token.utf8))
        #expect("\(message) \(String(reflecting: message))".contains(token) == false)
    }

    @Test(arguments: [
        "", "n", "n,,", "n,,\u{1}", "n,,\u{1}\u{1}", "n,,\u{1}auth=Bearer \u{1}\u{1}",
        "n,,\u{1}auth=Bearer a b\u{1}\u{1}",
        "n,,\u{1}auth=Basic abc\u{1}\u{1}", "n,,\u{1}auth=Bearer abc\u{1}", "n,,\u{1}auth=Bearer abc",
        "p=tls-exporter,,\u{1}auth=Bearer abc\u{1}\u{1}", "n,x,\u{1}auth=Bearer abc\u{1}\u{1}",
        "n,a=,\u{1}auth=Bearer abc\u{1}\u{1}", "n,a=x=2,\u{1}auth=Bearer abc\u{1}\u{1}",
        "n,,\u{1}auth=Bearer abc\u{1}auth=Bearer abc\u{1}\u{1}", "n,,\u{1}=x\u{1}auth=Bearer abc\u{1}\u{1}",
        "n,,\u{1}a1=x\u{1}auth=Bearer abc\u{1}\u{1}", "n,,x\u{1}auth=Bearer abc\u{1}\u{1}",
        "n,,\u{1}auth=Bearer =a\u{1}\u{1}",
        "n,,\u{1}auth=Bearer\u{0}abc\u{1}\u{1}",
    ])
    func isNoOAuthBearer(_ text: String) { #expect(TokenMessage(Array(text.utf8), .oauthBearer) == nil) }

    @Test func xoauth2() {
        let message = TokenMessage(Array("user=alice@example.test\u{1}auth=Bearer abc\u{1}\u{1}".utf8), .xoauth2)
        #expect(message?.authorization == "alice@example.test")
        #expect(message?.token == Array("abc".utf8))
        for text in [
            "", "user=", "user=\u{1}auth=Bearer abc\u{1}\u{1}", "user=a\u{1}auth=Bearer abc\u{1}",
            "auth=Bearer abc\u{1}\u{1}",
        ] {
            #expect(TokenMessage(Array(text.utf8), .xoauth2) == nil)
        }
    }

    @Test func whoHasAGoodTokenIsIn() async throws {
        try await withSASL(tokens: Service()) { site in
            #expect(site.sasl.mechanisms(site.context()).suffix(4) == ["OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"])
            #expect(!site.sasl.mechanisms(site.context(plaintext: false)).contains("OAUTHBEARER"))
            let success = "success \(site.alice.rawValue)"
            func bearer(_ name: String, _ token: String) -> String {
                "n,\(name.isEmpty ? "" : "a=" + name),\u{1}auth=Bearer \(token)\u{1}\u{1}"
            }
            #expect(await site.converse("OAUTHBEARER", [bearer("", "good")]).outcome == success)
            #expect(await site.converse("OAUTHBEARER", [bearer("alice", "good")]).outcome == success)
            #expect(await site.converse("XOAUTH2", ["user=alice\u{1}auth=Bearer good\u{1}\u{1}"]).outcome == success)
            #expect(await site.converse("OAUTHBEARER", [bearer("", "silent")]).outcome == "unavailable")
            #expect(await site.converse("OAUTHBEARER", ["nonsense"]).outcome == "malformed")
            for message in [bearer("", "bad"), bearer("bob", "good"), bearer("", "stranger")] {
                let (exchange, answer) = await site.begin("OAUTHBEARER", Array(message.utf8))
                #expect(answer.outcome == #"challenge {"status":"invalid_token"}"#)
                #expect(await exchange?.step("\u{1}").outcome == "denied")
            }
            site.perform(.setStatus(.disabled))
            #expect(await site.converse("OAUTHBEARER", [bearer("", "good"), "\u{1}"]).outcome == "denied")
            #expect(site.sasl.exchangesUnderWay == 0)
        }
    }

    @Test func withoutATokenServiceThereAreNone() async throws {
        try await withSASL { site in
            #expect(
                await site.converse("XOAUTH2", ["user=a\u{1}auth=Bearer good\u{1}\u{1}"]).outcome == "unknownMechanism")
        }
    }

    // MARK: The service's answer

    private func read(_ text: String, _ change: (inout TokenIntrospectionOptions) -> Void = { _ in }) -> String {
        var options = TokenIntrospectionOptions(endpoint: TokenEndpoint("http://127.0.0.1/")!)
        change(&options)
        let found = TokenIntrospection.read(Array(text.utf8), options, now: 1_000)
        return found.map { "\($0.verdict) \($0.secondsLeft.map(String.init) ?? "-")" } ?? "nothing"
    }

    @Test func whatAnAnswerSays() {
        #expect(read(#"{"active":true,"username":"a"}"#) == #"active(name: "a") -"#)
        #expect(read(#"{"active":true,"username":"a","exp":1060}"#) == #"active(name: "a") 60"#)
        #expect(read(#"{"active":true,"username":"a","exp":1000}"#) == "inactive -")
        #expect(read(#"{"active":true,"username":"a","nbf":1001}"#) == "inactive -")
        #expect(read(#"{"active":false}"#) == "inactive -")
        #expect(read(#"{"active":true,"sub":"a"}"#) == "inactive -")
        #expect(read(#"{"active":true,"email":"a@b"}"#) { $0.nameMember = "email" } == #"active(name: "a@b") -"#)
        #expect(read(#"{"active":true,"username":"a","scope":"x mail y"}"#) { $0.scope = "mail" }.hasPrefix("active"))
        #expect(read(#"{"active":true,"username":"a","scope":"mailx"}"#) { $0.scope = "mail" } == "inactive -")
        #expect(read(#"{"active":true,"username":"a"}"#) { $0.scope = "mail" } == "inactive -")
        for text in [
            "", "[]", "{}", "true", #"{"active":"true"}"#, "{", "\u{0}", String(repeating: "[", count: 60_000),
        ] {
            #expect(read(text) == "nothing", "\(text.prefix(20))")
        }
    }

    @Test(arguments: [
        ("http://127.0.0.1:8080/introspect?x=1", true), ("http://localhost/", true), ("http://[::1]:1/", true),
        ("https://login.example.test/oauth2/introspect", true), ("http://login.example.test/", false),
        ("https://user:pass@x/", false), ("ftp://127.0.0.1/", false), ("", false), ("https://", false),
        ("https://x/#a", false), ("http://127.0.0.1.example.test/", false),
    ])
    func endpoints(_ text: String, _ isTaken: Bool) { #expect((TokenEndpoint(text) != nil) == isTaken) }
}
