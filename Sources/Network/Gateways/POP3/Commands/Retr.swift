// RETR and TOP: a body is opened by its blob number and sent part by part, as the client takes it. Small bodies are read
// on the event loop, larger ones by the threads for files, one part in flight.
import EventStore
import Logging
import MIME
import MailEngine
import MailTypes
import NIOCore
import POP3

/// What is being sent to the client.
struct Transfer {
    enum Source {
        case listing(POP3Listing)
        case body(BodyTransfer)
    }
    var source: Source
    /// A thread reads the next part.
    var isReading = false
}

struct BodyTransfer {
    let handle: any BodyHandle
    var encoder: POP3BodyEncoder
    var offset = 0
    /// Goes out in place of the octets before `offset`.
    var beginning: [UInt8]?

    /// Nothing more has to be read.
    var isRead: Bool { encoder.isComplete || offset >= handle.size }
    var nextCount: Int { min(GatewayLimits.bodyChunkOctets, handle.size - offset) }
}

/// Why a body cannot be read.
private enum OpenFailure: Error {
    case gone
    case needsUTF8
    case failed(String)
}

/// A body that can be sent, with what was read of it to look at its header.
private struct OpenBody: Sendable {
    let handle: any BodyHandle
    var offset = 0
    /// The octets before `offset`, with a header in ASCII where the client needs one.
    var beginning: [UInt8]?
}

extension POP3Session {
    func open(_ retrieval: POP3Retrieval) {
        guard let blob = drop?.blob(of: retrieval.uid) else {
            return machine.bodyOpened(.gone, into: &actions)
        }
        let engine = connection.gateway.engine
        let isUTF8 = machine.isUTF8
        if retrieval.octets <= GatewayLimits.inlineBodyOctetsMax {
            return opened(openBody(blob, engine, isUTF8: isUTF8), retrieval)
        }
        let answer = connection.answering { [self] (result: Result<OpenBody, OpenFailure>) in
            act { opened(result, retrieval) }
        }
        connection.gateway.fileThreads.submit { _ in answer(openBody(blob, engine, isUTF8: isUTF8)) }
    }

    private func opened(_ result: Result<OpenBody, OpenFailure>, _ retrieval: POP3Retrieval) {
        guard !machine.isClosed else { return }
        switch result {
        case .success(let body):
            let encoder = POP3BodyEncoder(lines: retrieval.lines)
            let source = BodyTransfer(
                handle: body.handle, encoder: encoder, offset: body.offset, beginning: body.beginning)
            transfer = Transfer(source: .body(source))
            connection.counters.retrievals.add()
            machine.bodyOpened(.opened, into: &actions)
        case .failure(.gone):
            machine.bodyOpened(.gone, into: &actions)
        case .failure(.needsUTF8):
            machine.bodyOpened(.needsUTF8, into: &actions)
        case .failure(.failed(let reason)):
            connection.log.error("a body cannot be opened", metadata: ["error": "\(reason)"])
            machine.bodyOpened(.temporary, into: &actions)
        }
    }

    /// The `+OK` has been written.
    func send(_ retrieval: POP3Retrieval) { sendOn() }

    /// Sends as much as the client takes now.
    func sendOn() {
        // Asking for room may write, and a write may come back here: the transfer is looked at after it.
        while connection.hasRoomForOutput, let transfer, !transfer.isReading, !machine.isClosed {
            switch transfer.source {
            case .listing(let listing): sendPart(of: listing)
            case .body(let body): sendPart(of: body)
            }
        }
    }

    private func sendPart(of body: BodyTransfer) {
        if let beginning = body.beginning {
            var body = body
            body.beginning = nil
            return write(beginning, of: body)
        }
        guard !body.isRead else {
            connection.write(body.encoder.finish())
            return endTransfer()
        }
        if body.handle.size <= GatewayLimits.inlineBodyOctetsMax {
            return take(readPart(body.handle, body.offset, body.nextCount))
        }
        transfer?.isReading = true
        let answer = connection.answering { [self] (part: Result<[UInt8], StoreError>) in
            guard transfer != nil else { return }
            transfer?.isReading = false
            act {
                take(part)
                sendOn()
            }
        }
        let (handle, offset, count) = (body.handle, body.offset, body.nextCount)
        connection.gateway.fileThreads.submit { _ in answer(readPart(handle, offset, count)) }
    }

    private func take(_ part: Result<[UInt8], StoreError>) {
        guard case .body(var body) = transfer?.source else { return }
        guard case .success(let octets) = part, octets.count == body.nextCount else {
            connection.log.error("a body broke off", metadata: ["result": "\(part.failure)"])
            transfer = nil
            return machine.transferFailed(into: &actions)
        }
        body.offset += octets.count
        write(octets, of: body)
    }

    private func write(_ octets: [UInt8], of body: BodyTransfer) {
        var body = body
        octets.withUnsafeBytes { bytes in
            var ranges: [Range<Int>] = []
            body.encoder.encode(bytes, into: &ranges)
            for range in ranges { connection.write(UnsafeRawBufferPointer(rebasing: bytes[range])) }
        }
        transfer?.source = .body(body)
    }

    func endTransfer() {
        transfer = nil
        machine.transferFinished(into: &actions)
    }
}

private func openBody(_ blob: BlobNumber, _ engine: MailEngine, isUTF8: Bool) -> Result<OpenBody, OpenFailure> {
    do throws(StoreError) {
        let handle = try engine.openBody(blob)
        guard !isUTF8 else { return .success(OpenBody(handle: handle)) }
        let first = try firstOctets(handle)
        var beginning = first.octets
        if let end = first.headerEnd {
            if let surrogate = HeaderSurrogate.make(Array(first.octets[..<end])) {
                beginning.replaceSubrange(..<end, with: surrogate)
            }
        } else if HeaderSurrogate.needsUTF8(beginning: first.octets) {
            return .failure(.needsUTF8)
        }
        return .success(OpenBody(handle: handle, offset: first.octets.count, beginning: beginning))
    } catch {
        // Erased since login, or unreadable: the state knows which.
        let isKnown = (try? engine.read { try $0.body(blob) != nil }) ?? true
        return .failure(isKnown ? .failed("\(error)") : .gone)
    }
}

/// The header and perhaps more, up to `surrogateHeaderOctetsMax`, and where it ends; nil where that is not among them.
private func firstOctets(_ handle: any BodyHandle) throws(StoreError) -> (octets: [UInt8], headerEnd: Int?) {
    let count = min(handle.size, POP3Limits.surrogateHeaderOctetsMax)
    var octets: [UInt8] = []
    var end = HeaderEnd()
    while octets.count < count {
        try handle.read(
            at: octets.count, count: min(GatewayLimits.listingChunkOctets, count - octets.count), into: &octets)
        if let found = end.find(in: octets) { return (octets, found) }
    }
    return (octets, octets.count == handle.size ? octets.count : nil)
}

private func readPart(_ handle: any BodyHandle, _ offset: Int, _ count: Int) -> Result<[UInt8], StoreError> {
    var octets: [UInt8] = []
    octets.reserveCapacity(count)
    do throws(StoreError) {
        try handle.read(at: offset, count: count, into: &octets)
        return .success(octets)
    } catch {
        return .failure(error)
    }
}

extension Result<[UInt8], StoreError> {
    fileprivate var failure: String {
        switch self {
        case .success(let octets): "\(octets.count) octets"
        case .failure(let error): "\(error)"
        }
    }
}
