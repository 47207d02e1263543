// The handler in a pipeline without a socket: what it hands on, when it reads, and what waits.
import NIOCore
import NIOEmbedded
import Testing

@testable import TLS

/// Counts the reads that reach the socket, and says whether it takes more.
private final class Bottom: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    var reads = 0
    func read(context: ChannelHandlerContext) { reads += 1 }
}

private final class Pipeline {
    let channel = EmbeddedChannel()
    let handler: TLSHandler
    let top = Top()
    let bottom = Bottom()
    let client: MemoryClient

    init(client: MemoryClient = MemoryClient()) throws {
        self.client = client
        handler = TLSHandler(try server(), applicationProtocol: "pop3", handshakeMax: .seconds(30))
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(bottom)
        try pipeline.addHandler(handler)
        try pipeline.addHandler(top)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    /// What went to the client; the number of writes.
    @discardableResult
    func pass() throws -> Int {
        var writes = 0
        while let out = try channel.readOutbound(as: ByteBuffer.self) {
            client.give(Array(buffer: out))
            writes += 1
        }
        return writes
    }

    func receive(_ octets: [UInt8]) throws {
        channel.pipeline.fireChannelRead(ByteBuffer(bytes: octets))
        channel.pipeline.fireChannelReadComplete()
    }

    func shakeHands() throws {
        for _ in 0..<4 where !(try client.handshake() && top.isEstablished) {
            let octets = client.takeOutput()
            if !octets.isEmpty { try receive(octets) }
            try pass()
        }
        #expect(top.isEstablished && top.plain.isEmpty && handler.isEstablished)
        #expect(try client.read() == [])
    }

    func send(_ octets: [UInt8]) throws {
        try client.write(octets)
        try receive(client.takeOutput())
    }
}

@Suite struct HandlerTests {
    @Test func oneReadIsAnsweredByOne() throws {
        let pipeline = try Pipeline()
        try pipeline.shakeHands()
        let before = pipeline.bottom.reads
        pipeline.channel.read()
        #expect(pipeline.bottom.reads == before + 1)
        try pipeline.client.write([1, 2])
        try pipeline.client.write([3])
        let wire = pipeline.client.takeOutput()
        // A part of a record yields nothing, so that the handler reads on by itself.
        try pipeline.receive(Array(wire.prefix(10)))
        #expect(pipeline.top.reads == 0 && pipeline.top.completions == 0 && pipeline.bottom.reads == before + 2)
        try pipeline.receive(Array(wire.dropFirst(10)))
        #expect(pipeline.top.plain == [1, 2, 3] && pipeline.top.reads == 1 && pipeline.top.completions == 1)
        #expect(pipeline.bottom.reads == before + 2, "nobody has asked for more")
    }

    @Test func whatWasWrittenBeforeTheHandshakeWaits() throws {
        let pipeline = try Pipeline()
        let promise = pipeline.channel.eventLoop.makePromise(of: Void.self)
        pipeline.channel.writeAndFlush(ByteBuffer(bytes: [1]), promise: nil)
        pipeline.channel.writeAndFlush(ByteBuffer(bytes: [2, 3]), promise: promise)
        #expect(try pipeline.pass() == 0)
        for _ in 0..<4 where !(try pipeline.client.handshake() && pipeline.top.isEstablished) {
            let octets = pipeline.client.takeOutput()
            if !octets.isEmpty { try pipeline.receive(octets) }
            try pipeline.pass()
        }
        #expect(try pipeline.client.read() == [1, 2, 3])
        try promise.futureResult.wait()
    }

    @Test func writesAreGatheredUntilTheFlush() throws {
        let pipeline = try Pipeline()
        try pipeline.shakeHands()
        for octet in 0..<100 as Range<UInt8> { pipeline.channel.write(ByteBuffer(bytes: [octet]), promise: nil) }
        #expect(try pipeline.pass() == 0)
        pipeline.channel.flush()
        let out = try #require(try pipeline.channel.readOutbound(as: ByteBuffer.self))
        #expect(out.readableBytes == 100 + 22, "one record")
        pipeline.client.give(Array(buffer: out))
        #expect(try pipeline.client.read() == Array(0..<100))
        // Larger ones go as they are.
        let large = [UInt8](repeating: 9, count: 40_000)
        for _ in 0..<2 { pipeline.channel.write(ByteBuffer(bytes: large), promise: nil) }
        pipeline.channel.flush()
        #expect(try pipeline.pass() == 1)
        #expect(try pipeline.client.read() == large + large)
    }

    @Test func aClientThatDoesNotReadIsNotReadFrom() throws {
        let pipeline = try Pipeline()
        try pipeline.shakeHands()
        pipeline.channel.read()
        let before = pipeline.bottom.reads
        pipeline.channel.isWritable = false
        pipeline.channel.pipeline.fireChannelWritabilityChanged()
        try pipeline.client.write([1])
        let wire = pipeline.client.takeOutput()
        try pipeline.receive(Array(wire.prefix(10)))
        #expect(pipeline.bottom.reads == before, "it would have to answer, too")
        pipeline.channel.isWritable = true
        pipeline.channel.pipeline.fireChannelWritabilityChanged()
        #expect(pipeline.bottom.reads == before + 1)
    }

    @Test func aHandshakeMayTakeSoLongOnly() throws {
        let pipeline = try Pipeline()
        _ = try pipeline.client.handshake()
        try pipeline.receive(Array(pipeline.client.takeOutput().prefix(20)))
        pipeline.channel.embeddedEventLoop.advanceTime(by: .seconds(29))
        #expect(pipeline.top.errors.isEmpty)
        pipeline.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect((pipeline.top.errors.first as? TLSFailure)?.kind == .timedOut)
        let done = try Pipeline()
        try done.shakeHands()
        done.channel.embeddedEventLoop.advanceTime(by: .hours(1))
        #expect(done.top.errors.isEmpty)
    }

    @Test func aFailureSendsAnAlertAndDropsInput() throws {
        let pipeline = try Pipeline()
        try pipeline.shakeHands()
        try pipeline.client.write([1])
        var wire = pipeline.client.takeOutput()
        wire[wire.count - 1] ^= 1
        try pipeline.client.write([2])
        wire += pipeline.client.takeOutput()
        try pipeline.receive(wire)
        #expect(pipeline.top.plain.isEmpty)
        #expect((pipeline.top.errors.first as? TLSFailure)?.kind == .record)
        try pipeline.pass()
        let error = #expect(throws: ClientFailure.self) { try pipeline.client.read() }
        #expect(error?.description.contains("alert bad record mac") == true)
        try pipeline.receive([1, 2, 3])
        #expect(pipeline.top.errors.count == 1 && pipeline.top.plain.isEmpty)
        let promise = pipeline.channel.eventLoop.makePromise(of: Void.self)
        pipeline.channel.writeAndFlush(ByteBuffer(bytes: [1]), promise: promise)
        #expect(throws: (any Error).self) { try promise.futureResult.wait() }
    }

    @Test(arguments: [true, false])
    func theClientsEndComesOnce(isSaid: Bool) throws {
        let pipeline = try Pipeline()
        try pipeline.shakeHands()
        if isSaid {
            pipeline.client.end()
            try pipeline.receive(pipeline.client.takeOutput())
            #expect(pipeline.top.hasInputEnded)
            pipeline.top.hasInputEnded = false
        }
        pipeline.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(pipeline.top.hasInputEnded == !isSaid)
        #expect(pipeline.handler.isTruncated == !isSaid)
        // Our side goes on, and ends by itself.
        pipeline.channel.writeAndFlush(ByteBuffer(bytes: [1]), promise: nil)
        pipeline.channel.close(mode: .all, promise: nil)
        try pipeline.pass()
        #expect(try pipeline.client.read() == [1])
        #expect(try pipeline.client.read() == nil)
    }

    @Test("A second close does not come before our last words")
    func twoClosesSayTheEnd() throws {
        let pipeline = try Pipeline()
        try pipeline.shakeHands()
        pipeline.channel.close(mode: .all, promise: nil)
        pipeline.channel.close(mode: .all, promise: nil)
        #expect(pipeline.channel.isActive, "what was written in this turn would be dropped")
        pipeline.channel.embeddedEventLoop.run()
        #expect(!pipeline.channel.isActive)
        try pipeline.pass()
        #expect(try pipeline.client.read() == nil)
    }

    @Test func aWriteThatIsLostIsTold() throws {
        let pipeline = try Pipeline()
        let promise = pipeline.channel.eventLoop.makePromise(of: Void.self)
        pipeline.channel.writeAndFlush(ByteBuffer(bytes: [1]), promise: promise)
        _ = try pipeline.channel.finish(acceptAlreadyClosed: true)
        #expect(throws: (any Error).self) { try promise.futureResult.wait() }
    }
}
