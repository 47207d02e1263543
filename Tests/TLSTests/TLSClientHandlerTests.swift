// The handler as a client, in a pipeline without a socket.
import NIOCore
import NIOEmbedded
import Testing

@testable import TLS

private final class Pipeline {
    let channel = EmbeddedChannel()
    let handler: TLSHandler
    let top = Top()
    /// What the other side is, in memory.
    let server: TLSSession

    /// - Parameter isAdded: the handler is added to a connection that stands, as after STARTTLS.
    init(isAdded: Bool, host: String = "mail.example.test", trust: TLSTrust = .anyone) throws {
        let client = try TLSClient(TLSClientOptions(trust: trust))
        handler = try client.makeHandler(host: host, applicationProtocol: "imap", handshakeMax: .seconds(30))
        server = try TLSTests.server().makeSession(applicationProtocol: "imap")
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(top)
        if !isAdded { try pipeline.addHandler(handler, position: .first) }
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        if isAdded { try pipeline.addHandler(handler, position: .first) }
    }

    /// What we have said since.
    func said() throws -> [UInt8] {
        var octets: [UInt8] = []
        while let out = try channel.readOutbound(as: ByteBuffer.self) { octets += Array(buffer: out) }
        return octets
    }

    func receive(_ octets: [UInt8]) {
        channel.pipeline.fireChannelRead(ByteBuffer(bytes: octets))
        channel.pipeline.fireChannelReadComplete()
    }

    /// What the server reads until the handshake is done.
    func shakeHands() throws -> [UInt8] {
        var plain: [UInt8] = []
        for _ in 0..<4 {
            plain += server.take(try said()).plain
            let answer = server.control()
            if !answer.isEmpty { receive(answer) }
        }
        #expect(top.isEstablished && handler.isEstablished && server.isEstablished && top.errors.isEmpty)
        return plain
    }

    var failure: TLSFailure? { top.errors.first as? TLSFailure }
}

@Suite struct TLSClientHandlerTests {
    @Test(arguments: [true, false])
    func itShakesHandsByItself(isAdded: Bool) throws {
        let pipeline = try Pipeline(isAdded: isAdded)
        let promise = pipeline.channel.eventLoop.makePromise(of: Void.self)
        pipeline.channel.writeAndFlush(ByteBuffer(bytes: [1, 2]), promise: promise)
        #expect(try pipeline.shakeHands() == [1, 2], "what was written before waits")
        try promise.futureResult.wait()
        #expect(pipeline.handler.info?.version == "TLSv1.3" && pipeline.server.info?.serverName == "mail.example.test")
        pipeline.receive(try #require(pipeline.server.seal([7, 8])))
        #expect(pipeline.top.plain == [7, 8])
        pipeline.channel.close(mode: .all, promise: nil)
        #expect(pipeline.server.take(try pipeline.said()).hasEnded)
        pipeline.channel.embeddedEventLoop.run()
        #expect(!pipeline.channel.isActive && pipeline.top.errors.isEmpty)
    }

    @Test func aCertificateThatIsNotTrusted() throws {
        let authority = try TestAuthority("Others")
        let trust = TLSTrust.authority(try TLSAuthority(certificates: authority.pem))
        let pipeline = try Pipeline(isAdded: false, trust: trust)
        let promise = pipeline.channel.eventLoop.makePromise(of: Void.self)
        pipeline.channel.writeAndFlush(ByteBuffer(bytes: Array("secret".utf8)), promise: promise)
        _ = pipeline.server.take(try pipeline.said())
        pipeline.receive(pipeline.server.control())
        #expect(pipeline.failure?.kind == .certificate && pipeline.top.errors.count == 1)
        #expect(throws: TLSFailure.self) { try promise.futureResult.wait() }
        let reading = pipeline.server.take(try pipeline.said())
        #expect(reading.plain.isEmpty && reading.failure?.reason.contains("alert") == true, "it learns by an alert")
        #expect(!pipeline.top.isEstablished)
    }

    @Test func aServerThatIsNoTLSServer() throws {
        let pipeline = try Pipeline(isAdded: true)
        pipeline.receive(Array("* OK hello\r\n".utf8))
        #expect(pipeline.failure == TLSFailure(.notTLS, "what the server sent is not TLS"))
        pipeline.receive([1, 2, 3])
        #expect(pipeline.top.errors.count == 1 && pipeline.top.plain.isEmpty)
    }

    @Test func aServerThatCloses() throws {
        for isHalf in [true, false] {
            let pipeline = try Pipeline(isAdded: false)
            _ = pipeline.server.take(try pipeline.said())
            pipeline.receive(Array(pipeline.server.control().prefix(50)))
            #expect(pipeline.top.errors.isEmpty)
            if isHalf {
                pipeline.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            } else {
                pipeline.channel.pipeline.fireChannelInactive()
            }
            #expect(pipeline.failure?.kind == .handshake && pipeline.top.errors.count == 1)
            #expect(pipeline.failure?.reason == "the server closes the connection during the handshake")
        }
    }

    /// RFC 8446 section 6.1: close_notify. The connection need not end with it.
    @Test(arguments: [1, .max])
    func aServerThatSaysThatItCloses(piece: Int) throws {
        let pipeline = try Pipeline(isAdded: false)
        _ = try pipeline.said()
        var alert: [UInt8] = [21, 3, 3, 0, 2, 1, 0]
        while !alert.isEmpty {
            #expect(pipeline.top.errors.isEmpty)
            pipeline.receive(Array(alert.prefix(piece)))
            alert.removeFirst(min(piece, alert.count))
        }
        let failure = TLSFailure(.handshake, "the server closes the connection during the handshake")
        #expect(pipeline.failure == failure)
        pipeline.receive([20, 3, 3, 0, 1, 1])
        #expect(pipeline.top.errors.count == 1 && pipeline.failure == failure)
    }

    @Test func aServerThatSaysNothing() throws {
        let pipeline = try Pipeline(isAdded: false)
        pipeline.channel.embeddedEventLoop.advanceTime(by: .seconds(29))
        #expect(pipeline.top.errors.isEmpty)
        pipeline.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(pipeline.failure == TLSFailure(.timedOut, "the server takes too long for its handshake"))
        let done = try Pipeline(isAdded: false)
        _ = try done.shakeHands()
        done.channel.embeddedEventLoop.advanceTime(by: .hours(1))
        #expect(done.top.errors.isEmpty)
    }
}
