// Takes the octets of one message body to the engine's writer: from a client, or from a stored message.
//
// While the body is small it is memory, and the event loop appends to it. A larger one is a file, and the threads for
// files do: octets queue here as the slices in which they were received, one job at a time owns the writer, and above
// `bodyBacklogOctetsMax` the client is not read from.
import EventStore
import MailEngine
import NIOCore

/// Lends a body writer to one thread at a time.
// Between `append` or `finish` on the loop and the end of a job, exactly one of the two touches the writer: `isWorking`.
private final class LentWriter: @unchecked Sendable {
    let writer: BodyWriter
    init(_ writer: BodyWriter) { self.writer = writer }
}

final class BodyReceiver {
    /// What is to be written next.
    private enum Part: Sendable {
        case octets(ByteBuffer)
        /// Octets that another message has; they are copied a piece at a time by the thread that writes them.
        case stored(@Sendable ((UnsafeRawBufferPointer) throws(EngineFailure) -> Void) throws(EngineFailure) -> Void)

        var count: Int {
            if case .octets(let buffer) = self { buffer.readableBytes } else { 0 }
        }
    }

    private unowned let connection: Connection
    private let lent: LentWriter
    private let inlineOctetsMax: Int
    private var octets = 0
    private var isSpooled = false
    private var isWorking = false
    private var backlog: [Part] = []
    private var backlogOctets = 0
    private var failure: EngineFailure?
    private var finished: ((Result<any BodySource, EngineFailure>) -> Void)?
    /// Called on the loop when there may be room again, whatever has become of the body: whoever feeds it may be waiting.
    var hadRoom: (() -> Void)?

    /// - Parameter spoolsAtOnce: the body is a file from its first octet.
    init(_ connection: Connection, spoolsAtOnce: Bool = false) {
        self.connection = connection
        let engine = connection.gateway.engine
        lent = LentWriter(engine.makeBody(spoolsAtOnce: spoolsAtOnce))
        inlineOctetsMax = spoolsAtOnce ? 0 : engine.options.spoolThresholdOctets
    }

    var hasRoom: Bool { backlogOctets < GatewayLimits.bodyBacklogOctetsMax }

    func append(_ bytes: [UInt8]) { append(ByteBuffer(bytes: bytes)) }

    /// After a failure octets are passed over; `finish` tells.
    func append(_ part: ByteBuffer) {
        guard failure == nil else { return }
        octets += part.readableBytes
        guard isSpooled || octets > inlineOctetsMax else {
            part.withUnsafeReadableBytes { bytes in
                do throws(EngineFailure) { try lent.writer.append(bytes) } catch { failure = error }
            }
            return
        }
        isSpooled = true
        backlog.append(.octets(part))
        backlogOctets += part.readableBytes
        if !isWorking { writeBacklog() }
    }

    /// Goes on with octets that `read` hands out in pieces, on a thread for files.
    func append(
        _ read:
            @escaping @Sendable ((UnsafeRawBufferPointer) throws(EngineFailure) -> Void) throws(EngineFailure) ->
            Void
    ) {
        guard failure == nil else { return }
        isSpooled = true
        backlog.append(.stored(read))
        if !isWorking { writeBacklog() }
    }

    /// Hands the whole body, or why there is none, to `completion` on the loop; perhaps at once.
    func finish(_ completion: @escaping (Result<any BodySource, EngineFailure>) -> Void) {
        finished = completion
        if !isWorking { writeBacklog() }
    }

    /// The body is not wanted any more.
    func abandon() {
        failure = .fault("abandoned")
        backlog = []
        backlogOctets = 0
        hadRoom?()
    }

    private func writeBacklog() {
        if let failure { return end(.failure(failure)) }
        guard isSpooled else { return end(close(lent.writer)) }
        guard !backlog.isEmpty || finished != nil else { return }
        let (lent, parts, isLast) = (lent, backlog, finished != nil)
        backlog = []
        isWorking = true
        let answer = connection.answering { [self] (result: Result<(any BodySource)?, EngineFailure>) in
            isWorking = false
            backlogOctets = backlog.reduce(0) { $0 + $1.count }
            switch result {
            case .success(let source?): end(.success(source))
            case .success(nil): writeBacklog()
            case .failure(let error):
                failure = error
                backlog = []
                backlogOctets = 0
                end(.failure(error))
            }
            hadRoom?()
        }
        connection.gateway.fileThreads.submit { _ in
            do throws(EngineFailure) {
                for part in parts {
                    switch part {
                    case .octets(let buffer): try buffer.append(to: lent.writer)
                    case .stored(let read):
                        try read { (piece: UnsafeRawBufferPointer) throws(EngineFailure) in
                            try lent.writer.append(piece)
                        }
                    }
                }
                answer(.success(isLast ? try lent.writer.finish() : nil))
            } catch {
                answer(.failure(error))
            }
        }
    }

    private func end(_ result: Result<any BodySource, EngineFailure>) {
        let completion = finished
        finished = nil
        completion?(result)
    }
}

private func close(_ writer: BodyWriter) -> Result<any BodySource, EngineFailure> {
    do throws(EngineFailure) { return .success(try writer.finish()) } catch { return .failure(error) }
}

extension ByteBuffer {
    fileprivate func append(to writer: BodyWriter) throws(EngineFailure) {
        let result: Result<Void, EngineFailure> = withUnsafeReadableBytes { bytes in
            do throws(EngineFailure) {
                return .success(try writer.append(bytes))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }
}
