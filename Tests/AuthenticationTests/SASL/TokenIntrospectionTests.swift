// The question to a token service over sockets: what a service may do, and what becomes of the login.
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import TLS
import Testing

@testable import Authentication

private func response(_ body: String, head: String = "HTTP/1.1 200 OK\r\n") -> String {
    head + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body
}

private let good = #"{"active":true,"username":"alice@example.test"}"#

/// A question, its verdict, and what was reported.
private func ask(
    _ port: Int, _ token: String = "a.token", scheme: String = "http", host: String = "127.0.0.1",
    encryption: TokenIntrospection.Encryption? = nil, timeout: TimeAmount = .seconds(60)
) async throws -> (verdict: TokenVerdict, report: String) {
    var options = TokenIntrospectionOptions(
        endpoint: try #require(TokenEndpoint("\(scheme)://\(host):\(port)/introspect?x=1")))
    options.client = ("mail server", "the+secret")
    options.timeout = timeout
    let reports = Mutex<[String]>([])
    let service = TokenIntrospection(
        options, encryption: encryption, report: { text in reports.withLock { $0.append(text) } }, clock: { 1_000 })
    let verdict = await withCheckedContinuation { continuation in
        service.judge(Array(token.utf8)) { continuation.resume(returning: $0) }
    }
    let said = reports.withLock { $0 }
    #expect(said.count <= 1 && !said.joined().contains(token) && !said.joined().contains("secret"))
    return (verdict, said.first ?? "")
}

@Suite struct TokenIntrospectionTests {
    @Test func aGoodAnswer() async throws {
        try await TokenServiceStub.with(.says(response(good))) { stub in
            let found = try await ask(stub.port)
            #expect(found.verdict == .active(name: "alice@example.test"))
            let question = try #require(stub.questions.withLock { $0.first })
            #expect(question.hasPrefix("POST /introspect?x=1 HTTP/1.1\r\n"))
            #expect(question.hasSuffix("\r\n\r\ntoken=a.token&token_type_hint=access_token"))
            // "mail%20server:the%2Bsecret"
            #expect(question.contains("Basic bWFpbCUyMHNlcnZlcjp0aGUlMkJzZWNyZXQ="))
        }
        // In chunks, behind an interim answer, and to the end of the connection.
        let chunked = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for text in [
            chunked + "10\r\n\(good.prefix(16))\r\n\(String(good.utf8.count - 16, radix: 16))\r\n"
                + "\(good.dropFirst(16))\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\n" + good,
        ] {
            try await TokenServiceStub.with(.says(text)) { stub in
                let found = try await ask(stub.port)
                #expect(found.verdict == .active(name: "alice@example.test"))
            }
        }
    }

    /// What a service does, and what the log says of it.
    struct BadService: Sendable, CustomTestStringConvertible {
        let manner: ServiceManner
        let report: String
        init(_ manner: ServiceManner, _ report: String) { (self.manner, self.report) = (manner, report) }
        var testDescription: String { "\(manner)".prefix(80) + " -> " + report }
    }

    static let badServices: [BadService] = [
        BadService(.silent, "no answer within 300 ms"),
        BadService(.repeats("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", ""), "no answer within 300 ms"),
        BadService(.closes, "the connection is closed before the answer is complete"),
        BadService(
            .says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"active\":true"),
            "stream ended at an unexpected time"),
        BadService(.says("220 smtp.example.test ESMTP\r\n"), "invalid constant string"),
        BadService(.says("\0\u{1}\u{2}\r\n\r\n"), "invalid constant string"),
        BadService(.says(response(good, head: "HTTP/1.1 500 Oops\r\n")), "it answers with status 500"),
        BadService(.says(response(good, head: "HTTP/1.1 401 No\r\n")), "it answers with status 401"),
        BadService(.says(response(good, head: "HTTP/1.1 302 Found\r\nLocation: /\r\n")), "it answers with status 302"),
        BadService(.says(response(good, head: "HTTP/1.1 204 Nothing\r\n")), "it answers with status 204"),
        BadService(.says(response("<html>")), "the answer is not that of RFC 7662"),
        BadService(.says(response("")), "the answer is not that of RFC 7662"),
        BadService(.says(response(#"{"active":"yes"}"#)), "the answer is not that of RFC 7662"),
        BadService(
            .says(response(String(repeating: " ", count: AuthenticationLimits.tokenAnswerOctetsMax) + "{}")),
            "the answer has more than 65536 octets"),
        BadService(
            .repeats(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "1000\r\n\(String(repeating: " ", count: 4_096))\r\n"), "octets"),
        BadService(
            .repeats("HTTP/1.1 200 OK\r\n", "X-More: " + String(repeating: "x", count: 1_000) + "\r\n"),
            "the response has more than \(AuthenticationLimits.tokenResponseOctetsMax) octets"),
        BadService(
            .repeats("", "HTTP/1.1 100 Continue\r\nX: " + String(repeating: "x", count: 1_000) + "\r\n\r\n"),
            "the response has more than \(AuthenticationLimits.tokenResponseOctetsMax) octets"),
    ]

    @Test(arguments: badServices)
    func aServiceThatCannotBeUsed(_ service: BadService) async throws {
        let (manner, report) = (service.manner, service.report)
        try await TokenServiceStub.with(manner) { stub in
            // Only those that say nothing are left by time.
            let timeout = report.hasPrefix("no answer") ? TimeAmount.milliseconds(300) : .seconds(60)
            let found = try await ask(stub.port, timeout: timeout)
            #expect(found.verdict == .unavailable)
            #expect(found.report.contains(report), "\(found.report)")
            #expect(stub.sent.load(ordering: .relaxed) < TokenServiceStub.sentOctetsMax, "it is left")
        }
    }

    @Test func aServiceThatIsNotThere() async throws {
        let port = try await TokenServiceStub.with(.silent) { $0.port }
        let found = try await ask(port)
        #expect(found.verdict == .unavailable && found.report.hasPrefix("no connection: "))
    }

    @Test func questionsThatWaitAreFew() async throws {
        try await TokenServiceStub.with(.silent) { stub in
            var options = TokenIntrospectionOptions(
                endpoint: try #require(TokenEndpoint("http://127.0.0.1:\(stub.port)/")))
            options.timeout = .milliseconds(500)
            let reports = Mutex<[String]>([])
            let service = TokenIntrospection(
                options, report: { text in reports.withLock { $0.append(text) } }, clock: { 1_000 })
            let verdicts = await withTaskGroup(of: TokenVerdict.self) { group in
                for number in 0..<(2 * AuthenticationLimits.tokenQuestionsMax) {
                    group.addTask {
                        await withCheckedContinuation { continuation in
                            service.judge(Array("token\(number)".utf8)) { continuation.resume(returning: $0) }
                        }
                    }
                }
                return await group.reduce(into: [TokenVerdict]()) { $0.append($1) }
            }
            #expect(verdicts.allSatisfy { $0 == .unavailable })
            #expect(verdicts.count == 2 * AuthenticationLimits.tokenQuestionsMax)
            #expect(stub.questions.withLock { $0.count } <= AuthenticationLimits.tokenQuestionsMax)
            #expect(reports.withLock { $0.count } == 1, "once a minute")
        }
    }

    @Test func theSecretCannotBePrinted() throws {
        var options = TokenIntrospectionOptions(endpoint: try #require(TokenEndpoint("https://tokens.example.test/")))
        options.client = ("mail", "the+secret")
        var dumped = ""
        dump(options, to: &dumped)
        for text in ["\(options)", String(reflecting: options), dumped, "\(Optional(options) as Any)"] {
            #expect(!text.contains("the+secret"), "\(text)")
        }
    }

    // MARK: https

    private func server(_ made: SelfSignedCertificate) throws -> TLSServer {
        try TLSServer(
            TLSServerOptions(main: try TLSCredential(certificates: made.certificate, key: made.key))
        ) { 0 }
    }

    private func encryption(_ trust: TLSTrust) throws -> TokenIntrospection.Encryption {
        let client = try TLSClient(TLSClientOptions(trust: trust))
        return { host in try client.makeHandler(host: host, applicationProtocol: "http/1.1") }
    }

    @Test func overTLS() async throws {
        let made = try SelfSignedCertificate.make(hosts: ["localhost"], now: Int64(time(nil)))
        let trust = TLSTrust.authority(try TLSAuthority(certificates: made.certificate))
        try await TokenServiceStub.with(.says(response(good)), tls: try server(made)) { stub in
            let found = try await ask(
                stub.port, scheme: "https", host: "localhost", encryption: try encryption(trust))
            #expect(found.verdict == .active(name: "alice@example.test") && found.report.isEmpty)
            let byAddress = try await ask(stub.port, scheme: "https", encryption: try encryption(trust))
            #expect(byAddress.verdict == .active(name: "alice@example.test"))
        }
    }

    @Test func aServiceThatIsNotTrustedHearsNothing() async throws {
        let made = try SelfSignedCertificate.make(hosts: [], now: Int64(time(nil)))
        let other = try SelfSignedCertificate.make(hosts: [], now: Int64(time(nil)))
        try await TokenServiceStub.with(.says(response(good)), tls: try server(made)) { stub in
            for trust in [TLSTrust.system, .authority(try TLSAuthority(certificates: other.certificate))] {
                let found = try await ask(
                    stub.port, scheme: "https", host: "localhost", encryption: try encryption(trust))
                #expect(found.verdict == .unavailable)
                #expect(found.report.hasPrefix("the server's certificate is not trusted"), "\(found.report)")
            }
            #expect(stub.questions.withLock { $0.isEmpty })
        }
        // Plain where TLS is wanted, and no TLS where it is wanted.
        try await TokenServiceStub.with(.says(response(good))) { stub in
            let plain = try await ask(
                stub.port, scheme: "https", encryption: try encryption(.anyone), timeout: .milliseconds(300))
            #expect(plain.verdict == .unavailable)
            let none = try await ask(stub.port, scheme: "https")
            #expect(none.report == "there is no TLS")
            #expect(stub.questions.withLock { $0.isEmpty })
        }
    }
}
