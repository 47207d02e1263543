// A token service that misbehaves: each connection gets the same, once the whole head of its request has come.
import NIOCore
import NIOPosix
import Synchronization
import TLS

@testable import Authentication

/// What a service does with a question.
enum ServiceManner: Sendable {
    /// Says this and closes.
    case says(String)
    /// Says this, then the other again and again, without an end; says no more where that is empty.
    case repeats(String, String)
    case silent
    case closes
}

final class TokenServiceStub: Sendable {
    private let channel: any Channel
    let questions = Mutex<[String]>([])
    /// Octets that a connection took before it was closed, in all.
    let sent = Atomic<Int>(0)
    /// A service that is never left would be heard for ever.
    static let sentOctetsMax = 256 << 20

    var port: Int { channel.localAddress?.port ?? 0 }

    private init(_ channel: any Channel) { self.channel = channel }

    /// Apart from the loops of the client under test.
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    static func with<Result>(
        _ manner: ServiceManner, tls: TLSServer? = nil, _ body: (TokenServiceStub) async throws -> Result
    ) async throws -> Result {
        let box = Mutex<TokenServiceStub?>(nil)
        let channel = try await ServerBootstrap(group: group)
            .childChannelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        try channel.pipeline.syncOperations.addHandler(TLSHandler(tls, applicationProtocol: "http/1.1"))
                    }
                    if let stub = box.withLock({ $0 }) {
                        try channel.pipeline.syncOperations.addHandler(Answering(manner, stub))
                    }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let stub = TokenServiceStub(channel)
        box.withLock { $0 = stub }
        do {
            let result = try await body(stub)
            try await channel.close()
            return result
        } catch {
            try? await channel.close()
            throw error
        }
    }
}

private final class Answering: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let manner: ServiceManner
    private let stub: TokenServiceStub
    private var heard = ""
    private var hasAnswered = false

    init(_ manner: ServiceManner, _ stub: TokenServiceStub) {
        self.manner = manner
        self.stub = stub
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        heard += String(buffer: unwrapInboundIn(data))
        guard !hasAnswered, heard.hasSuffix("access_token") else { return }
        hasAnswered = true
        stub.questions.withLock { $0.append(heard) }
        switch manner {
        case .says(let text):
            let context = NIOLoopBound(context, eventLoop: context.eventLoop)
            context.value.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text))).whenComplete { _ in
                context.value.close(promise: nil)
            }
        case .repeats(let first, let then):
            context.write(wrapOutboundOut(ByteBuffer(string: first)), promise: nil)
            if then.isEmpty { context.flush() } else { goOn(context, ByteBuffer(string: then)) }
        case .silent: break
        case .closes: context.close(promise: nil)
        }
    }

    private func goOn(_ context: ChannelHandlerContext, _ octets: ByteBuffer) {
        guard stub.sent.add(octets.readableBytes, ordering: .relaxed).newValue < TokenServiceStub.sentOctetsMax else {
            return
        }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(octets)).whenComplete { result in
            let context = bound.value.1
            guard case .success = result, context.channel.isActive else { return }
            // Not from here: a write may be done at once.
            context.eventLoop.execute { bound.value.0.goOn(bound.value.1, octets) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
