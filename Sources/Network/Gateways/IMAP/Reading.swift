// Reading that costs more than a glance: done in slices by the reading threads, one slice of a session at a time.
//
// Invariants
// - A slice takes `sliceMax` of time and makes `sliceOctets` of output, or little more; then the thread is another's. It
//   takes a snapshot of its own, so none is held for long.
// - The next slice is made while the one before is written, and only while the client takes what was made: a client
//   that does not read costs two slices.
// - A step over everything that cannot be cut (`isUncut`) is done by a thread of its own, so that no slice waits for it.
// - The work belongs to one thread at a time: to the loop, or between submission and answer to a reading thread.
// - When the client goes, the work ends with the slice that is under way.
import EventStore
import IMAP
import Logging
import MailEngine
import MailTypes
import NIOCore

/// What a slice may use.
struct SliceContext {
    let engine: MailEngine
    private let clock: @Sendable () -> NIODeadline
    private let deadline: NIODeadline
    var output: IMAPWriter

    /// - Parameter octets: about as much output is expected.
    init(_ engine: MailEngine, usesUTF8: Bool, octets: Int = 0, clock: @escaping @Sendable () -> NIODeadline) {
        self.engine = engine
        self.clock = clock
        output = IMAPWriter(usesUTF8: usesUTF8)
        output.bytes.reserveCapacity(octets)
        deadline = clock() + GatewayLimits.imapSliceMax
    }

    var isFull: Bool { output.bytes.count >= GatewayLimits.imapSliceOctets }
    /// Looks at the clock: not for every row.
    var isOver: Bool { isFull || clock() >= deadline }
}

/// Something that reads in slices.
protocol SlicedWork: AnyObject {
    /// Goes on where the last slice ended.
    /// - Returns: whether there is more.
    func slice(_ context: inout SliceContext) throws -> Bool
    /// How far it is, and of how much, for INPROGRESS.
    var progress: (done: Int, goal: Int)? { get }
    /// The next slice takes as long as it takes.
    var isUncut: Bool { get }
}

extension SlicedWork {
    var progress: (done: Int, goal: Int)? { nil }
    var isUncut: Bool { false }
}

/// A response whose length follows from the mailbox: made off the loop, written as the client takes it.
final class WriteWork: SlicedWork {
    private let make: (inout IMAPWriter) -> Void
    private let isLong: Bool
    private var text: [UInt8]?
    private var position = 0

    /// - Parameter isLong: making it takes longer than a slice may.
    init(isLong: Bool, _ make: @escaping (inout IMAPWriter) -> Void) {
        self.isLong = isLong
        self.make = make
    }

    var isUncut: Bool { isLong && text == nil }

    func slice(_ context: inout SliceContext) throws -> Bool {
        if text == nil {
            var writer = IMAPWriter(usesUTF8: context.output.usesUTF8)
            make(&writer)
            text = writer.bytes
        }
        guard let text else { return false }
        let end = min(text.count, position + GatewayLimits.imapSliceOctets)
        context.output.bytes.append(contentsOf: text[position..<end])
        position = end
        return end < text.count
    }
}

/// One work on its way.
final class Reading {
    fileprivate let lent: LentWork
    fileprivate let then: ((any Error)?) -> Void
    fileprivate var isRunning = false
    /// The last slice made as much output as it may.
    fileprivate var isFull = false
    fileprivate var lastTold: NIODeadline
    fileprivate var tellsProgress: Bool

    fileprivate init(
        _ work: any SlicedWork, tellsProgress: Bool, now: NIODeadline, _ then: @escaping ((any Error)?) -> Void
    ) {
        lent = LentWork(work)
        lastTold = now
        self.tellsProgress = tellsProgress
        self.then = then
    }
}

/// Lends a work to one thread at a time.
// Between `submit` and the answer only the reading thread touches it: `isRunning`.
private final class LentWork: @unchecked Sendable {
    let work: any SlicedWork
    init(_ work: any SlicedWork) { self.work = work }

    func run(
        _ engine: MailEngine, usesUTF8: Bool, octets: Int = 0, clock: @escaping @Sendable () -> NIODeadline
    ) -> SliceResult {
        var context = SliceContext(engine, usesUTF8: usesUTF8, octets: octets, clock: clock)
        do {
            let more = try work.slice(&context)
            return SliceResult(output: context.output.bytes, more: more, error: nil)
        } catch {
            return SliceResult(output: context.output.bytes, more: false, error: error)
        }
    }
}

private struct SliceResult: Sendable {
    let output: [UInt8]
    let more: Bool
    let error: (any Error)?
}

extension IMAPSession {
    /// Runs a work to its end, then calls `then` on the loop.
    ///
    /// - Parameter isSmall: its first slice is so short that it is done here.
    func read(
        _ work: any SlicedWork, isSmall: Bool, tellsProgress: Bool = false,
        _ then: @escaping ((any Error)?) -> Void
    ) {
        let clock = connection.gateway.options.readingClock
        let reading = Reading(work, tellsProgress: tellsProgress, now: clock(), then)
        self.reading = reading
        guard isSmall else { return readOn() }
        take(reading.lent.run(engine, usesUTF8: machine.enabled.usesUTF8, clock: clock))
    }

    /// Goes on when the client has taken what was made.
    func readOn() {
        guard let reading, !reading.isRunning else { return }
        // Asking for room may write, and a write may come back here.
        reading.isRunning = true
        guard connection.hasRoomForOutput else {
            reading.isRunning = false
            return
        }
        let (lent, engine, usesUTF8) = (reading.lent, engine, machine.enabled.usesUTF8)
        let clock = connection.gateway.options.readingClock
        let answer = connection.answering { [self] (result: SliceResult) in
            guard !isOver, self.reading === reading else { return }
            reading.isRunning = false
            take(result)
        }
        let threads = lent.work.isUncut ? connection.gateway.orderThreads : connection.gateway.readThreads
        // The slice before was full: so will this one be.
        let octets = reading.isFull ? GatewayLimits.imapSliceOctets * 5 / 4 : 0
        threads.submit { _ in answer(lent.run(engine, usesUTF8: usesUTF8, octets: octets, clock: clock)) }
    }

    /// Writes a response of that many numbers, then calls `then`.
    ///
    /// - Parameter isOrdered: they are not runs of what stands together; each costs a look-up.
    func respond(
        items: Int, isOrdered: Bool = false, _ write: @escaping (inout IMAPWriter) -> Void, _ then: @escaping () -> Void
    ) {
        guard items > GatewayLimits.imapInlineRowsMax else {
            respond(write)
            return then()
        }
        let isLong = isOrdered && items > GatewayLimits.imapInlineOrderMax
        read(WriteWork(isLong: isLong, write), isSmall: false) { _ in then() }
    }

    private func take(_ result: SliceResult) {
        guard let reading else { return }
        reading.isFull = result.output.count >= GatewayLimits.imapSliceOctets
        if result.more {
            // A response that has begun is not interrupted.
            if result.output.isEmpty { tellProgress(reading) } else { reading.tellsProgress = false }
            readOn()
        }
        if !result.output.isEmpty { result.output.withUnsafeBytes { connection.write($0) } }
        if result.more { return readOn() }
        self.reading = nil
        reading.then(result.error)
    }

    /// RFC 9585: now and then, so that the client and what stands between do not give up.
    private func tellProgress(_ reading: Reading) {
        guard reading.tellsProgress else { return }
        let now = connection.gateway.options.readingClock()
        guard now - reading.lastTold >= GatewayLimits.imapProgressEvery else { return }
        reading.lastTold = now
        let progress = reading.lent.work.progress
        write(
            .untagged(
                .ok(
                    "Working",
                    code: .inProgress(
                        tag: machine.tag, done: progress.map { UInt32(clamping: $0.done) },
                        goal: progress.map { UInt32(clamping: $0.goal) }))))
    }
}
