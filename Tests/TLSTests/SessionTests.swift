// Sessions against libssl's own client, in memory: every octet is where the test can see it.
import COpenSSL
import Testing

@testable import TLS

@Suite struct SessionTests {
    @Test(arguments: [1, 7, 1000, Int.max])
    func handshakesInPieces(piece: Int) throws {
        let session = try server().makeSession(applicationProtocol: "pop3")
        #expect(session.info == nil && session.channelBinding(.exporter) == nil)
        let client = MemoryClient(name: "mail.example.test")
        try shakeHands(client, session, piece: piece)
        #expect(client.version == "TLSv1.3")
        let info = try #require(session.info)
        #expect(info.version == "TLSv1.3" && info.cipher == "TLS_AES_128_GCM_SHA256" && info.cipherBits == 128)
        #expect(info.serverName == "mail.example.test" && info.applicationProtocol == nil && !info.isResumed)
    }

    @Test(arguments: [1, 5, 1000, 70_000])
    func octetsGoBothWays(room: Int) throws {
        let session = try server().makeSession(applicationProtocol: "pop3")
        let client = MemoryClient()
        try shakeHands(client, session)
        let large = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try client.write(large)
        #expect(session.take(client.takeOutput(), room: room) == Reading(plain: large))
        client.give(try #require(session.seal(large)))
        #expect(try client.read() == large)
        // Cut in the middle of records.
        try client.write(large)
        let wire = client.takeOutput()
        var plain: [UInt8] = []
        var rest = wire[...]
        while !rest.isEmpty {
            plain += session.take(Array(rest.prefix(1_449)), room: room).plain
            rest = rest.dropFirst(1_449)
        }
        #expect(plain == large)
        #expect(session.seal([]) == [])
    }

    @Test func bothSidesSayThatTheyEnd() throws {
        let session = try server().makeSession(applicationProtocol: "pop3")
        let client = MemoryClient()
        try shakeHands(client, session)
        try client.write(Array("QUIT\r\n".utf8))
        client.end()
        #expect(session.take(client.takeOutput()) == Reading(plain: Array("QUIT\r\n".utf8), hasEnded: true))
        // The client's end is not ours.
        client.give(try #require(session.seal(Array("+OK\r\n".utf8))))
        session.end()
        client.give(session.control())
        #expect(try client.read() == Array("+OK\r\n".utf8))
        #expect(try client.read() == nil)
        #expect(session.seal([1]) == nil, "nothing after the end")
    }

    @Test func anEndDuringTheHandshakeIsItsFailure() throws {
        let session = try server().makeSession(applicationProtocol: "pop3")
        let client = MemoryClient()
        _ = try client.handshake()
        #expect(session.take(client.takeOutput()) == Reading())
        let failure = TLSFailure(.handshake, "the client closes the connection during the handshake")
        for octets: [UInt8] in [[21, 3, 3, 0, 2, 1, 0], [21, 3, 3, 0, 2, 1, 0], [], [20, 3, 3, 0, 1, 1]] {
            #expect(session.take(octets) == Reading(failure: failure))
        }
    }

    @Test func oldVersionsAreRefused() throws {
        for version in [TLS1_VERSION, TLS1_1_VERSION] {
            let session = try server().makeSession(applicationProtocol: "pop3")
            let client = MemoryClient { context in
                _ = ll_ctx_set_versions(context, version, version)
                SSL_CTX_set_security_level(context, 0)
            }
            let error = #expect(throws: ClientFailure.self) { try shakeHands(client, session) }
            #expect(error?.description.contains("alert protocol version") == true)
        }
    }

    @Test func theFloorCanBeRaised() throws {
        let session = try server { $0.minimumVersion = .tls13 }.makeSession(applicationProtocol: "pop3")
        let client = MemoryClient { _ = ll_ctx_set_versions($0, TLS1_2_VERSION, TLS1_2_VERSION) }
        #expect(throws: ClientFailure.self) { try shakeHands(client, session) }
    }

    @Test func tls12HasForwardSecrecyOnly() throws {
        let session = try server().makeSession(applicationProtocol: "pop3")
        let client = MemoryClient { _ = ll_ctx_set_versions($0, TLS1_2_VERSION, TLS1_2_VERSION) }
        try shakeHands(client, session)
        #expect(session.info?.version == "TLSv1.2")
        #expect(session.info?.cipher == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
        for weak in ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256", "NULL-SHA256"] {
            let refused = try server().makeSession(applicationProtocol: "pop3")
            let client = MemoryClient { context in
                _ = ll_ctx_set_versions(context, TLS1_2_VERSION, TLS1_2_VERSION)
                SSL_CTX_set_security_level(context, 0)
                #expect(SSL_CTX_set_cipher_list(context, weak) == 1)
            }
            #expect(throws: ClientFailure.self, "\(weak)") { try shakeHands(client, refused) }
        }
    }

    @Test func aRenegotiationEndsTheSession() throws {
        let session = try server().makeSession(applicationProtocol: "pop3")
        let client = MemoryClient { _ = ll_ctx_set_versions($0, TLS1_2_VERSION, TLS1_2_VERSION) }
        try shakeHands(client, session)
        #expect(SSL_renegotiate(client.ssl) == 1)
        #expect(try client.handshake() == false)
        let reading = session.take(client.takeOutput())
        #expect(reading.failure?.kind == .limit)
        #expect(session.seal([1]) == nil)
    }

    @Test func keyUpdatesAreAnsweredUpToALimit() throws {
        let session = try server().makeSession(applicationProtocol: "pop3")
        let client = MemoryClient { _ = ll_ctx_set_versions($0, TLS1_3_VERSION, TLS1_3_VERSION) }
        try shakeHands(client, session)
        for count in 1...(TLSLimits.keyUpdatesMax + 1) {
            #expect(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
            try client.write([UInt8(truncatingIfNeeded: count)])
            let reading = session.take(client.takeOutput())
            if count > TLSLimits.keyUpdatesMax {
                #expect(reading.failure?.kind == .limit)
            } else {
                #expect(reading == Reading(plain: [UInt8(truncatingIfNeeded: count)]))
                client.give(try #require(session.seal([7])))
                #expect(try client.read() == [7])
            }
        }
    }

    @Test func channelBindings() throws {
        for version in [TLS1_2_VERSION, TLS1_3_VERSION] {
            let session = try server().makeSession(applicationProtocol: "imap")
            let client = MemoryClient { _ = ll_ctx_set_versions($0, version, version) }
            try shakeHands(client, session)
            var theirs = [UInt8](repeating: 0, count: 32)
            let label = "EXPORTER-Channel-Binding"
            #expect(SSL_export_keying_material(client.ssl, &theirs, 32, label, label.utf8.count, [0], 0, 1) == 1)
            #expect(session.channelBinding(.exporter) == theirs)
            let certificate = try #require(SSL_get0_peer_certificate(client.ssl))
            #expect(session.channelBinding(.serverEndPoint) == digest(of: certificate, EVP_sha256()))
            // Of no other session.
            let other = try server().makeSession(applicationProtocol: "imap")
            try shakeHands(MemoryClient(), other)
            #expect(other.channelBinding(.exporter) != theirs)
        }
    }

    @Test func withoutExtendedMasterSecretNothingIsExported() throws {
        let session = try server().makeSession(applicationProtocol: "imap")
        let client = MemoryClient { context in
            _ = ll_ctx_set_versions(context, TLS1_2_VERSION, TLS1_2_VERSION)
            SSL_CTX_set_options(context, 1)  // SSL_OP_NO_EXTENDED_MASTER_SECRET
        }
        try shakeHands(client, session)
        #expect(session.channelBinding(.exporter) == nil)
        #expect(session.channelBinding(.serverEndPoint) != nil)
    }
}
