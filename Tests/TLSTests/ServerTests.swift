// What a server presents, to whom, and how that changes.
import COpenSSL
import Testing

@testable import TLS

@Suite struct ServerTests {
    @Test(arguments: [
        ("mail.example.test", "mail.example.test"), ("MX.Example.NET", "mx.example.net"),
        ("a.wild.test", "*.wild.test"), ("a.b.wild.test", "mail.example.test"), ("wild.test", "mail.example.test"),
        ("elsewhere.test", "mail.example.test"),
    ])
    func theNameChoosesTheCertificate(asked: String, presented: String) throws {
        let server = try server { options in
            options.named = [
                "mx.example.net": try credential("mx.example.net"), "*.wild.test": try credential("wild.test"),
            ]
        }
        let session = try server.makeSession(applicationProtocol: "imap")
        let client = MemoryClient(name: asked)
        try shakeHands(client, session)
        #expect(client.subject == (presented == "*.wild.test" ? "wild.test" : presented))
        #expect(session.info?.serverName == asked.lowercased())
        let certificate = try #require(SSL_get0_peer_certificate(client.ssl))
        #expect(session.channelBinding(.serverEndPoint) == digest(of: certificate, EVP_sha256()))
    }

    @Test func protocolsByALPN() throws {
        let server = try server()
        func shake(_ offered: [String], as ours: String) throws -> String? {
            let client = MemoryClient(protocols: offered)
            let session = try server.makeSession(applicationProtocol: ours)
            try shakeHands(client, session)
            #expect(session.info?.applicationProtocol == client.chosenProtocol)
            return client.chosenProtocol
        }
        #expect(try shake([], as: "imap") == nil)
        #expect(try shake(["imap"], as: "imap") == "imap")
        #expect(try shake(["h2", "http/1.1", "pop3"], as: "pop3") == "pop3")
        let error = #expect(throws: ClientFailure.self) { try shake(["h2", "http/1.1"], as: "imap") }
        #expect(error?.description.contains("no application protocol") == true)
    }

    // MARK: Tickets

    /// Shakes hands with a server; gives the client and the session it may resume.
    private func visit(
        _ server: TLSServer, resuming: OpaquePointer? = nil, version: CInt = TLS1_3_VERSION,
        set: (OpaquePointer) -> Void = { _ in }
    ) throws -> (isResumed: Bool, ticket: OpaquePointer?) {
        let client = MemoryClient { context in
            _ = ll_ctx_set_versions(context, version, version)
            set(context)
        }
        if let resuming { SSL_set_session(client.ssl, resuming) }
        let session = try server.makeSession(applicationProtocol: "imap")
        try shakeHands(client, session)
        #expect(session.info?.isResumed == client.isResumed)
        try client.write([1])
        #expect(session.take(client.takeOutput()) == Reading(plain: [1]))
        // libssl's client does not resume what it has not ended.
        client.end()
        return (client.isResumed, SSL_get1_session(client.ssl))
    }

    @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func ticketsResume(version: CInt) throws {
        let clock = FakeClock()
        let server = try server(clock: clock)
        let first = try visit(server, version: version)
        defer { SSL_SESSION_free(first.ticket) }
        #expect(!first.isResumed)
        let second = try visit(server, resuming: first.ticket, version: version)
        defer { SSL_SESSION_free(second.ticket) }
        #expect(second.isResumed)
        // Also with other certificates.
        try server.replace(with: TLSServerOptions(main: try credential("new.example.test")))
        let third = try visit(server, resuming: second.ticket, version: version)
        defer { SSL_SESSION_free(third.ticket) }
        #expect(third.isResumed)
        // The key that sealed it opens it for a while after the next has taken its place.
        clock.now += Int64(TLSLimits.ticketSecondsMax)
        let fourth = try visit(server, resuming: third.ticket, version: version)
        SSL_SESSION_free(fourth.ticket)
        #expect(fourth.isResumed)
        clock.now += Int64(TLSLimits.ticketSecondsMax)
        let late = try visit(server, resuming: third.ticket, version: version)
        SSL_SESSION_free(late.ticket)
        #expect(!late.isResumed)
    }

    @Test func anotherServersTicketsAreNotTaken() throws {
        let first = try visit(try server())
        defer { SSL_SESSION_free(first.ticket) }
        let other = try visit(try server(), resuming: first.ticket)
        SSL_SESSION_free(other.ticket)
        #expect(!other.isResumed)
    }

    // MARK: Clients' certificates

    @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func certificatesOfClients(version: CInt) throws {
        let authority = try TestAuthority("People")
        let stranger = try TestAuthority("Strangers")
        let server = try server { $0.authority = try TLSAuthority(certificates: authority.pem) }
        func present(_ issued: Issued?) throws -> ClientCertificate? {
            let client = MemoryClient { context in
                _ = ll_ctx_set_versions(context, version, version)
                if let issued {
                    SSL_CTX_use_certificate(context, issued.certificate)
                    SSL_CTX_use_PrivateKey(context, issued.key)
                }
            }
            let session = try server.makeSession(applicationProtocol: "imap")
            try shakeHands(client, session)
            return session.info?.clientCertificate
        }
        #expect(try present(nil) == nil)
        let alice = try #require(try present(try authority.issue("Alice", mail: ["alice@example.test", "a@b.test"])))
        #expect(alice.commonName == "Alice" && alice.mailAddresses == ["alice@example.test", "a@b.test"])
        #expect(alice.subject == "CN=Alice" && alice.issuer == "CN=People" && alice.fingerprint.count == 32)
        for wrong in [
            try stranger.issue("Alice", mail: ["alice@example.test"]),
            try authority.issue("Alice", mail: [], days: -1),
            try authority.issue("Alice", mail: [], usage: "serverAuth"),
        ] {
            #expect(throws: (any Error).self) { try present(wrong) }
        }
    }

    @Test func ticketsEndWithTheirAuthority() throws {
        let authority = try TestAuthority("People")
        let alice = try authority.issue("Alice", mail: ["alice@example.test"])
        let present = { (context: OpaquePointer) in
            SSL_CTX_use_certificate(context, alice.certificate)
            SSL_CTX_use_PrivateKey(context, alice.key)
            return ()
        }
        let main = try credential("mail.example.test")
        var options = TLSServerOptions(main: main)
        options.authority = try TLSAuthority(certificates: authority.pem)
        let server = try TLSServer(options) { 0 }
        let first = try visit(server, set: present)
        defer { SSL_SESSION_free(first.ticket) }
        let again = try visit(server, resuming: first.ticket, set: present)
        SSL_SESSION_free(again.ticket)
        #expect(again.isResumed)
        options.authority = try TLSAuthority(certificates: try TestAuthority("Others").pem)
        try server.replace(with: options)
        let last = try visit(server, resuming: first.ticket)
        SSL_SESSION_free(last.ticket)
        #expect(!last.isResumed)
    }

    @Test func sessionsKeepWhatTheyBeganWith() throws {
        let server = try server("old.example.test")
        let session = try server.makeSession(applicationProtocol: "imap")
        let client = MemoryClient()
        try server.replace(with: TLSServerOptions(main: try credential("new.example.test")))
        try shakeHands(client, session)
        #expect(client.subject == "old.example.test")
        let later = MemoryClient()
        try shakeHands(later, try server.makeSession(applicationProtocol: "imap"))
        #expect(later.subject == "new.example.test")
        try client.write([5])
        #expect(session.take(client.takeOutput()).plain == [5])
    }
}
