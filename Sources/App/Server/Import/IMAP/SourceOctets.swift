// What a server sends, on its way from the event loop to the thread that imports.
//
// The thread takes octets when it wants some; the socket is read only while less than a window waits, so a server that
// sends faster than the store writes is not read from.
import Dispatch
import NIOCore
import Synchronization
import TLS

final class SourceOctets: Sendable {
    private struct State {
        var arrived: [ByteBuffer] = []
        var octets = 0
        /// Why no more comes.
        var end: AdministrationFailure?
        var waits = false
        /// The channel was not read from, since enough waits.
        var isStalled = false
    }

    static let closed = AdministrationFailure("the source has closed the connection", .tryAgain)

    private let state = Mutex(State())
    private let signal = DispatchSemaphore(value: 0)

    // MARK: On the event loop

    fileprivate func put(_ buffer: ByteBuffer) {
        change { state in
            state.arrived.append(buffer)
            state.octets += buffer.readableBytes
        }
    }

    fileprivate func end(_ reason: AdministrationFailure) {
        change { if $0.end == nil { $0.end = reason } }
    }

    private func change(_ body: (inout State) -> Void) {
        let wakes = state.withLock { state in
            body(&state)
            defer { state.waits = false }
            return state.waits
        }
        if wakes { signal.signal() }
    }

    /// Whether to read on.
    fileprivate func wantsMore() -> Bool {
        state.withLock { state in
            state.isStalled = state.octets >= ServerLimits.importWindowOctets
            return !state.isStalled
        }
    }

    // MARK: On the thread

    /// The next octets; nil when none came in time.
    /// - Parameter readOn: called when the channel can be read from again.
    /// - Throws: when the connection has ended and everything was taken.
    func next(milliseconds: Int, readOn: () -> Void) throws(AdministrationFailure) -> ByteBuffer? {
        for attempt in 0..<2 {
            let (buffer, end, resumes) = state.withLock { state -> (ByteBuffer?, AdministrationFailure?, Bool) in
                guard !state.arrived.isEmpty else {
                    state.waits = state.end == nil && attempt == 0
                    return (nil, state.end, false)
                }
                let all = state.arrived.count == 1 ? state.arrived[0] : Self.joined(state.arrived, state.octets)
                state.arrived.removeAll(keepingCapacity: true)
                state.octets = 0
                defer { state.isStalled = false }
                return (all, nil, state.isStalled)
            }
            if resumes { readOn() }
            if let buffer { return buffer }
            if let end { throw end }
            if attempt == 0 { _ = signal.wait(timeout: .now() + .milliseconds(milliseconds)) }
        }
        return nil
    }

    private static func joined(_ buffers: [ByteBuffer], _ octets: Int) -> ByteBuffer {
        var all = ByteBufferAllocator().buffer(capacity: octets)
        for var buffer in buffers { all.writeBuffer(&buffer) }
        return all
    }

    /// Whether something waits to be taken.
    var isEmpty: Bool { state.withLock { $0.arrived.isEmpty } }
}

/// The last handler of a connection to a source.
final class SourceHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let octets: SourceOctets
    init(_ octets: SourceOctets) { self.octets = octets }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { octets.put(unwrapInboundIn(data)) }

    func channelReadComplete(context: ChannelHandlerContext) {
        if octets.wantsMore() { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { octets.end(SourceOctets.closed) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // What TLS finds wrong, another connection finds wrong too.
        let isLasting = (error as? TLSFailure).map { $0.kind != .timedOut } ?? false
        octets.end(
            AdministrationFailure("the connection to the source failed: \(error)", isLasting ? .failed : .tryAgain))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { octets.end(SourceOctets.closed) }
}
