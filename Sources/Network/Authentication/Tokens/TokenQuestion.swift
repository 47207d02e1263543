// One question to a token service: a connection, a POST, its answer, within a bound of time and of octets.
//
// Everything that comes counts, not only the body of the answer: a service that sends headers, interim answers or padding
// without an end is left as soon as it has sent `tokenResponseOctetsMax`.
import Digests
import NIOCore
import NIOHTTP1
import NIOPosix
import Octets
import Synchronization

struct TokenQuestion: Sendable {
    /// Why there is no answer, in words that repeat nothing of the question.
    struct Failure: Error, Equatable {
        let text: String
        init(_ text: String) { self.text = text }
    }

    typealias Answer = Result<[UInt8], Failure>

    private let options: TokenIntrospectionOptions
    private let encryption: TokenIntrospection.Encryption?
    private let group: any EventLoopGroup

    init(
        _ options: TokenIntrospectionOptions, encryption: TokenIntrospection.Encryption?, group: any EventLoopGroup
    ) {
        self.options = options
        self.encryption = encryption
        self.group = group
    }

    /// `completion` is called once.
    func ask(_ token: [UInt8], completion: @escaping @Sendable (Answer) -> Void) {
        let (endpoint, encryption, timeout) = (options.endpoint, encryption, options.timeout)
        guard !endpoint.isEncrypted || encryption != nil else {
            return completion(.failure(Failure("there is no TLS")))
        }
        let (head, body) = request(token)
        let once = Once(completion)
        ClientBootstrap(group: group)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if endpoint.isEncrypted, let encryption { try pipeline.addHandler(encryption(endpoint.host)) }
                    try pipeline.addHandler(OctetCounter(once))
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(TokenAnswer(head, body, timeout: timeout, once))
                }
            }
            .connect(host: endpoint.host, port: endpoint.port)
            .whenFailure { once.answer(.failure(Failure("no connection: \($0)"))) }
    }

    private func request(_ token: [UInt8]) -> (HTTPRequestHead, [UInt8]) {
        let body = Array("token=\(Self.formEncoded(token))&token_type_hint=access_token".utf8)
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: options.endpoint.path)
        head.headers.add(name: "Host", value: options.endpoint.hostHeader)
        head.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        head.headers.add(name: "Content-Length", value: "\(body.count)")
        head.headers.add(name: "Accept", value: "application/json")
        head.headers.add(name: "Connection", value: "close")
        if let client = options.client {
            // RFC 6749 section 2.3.1: each part form-encoded first.
            let pair = "\(Self.formEncoded(Array(client.id.utf8))):\(Self.formEncoded(Array(client.secret.utf8)))"
            head.headers.add(name: "Authorization", value: "Basic \(Base64.encode(Array(pair.utf8)))")
        }
        return (head, body)
    }

    /// `application/x-www-form-urlencoded`.
    private static func formEncoded(_ octets: [UInt8]) -> String {
        octets.map { octet in
            let isPlain =
                (0x30...0x39).contains(octet) || (0x61...0x7A).contains(octet | 0x20) && octet & 0x80 == 0
                || [0x2D, 0x2E, 0x5F, 0x7E].contains(octet)
            return isPlain ? String(UnicodeScalar(octet)) : "%" + Hex.encode([octet]).uppercased()
        }.joined()
    }
}

/// Calls its completion the first time only.
private final class Once: Sendable {
    private let completion: Mutex<(@Sendable (TokenQuestion.Answer) -> Void)?>
    init(_ completion: @escaping @Sendable (TokenQuestion.Answer) -> Void) { self.completion = Mutex(completion) }

    func answer(_ answer: TokenQuestion.Answer) {
        let completion = completion.withLock { completion in
            defer { completion = nil }
            return completion
        }
        completion?(answer)
    }

    func fail(_ text: String) { answer(.failure(TokenQuestion.Failure(text))) }
}

/// Ends a connection over which too much has come.
private final class OctetCounter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let once: Once
    private var octets = 0

    init(_ once: Once) { self.once = once }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        octets += unwrapInboundIn(data).readableBytes
        guard octets <= AuthenticationLimits.tokenResponseOctetsMax else {
            once.fail("the response has more than \(AuthenticationLimits.tokenResponseOctetsMax) octets")
            return context.close(promise: nil)
        }
        context.fireChannelRead(data)
    }
}

/// Sends the question and gathers the answer.
private final class TokenAnswer: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let head: HTTPRequestHead
    private let body: [UInt8]
    private let timeout: TimeAmount
    private let once: Once
    private var answer: [UInt8] = []
    private var timer: Scheduled<Void>?

    init(_ head: HTTPRequestHead, _ body: [UInt8], timeout: TimeAmount, _ once: Once) {
        self.head = head
        self.body = body
        self.timeout = timeout
        self.once = once
    }

    func channelActive(context: ChannelHandlerContext) {
        let (channel, once, timeout) = (context.channel, once, timeout)
        timer = context.eventLoop.scheduleTask(in: timeout) {
            once.fail("no answer within \(timeout.nanoseconds / 1_000_000) ms")
            channel.close(promise: nil)
        }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            guard head.status == .ok else { return fail("it answers with status \(head.status.code)", context) }
        case .body(let part):
            guard answer.count + part.readableBytes <= AuthenticationLimits.tokenAnswerOctetsMax else {
                return fail("the answer has more than \(AuthenticationLimits.tokenAnswerOctetsMax) octets", context)
            }
            answer += part.readableBytesView
        case .end:
            once.answer(.success(answer))
            context.close(promise: nil)
        }
    }

    private func fail(_ text: String, _ context: ChannelHandlerContext) {
        once.fail(text)
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail("\(error)", context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        once.fail("the connection is closed before the answer is complete")
    }
}
