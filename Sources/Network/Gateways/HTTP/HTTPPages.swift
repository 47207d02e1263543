// The pages of the HTTP listener: GET and HEAD of a few paths, each a text made on the spot. Nothing is read from a
// request but its method and path; a body is passed over up to a limit. The size of a request's head is limited by the
// parser of NIOHTTP1 (80 KiB).
import NIOCore
import NIOHTTP1

/// What a path answers.
struct Page {
    var status: HTTPResponseStatus
    var type = "text/plain; charset=utf-8"
    var text: String
}

final class HTTPPages: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let gateway: GatewayContext
    private let counters: ProtocolCounters
    private let page: (String) -> Page?
    private var head: HTTPRequestHead?
    private var bodyOctets = 0

    private init(_ gateway: GatewayContext, page: @escaping (String) -> Page?) {
        self.gateway = gateway
        self.page = page
        counters = gateway.counters[.http]
    }

    static func install(
        on channel: any Channel, _ gateway: GatewayContext, page: @escaping (String) -> Page?
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(IdleStateHandler(allTimeout: gateway.options.httpSilenceMax))
        try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: true, withErrorHandling: true)
        try pipeline.addHandler(HTTPPages(gateway, page: page))
    }

    func channelActive(context: ChannelHandlerContext) {
        counters.connections.add()
        counters.connectionsTotal.add()
        if counters.connections.current > gateway.options.httpConnectionsMax {
            counters.reject(.connectionLimit)
            context.close(promise: nil)
        }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        counters.connections.add(-1)
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            bodyOctets = 0
        case .body(let part):
            bodyOctets += part.readableBytes
            if bodyOctets > GatewayLimits.httpBodyOctetsMax { context.close(promise: nil) }
        case .end:
            guard let head else { return }
            self.head = nil
            answer(head, context)
        }
    }

    private func answer(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let path = request.uri.prefix { $0 != "?" }
        var page: Page
        var headers = HTTPHeaders()
        if let found = self.page(String(path)) {
            page = found
            if request.method != .GET, request.method != .HEAD {
                page = Page(status: .methodNotAllowed, text: "GET and HEAD only\n")
                headers.add(name: "Allow", value: "GET, HEAD")
            }
        } else {
            page = Page(status: .notFound, text: "no such page\n")
        }
        let body = ByteBuffer(string: page.text)
        headers.add(name: "Content-Type", value: page.type)
        headers.add(name: "Content-Length", value: "\(body.readableBytes)")
        headers.add(name: "Cache-Control", value: "no-store")
        if !request.isKeepAlive { headers.add(name: "Connection", value: "close") }
        let response = HTTPResponseHead(version: request.version, status: page.status, headers: headers)
        context.write(wrapOutboundOut(.head(response)), promise: nil)
        if request.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        counters.replies.add()
        let promise = request.isKeepAlive ? nil : context.eventLoop.makePromise(of: Void.self)
        promise?.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
