import NIOCore

@testable import TLS

/// Notes what reaches it, and reads once for each time it is told to.
final class Top: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    var plain: [UInt8] = []
    var reads = 0
    var completions = 0
    var isEstablished = false
    var hasInputEnded = false
    var errors: [any Error] = []

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        reads += 1
        plain += Array(buffer: unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) { completions += 1 }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSEvent.established = event { isEstablished = true }
        if case ChannelEvent.inputClosed = event { hasInputEnded = true }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { errors.append(error) }
}
