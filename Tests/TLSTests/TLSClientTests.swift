// Us as a client: whom we take for the server that we want, and what we say of those that we do not.
import COpenSSL
import NIOCore
import NIOEmbedded
import Testing

@testable import TLS

/// A server under a certificate of this authority.
private func server(_ issued: Issued, set: (inout TLSServerOptions) throws -> Void = { _ in }) throws -> TLSServer {
    var options = TLSServerOptions(main: try issued.credential())
    try set(&options)
    return try TLSServer(options) { 0 }
}

private func client(
    _ trust: TLSTrust, set: (inout TLSClientOptions) throws -> Void = { _ in }
) throws -> TLSClient {
    var options = TLSClientOptions(trust: trust)
    try set(&options)
    return try TLSClient(options)
}

/// Both sides in memory until each has shaken hands; throws what the client says, and else what the server says.
private func shakeHands(_ client: TLSSession, _ server: TLSSession, piece: Int = .max) throws {
    var toClient: [UInt8] = []
    for _ in 0..<6 where !client.isEstablished || !server.isEstablished {
        var clientFailure: TLSFailure?
        for part in toClient.isEmpty
            ? [[]]
            : stride(from: 0, to: toClient.count, by: min(piece, toClient.count)).map({
                Array(toClient[$0..<min($0 + min(piece, toClient.count), toClient.count)])
            }) where clientFailure == nil
        {
            clientFailure = client.take(part).failure
        }
        let serverFailure = server.take(client.control()).failure
        toClient = server.control()
        if let clientFailure {
            #expect(serverFailure != nil || server.isEstablished == false, "the server learns it by the alert")
            throw clientFailure
        }
        if let serverFailure {
            if let heard = client.take(toClient).failure { throw heard }
            throw serverFailure
        }
    }
    guard client.isEstablished, server.isEstablished else {
        throw ClientFailure(description: "the handshake does not end")
    }
    #expect(client.take(toClient) == Reading())
}

/// What becomes of a handshake under a name with a server under this certificate; nil when it goes well.
private func failure(
    _ trust: TLSTrust, _ issued: Issued, host: String = "mail.example.test"
) throws -> TLSFailure? {
    let session = try client(trust).makeSession(host: host)
    do {
        try shakeHands(session, try server(issued).makeSession(applicationProtocol: "smtp"))
        return nil
    } catch let failure as TLSFailure {
        return failure
    }
}

@Suite struct TLSClientTests {
    @Test(arguments: [1, 100, Int.max])
    func aServerThatIsTrusted(piece: Int) throws {
        let authority = try TestAuthority("Servers")
        let server = try server(try authority.issue(server: "x", ["DNS:mail.example.test"]))
        let client = try client(.authority(try TLSAuthority(certificates: authority.pem)))
        let theirs = try server.makeSession(applicationProtocol: "imap")
        let ours = try client.makeSession(host: "Mail.Example.Test.", applicationProtocol: "imap")
        try shakeHands(ours, theirs, piece: piece)
        #expect(theirs.info?.serverName == "mail.example.test" && theirs.info?.applicationProtocol == "imap")
        #expect(ours.info?.version == "TLSv1.3" && ours.info?.applicationProtocol == "imap")
        for kind in ChannelBinding.allCases {
            #expect(ours.channelBinding(kind) == theirs.channelBinding(kind) && ours.channelBinding(kind) != nil)
        }
        let large = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(theirs.take(try #require(ours.seal(large))).plain == large)
        #expect(ours.take(try #require(theirs.seal(large))).plain == large)
        ours.end()
        #expect(theirs.take(ours.control()).hasEnded)
    }

    @Test func namesAndAddresses() throws {
        let authority = try TestAuthority("Servers")
        let trust = TLSTrust.authority(try TLSAuthority(certificates: authority.pem))
        let issued = try authority.issue(
            server: "common.test", ["DNS:*.wild.test", "DNS:part*.test", "IP:192.0.2.1", "IP:2001:db8::1"])
        for good in ["a.wild.test", "A.WILD.test", "192.0.2.1", "2001:db8::1", "[2001:db8:0::1]"] {
            #expect(try failure(trust, issued, host: good) == nil, "\(good)")
        }
        // A wildcard is for one label, and for a whole one; the common name counts for nothing (RFC 9525 section 6.3).
        for wrong in ["wild.test", "a.b.wild.test", "partly.test", "common.test", "192.0.2.2", "2001:db8::2"] {
            let failure = try failure(trust, issued, host: wrong)
            #expect(failure?.kind == .certificate, "\(wrong)")
            #expect(failure?.reason == "the server's certificate is not for \(wrong)")
        }
        #expect(try failure(.anyone, issued, host: "other.test") == nil)
    }

    @Test func noSNIForAddresses() throws {
        let theirs = try TLSTests.server().makeSession(applicationProtocol: "smtp")
        try shakeHands(try client(.anyone).makeSession(host: "127.0.0.1"), theirs)
        #expect(theirs.info?.serverName == nil && theirs.isEstablished)
    }

    @Test func serversThatAreNotTrusted() throws {
        let (authority, strangers) = (try TestAuthority("Servers"), try TestAuthority("Strangers"))
        let trust = TLSTrust.authority(try TLSAuthority(certificates: authority.pem))
        let names = ["DNS:mail.example.test"]
        let own = try SelfSignedCertificate.make(hosts: ["mail.example.test"], now: 1_600_000_000)
        #expect(try failure(trust, try authority.issue(server: "good", names)) == nil)
        for (issued, reason) in [
            (try strangers.issue(server: "stranger", names), "unable to get local issuer certificate"),
            (try authority.issue(server: "old", names, days: -1), "certificate has expired"),
            (try authority.issue(server: "person", names, usage: "clientAuth"), "unsuitable certificate purpose"),
        ] {
            for trust in [trust, .system] {
                let failure = try failure(trust, issued)
                #expect(failure?.kind == .certificate)
                if case .authority = trust {
                    #expect(failure?.reason == "the server's certificate is not trusted: \(reason)")
                }
            }
            #expect(try failure(.anyone, issued) == nil)
        }
        let selfSigned = try TLSServer(
            TLSServerOptions(main: try TLSCredential(certificates: own.certificate, key: own.key))
        ) { 0 }
        let session = try client(trust).makeSession(host: "mail.example.test")
        let failure = #expect(throws: TLSFailure.self) {
            try shakeHands(session, try selfSigned.makeSession(applicationProtocol: "smtp"))
        }
        #expect(failure?.reason == "the server's certificate is not trusted: self-signed certificate")
    }

    /// What a server may say that is no handshake with us, and what becomes of it.
    @Test(arguments: [
        (Array("220 mail.example.test ESMTP\r\n".utf8), TLSFailure.Kind.notTLS),
        ([22, 2, 0, 0, 5], .notTLS), ([0], .notTLS), ([23, 3, 3, 0, 1, 0], .notTLS),
        // A client's hello: somebody talks to itself.
        ([22, 3, 1, 0, 5, 1, 0, 0, 1, 0], .notTLS),
        ([22, 3, 3, 0, 4, 2, 0, 0xFF, 0xFF], .limit),
        // handshake_failure
        ([21, 3, 3, 0, 2, 2, 40], .handshake),
        ([22, 3, 3, 0, 6, 2, 0, 0, 2, 3, 3], .handshake),
        ([21, 3, 3, 0xFF, 0xFF, 1], .handshake),
    ])
    func serversThatSaySomethingElse(_ octets: [UInt8], _ kind: TLSFailure.Kind) throws {
        for piece in [1, octets.count] {
            let session = try client(.anyone).makeSession(host: "mail.example.test")
            #expect(session.take([]) == Reading() && session.control().count > 100)
            var failure: TLSFailure?
            for start in stride(from: 0, to: octets.count, by: piece) where failure == nil {
                failure = session.take(Array(octets[start..<min(start + piece, octets.count)])).failure
            }
            #expect(failure?.kind == kind, "\(failure?.reason ?? "nothing")")
            #expect(session.seal([1]) == nil && session.take([22]).failure == failure)
        }
    }

    @Test func oldVersionsAreRefused() throws {
        let authority = try TestAuthority("Servers")
        let server = try server(try authority.issue(server: "x", ["DNS:mail.example.test"])) {
            $0.minimumVersion = .tls12
        }
        let session = try client(.anyone) { $0.minimumVersion = .tls13 }.makeSession(host: "mail.example.test")
        try shakeHands(session, try server.makeSession(applicationProtocol: "smtp"))
        #expect(session.info?.version == "TLSv1.3")
        // A ServerHello that chooses TLS 1.1 (RFC 5246 section 7.4.1.3).
        let old = try client(.anyone).makeSession(host: "mail.example.test")
        _ = old.take([])
        let body = [3, 2] + [UInt8](repeating: 7, count: 32) + [0, 0xC0, 0x13, 0]
        let hello = [22, 3, 2, 0, UInt8(body.count + 4), 2, 0, 0, UInt8(body.count)] + body
        #expect(old.take(hello).failure?.kind == .handshake)
    }

    @Test func ourCertificateIsPresented() throws {
        let (servers, people) = (try TestAuthority("Servers"), try TestAuthority("People"))
        let server = try server(try servers.issue(server: "x", ["DNS:mail.example.test"])) {
            $0.authority = try TLSAuthority(certificates: people.pem)
        }
        let trust = TLSTrust.authority(try TLSAuthority(certificates: servers.pem))
        let theirs = try server.makeSession(applicationProtocol: "smtp")
        let alice = try people.issue("Alice", mail: ["alice@example.test"]).credential()
        try shakeHands(try client(trust) { $0.credential = alice }.makeSession(host: "mail.example.test"), theirs)
        #expect(theirs.info?.clientCertificate?.mailAddresses == ["alice@example.test"])
        // One that is not taken: TLS 1.3 has our handshake done by then.
        let mallory = try servers.issue("Mallory", mail: []).credential()
        let ours = try client(trust) { $0.credential = mallory }.makeSession(host: "mail.example.test")
        let failure = #expect(throws: TLSFailure.self) {
            try shakeHands(ours, try server.makeSession(applicationProtocol: "smtp"))
        }
        #expect(failure?.reason.hasPrefix("the server ends the session: ") == true, "\(failure?.reason ?? "")")
    }

    // MARK: Limits

    @Test func aServersCertificatesHaveALimitInOctets() throws {
        let authority = try TestAuthority("Servers")
        let names = (0..<5_000).map { "DNS:a-host-with-quite-a-long-name-\($0).example.test" }
        let issued = try authority.issue(server: "large", names)
        #expect(names.joined().utf8.count > TLSLimits.serverCertificatesOctetsMax)
        let failure = try failure(.anyone, issued)
        #expect(failure?.reason.contains("excessive message size") == true, "\(failure?.reason ?? "")")
    }

    @Test func aServersHandshakeHasALimitInOctets() throws {
        // TLS 1.2, whose certificates are not sealed, in records of one octet each.
        let authority = try TestAuthority("Servers")
        let names = (0..<1_500).map { "DNS:a-host-with-quite-a-long-name-\($0).example.test" }
        let server = MemoryServer(try authority.issue(server: "large", names), version: TLS1_2_VERSION)
        let session = try client(.anyone).makeSession(host: "mail.example.test")
        _ = session.take([])
        let flight = MemoryServer.refragmented(server.answer(to: session.control()))
        #expect(flight.count > TLSLimits.serverHandshakeOctetsMax)
        var failure: TLSFailure?
        for start in stride(from: 0, to: flight.count, by: 4096) where failure == nil {
            failure = session.take(Array(flight[start..<min(start + 4096, flight.count)])).failure
        }
        #expect(failure == TLSFailure(.limit, "the server's handshake is too large"))
    }

    // MARK: Hosts

    @Test(arguments: [
        "", ".", "..", ".example.test", "a..b", "a b", "a\0b", "mail.example.test\0.evil.test", "*.example.test",
        "ex\u{E4}mple.test", "[mail.example.test]", "[127.0.0.1", "a/b", "a:25", String(repeating: "a", count: 64),
        Array(repeating: "a", count: 129).joined(separator: "."),
    ])
    func whatIsNoHost(_ text: String) throws {
        let failure = #expect(throws: TLSFailure.self) { try client(.anyone).makeHandler(host: text) }
        #expect(failure?.reason.hasSuffix("is no host name or address") == true)
    }
}
