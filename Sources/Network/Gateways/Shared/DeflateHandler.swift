// COMPRESS=DEFLATE (RFC 4978): everything between a connection's handler and its socket, or its TLS, is deflated.
//
// - A thousand octets can become a million: what came is inflated a piece at a time, and the next piece only when the
//   connection reads again. So a client can make us hold one read of the socket and one piece.
// - Each write ends with a flush, so that the client can read what was said.
// - What is not deflate ends the connection.
import CZlib
import NIOCore

struct DeflateError: Error {}

final class DeflateHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let deflating: DeflateStream
    private let inflating: InflateStream
    private var compressed = ByteBuffer()
    /// The connection wants to read, and a piece is about to be given to it.
    private var isScheduled = false

    /// Nil when there is no memory for it.
    init?() {
        guard let deflating = DeflateStream(), let inflating = InflateStream() else { return nil }
        self.deflating = deflating
        self.inflating = inflating
    }

    /// What had come behind the command that began it is compressed already.
    func takeLeftover(_ octets: ByteBuffer) { compressed = octets }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let plain = unwrapOutboundIn(data)
        var out = context.channel.allocator.buffer(capacity: plain.readableBytes / 2 + 64)
        guard deflating.deflate(plain, into: &out) else {
            promise?.fail(DeflateError())
            return context.fireErrorCaught(DeflateError())
        }
        context.write(wrapOutboundOut(out), promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var arrived = unwrapInboundIn(data)
        if compressed.readableBytes == 0 { compressed = arrived } else { compressed.writeBuffer(&arrived) }
        inflate(context)
    }

    func read(context: ChannelHandlerContext) {
        guard compressed.readableBytes > 0 || inflating.hasMore else { return context.read() }
        guard !isScheduled else { return }
        isScheduled = true
        // Not at once: the connection may read again from within what it is given.
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.execute {
            let (handler, context) = bound.value
            handler.isScheduled = false
            guard context.channel.isActive else { return }
            handler.inflate(context)
            context.fireChannelReadComplete()
        }
    }

    private func inflate(_ context: ChannelHandlerContext) {
        var out = context.channel.allocator.buffer(capacity: GatewayLimits.readOctetsMax)
        guard inflating.inflate(&compressed, into: &out, octetsMax: GatewayLimits.readOctetsMax) else {
            return context.fireErrorCaught(DeflateError())
        }
        if out.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(out)) }
    }
}

/// One direction of zlib. The window is smaller than it could be: it is held for as long as the session lasts.
private final class DeflateStream {
    private static let windowBits: CInt = 13
    private static let memoryLevel: CInt = 6
    // zlib keeps the address of its stream, so it must not move.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

    init?() {
        stream.initialize(to: z_stream())
        guard ll_deflate_init(stream, Z_DEFAULT_COMPRESSION, Self.windowBits, Self.memoryLevel) == Z_OK else {
            return nil
        }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    func deflate(_ plain: ByteBuffer, into out: inout ByteBuffer) -> Bool {
        plain.withUnsafeReadableBytes { bytes in
            let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.next_in = UnsafeMutablePointer(mutating: base)
            stream.pointee.avail_in = UInt32(bytes.count)
            repeat {
                let code = out.withRoom { room, count in
                    stream.pointee.next_out = room
                    stream.pointee.avail_out = UInt32(count)
                    let code = CZlib.deflate(stream, Z_SYNC_FLUSH)
                    return (code, count - Int(stream.pointee.avail_out))
                }
                guard code == Z_OK || code == Z_BUF_ERROR else { return false }
            } while stream.pointee.avail_out == 0
            return true
        }
    }
}

private final class InflateStream {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    /// The last piece was full: zlib holds more.
    private(set) var hasMore = false

    init?() {
        stream.initialize(to: z_stream())
        guard ll_inflate_init(stream) == Z_OK else { return nil }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Takes from `compressed` what gives at most `octetsMax`; false when it is no deflate.
    func inflate(_ compressed: inout ByteBuffer, into out: inout ByteBuffer, octetsMax: Int) -> Bool {
        var isValid = true
        compressed.readWithUnsafeReadableBytes { bytes in
            let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.next_in = UnsafeMutablePointer(mutating: base)
            stream.pointee.avail_in = UInt32(bytes.count)
            repeat {
                let left = octetsMax - out.readableBytes
                let code = out.withRoom { room, count in
                    let wanted = min(count, left)
                    stream.pointee.next_out = room
                    stream.pointee.avail_out = UInt32(wanted)
                    let code = CZlib.inflate(stream, Z_SYNC_FLUSH)
                    return (code, wanted - Int(stream.pointee.avail_out))
                }
                hasMore = stream.pointee.avail_out == 0
                // A client that ends its stream has nothing more to say in it.
                guard code == Z_OK || code == Z_BUF_ERROR else {
                    isValid = false
                    break
                }
            } while hasMore && out.readableBytes < octetsMax
            return bytes.count - Int(stream.pointee.avail_in)
        }
        return isValid
    }
}

extension ByteBuffer {
    /// Lends room behind what is there; the closure answers how much of it was written, with a result.
    fileprivate mutating func withRoom(_ body: (UnsafeMutablePointer<UInt8>?, Int) -> (CInt, Int)) -> CInt {
        var code: CInt = Z_OK
        writeWithUnsafeMutableBytes(minimumWritableBytes: 4096) { room in
            let (result, written) = body(room.baseAddress?.assumingMemoryBound(to: UInt8.self), room.count)
            code = result
            return written
        }
        return code
    }
}

extension Connection {
    /// From the next octet on both directions are deflated; what has come and was not taken is so already.
    /// - Returns: false when there is no memory for it; then nothing has changed.
    func startDeflate(_ leftover: ByteBuffer) -> Bool {
        guard let context, let handler = DeflateHandler() else { return false }
        flush()
        do {
            try context.pipeline.syncOperations.addHandler(handler, position: .before(self))
        } catch {
            return false
        }
        handler.takeLeftover(leftover)
        return true
    }
}
