import Glibc
import NIOCore
import NIOPosix

/// A server that answers lines by a table, and ends after the greeting when it has none for a line.
package final class ScriptedServer: Sendable {
    package typealias Answer = @Sendable (_ tag: String, _ command: String) -> String?

    /// An answer that is none: the connection is reset, as by a machine that forgot it.
    package static let reset = "\u{0}reset"

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        let greeting: String
        let answer: Answer
        var held = ""

        init(_ greeting: String, _ answer: @escaping Answer) {
            self.greeting = greeting
            self.answer = answer
        }

        func channelActive(context: ChannelHandlerContext) { say(greeting, context) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var buffer = unwrapInboundIn(data)
            held += buffer.readString(length: buffer.readableBytes) ?? ""
            while let end = held.range(of: "\r\n") {
                let line = String(held[..<end.lowerBound])
                held = String(held[end.upperBound...])
                let words = line.split(separator: " ", maxSplits: 1).map(String.init)
                guard words.count == 2, let text = answer(words[0], words[1]) else {
                    context.close(promise: nil)
                    return
                }
                guard text != ScriptedServer.reset else {
                    reset(context)
                    return
                }
                say(text, context)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func reset(_ context: ChannelHandlerContext) {
            let channel = context.channel
            let atOnce = (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
            atOnce?.whenComplete { _ in channel.close(promise: nil) }
        }

        private func say(_ text: String, _ context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }
    }

    private let channel: any Channel
    package var port: Int { channel.localAddress?.port ?? 0 }

    package init(greeting: String = "* OK ready\r\n", _ answer: @escaping Answer) throws {
        channel = try ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(greeting, answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
    }

    package func close() { try? channel.close().wait() }
}
