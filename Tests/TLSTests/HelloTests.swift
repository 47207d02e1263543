// What a client sends first, looked at before libssl sees it.
import COpenSSL
import Testing

@testable import TLS

/// A handshake message of this type and announced length, and some of its octets, in records of `pieces` octets.
private func records(type: UInt8 = 1, announced: Int, octets: Int, pieces: [Int]) -> [UInt8] {
    let header = [type, UInt8(announced >> 16), UInt8(announced >> 8 & 255), UInt8(announced & 255)]
    var rest = (header + [UInt8](repeating: 0, count: octets))[...]
    var wire: [UInt8] = []
    for piece in pieces where !rest.isEmpty {
        let part = rest.prefix(piece)
        wire += [22, 3, 1, UInt8(part.count >> 8), UInt8(part.count & 255)] + part
        rest = rest.dropFirst(part.count)
    }
    return wire
}

@Suite struct HelloTests {
    @Test(arguments: [
        (records(announced: 200, octets: 10, pieces: [14]), HelloGuard.Verdict.good),
        (records(announced: 200, octets: 0, pieces: [1, 1, 1, 1]), .good),
        (records(announced: 200, octets: 0, pieces: [1, 1, 1]), .undecided),
        (records(announced: TLSLimits.helloOctetsMax, octets: 0, pieces: [4]), .good),
        (records(announced: TLSLimits.helloOctetsMax + 1, octets: 0, pieces: [4]), .tooLarge),
        (records(announced: 1 << 23, octets: 0, pieces: [2, 2]), .tooLarge),
        (records(type: 2, announced: 200, octets: 0, pieces: [4]), .notTLS),
        (records(type: 0, announced: 200, octets: 0, pieces: [1]), .notTLS),
        ([22, 3, 1, 0, 0], .notTLS), ([21, 3, 1, 0, 2], .notTLS), ([22, 2], .notTLS), ([], .undecided),
        (Array("EHLO".utf8), .notTLS), ([22, 3], .undecided),
    ])
    func verdicts(_ wire: [UInt8], _ verdict: HelloGuard.Verdict) {
        var whole = HelloGuard()
        wire.withUnsafeBytes { whole.look(at: $0) }
        #expect(whole.verdict == verdict)
        var parts = HelloGuard()
        for octet in wire { [octet].withUnsafeBytes { parts.look(at: $0) } }
        #expect(parts.verdict == verdict)
    }

    @Test func aSessionTakesNoLargeHello() throws {
        let session = try server().makeSession(applicationProtocol: "pop3")
        let reading = session.take(records(announced: 100_000, octets: 10, pieces: [14]))
        #expect(reading.failure?.kind == .limit)
        #expect(session.take([1]).failure?.kind == .limit, "it stays so")
    }

    @Test func aHandshakeHasALimitInOctets() throws {
        // Records of one octet each are five sixths headers.
        let session = try server().makeSession(applicationProtocol: "pop3")
        let hello = records(
            announced: TLSLimits.helloOctetsMax, octets: TLSLimits.helloOctetsMax - 1,
            pieces: Array(repeating: 1, count: TLSLimits.helloOctetsMax + 3))
        #expect(hello.count > TLSLimits.handshakeOctetsMax)
        var failure: TLSFailure?
        for part in stride(from: 0, to: hello.count, by: 1024) where failure == nil {
            failure = session.take(Array(hello[part..<min(part + 1024, hello.count)])).failure
        }
        #expect(failure?.kind == .limit)
    }

    @Test func aClientsCertificateHasALimitInOctets() throws {
        let authority = try TestAuthority("People")
        let server = try server { $0.authority = try TLSAuthority(certificates: authority.pem) }
        let mail = (0..<1_500).map { "somebody-with-a-long-name-\($0)@example.test" }
        #expect(mail.joined().utf8.count > TLSLimits.clientCertificatesOctetsMax)
        let large = try authority.issue("Alice", mail: mail)
        let session = try server.makeSession(applicationProtocol: "pop3")
        let client = MemoryClient { context in
            SSL_CTX_use_certificate(context, large.certificate)
            SSL_CTX_use_PrivateKey(context, large.key)
        }
        #expect(throws: (any Error).self) { try shakeHands(client, session) }
    }
}
