// RETR and TOP: a body is opened by its blob number and sent part by part, as the client takes it. Small bodies are read
// on the event loop, larger ones by the threads for files, one part in flight.
import EventStore
import Logging
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

    /// Nothing more has to be read.
    var isRead: Bool { encoder.isComplete || offset >= handle.size }
    var nextCount: Int { min(GatewayLimits.bodyChunkOctets, handle.size - offset) }
}

/// Why a body cannot be read.
private enum OpenFailure: Error {
    case gone
    case failed(String)
}

extension POP3Session {
    func open(_ retrieval: POP3Retrieval) {
        guard let blob = drop?.blob(of: retrieval.uid) else {
            return machine.bodyOpened(.gone, into: &actions)
        }
        let engine = connection.gateway.engine
        if retrieval.octets <= GatewayLimits.inlineBodyOctetsMax {
            return opened(openBody(blob, engine), retrieval)
        }
        let answer = connection.answering { [self] (result: Result<any BodyHandle, OpenFailure>) in
            act { opened(result, retrieval) }
        }
        connection.gateway.fileThreads.submit { _ in answer(openBody(blob, engine)) }
    }

    private func opened(_ result: Result<any BodyHandle, OpenFailure>, _ retrieval: POP3Retrieval) {
        guard !machine.isClosed else { return }
        switch result {
        case .success(let handle):
            let encoder = POP3BodyEncoder(lines: retrieval.lines)
            transfer = Transfer(source: .body(BodyTransfer(handle: handle, encoder: encoder)))
            connection.counters.retrievals.add()
            machine.bodyOpened(.opened, into: &actions)
        case .failure(.gone):
            machine.bodyOpened(.gone, into: &actions)
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
        octets.withUnsafeBytes { bytes in
            var ranges: [Range<Int>] = []
            body.encoder.encode(bytes, into: &ranges)
            for range in ranges { connection.write(UnsafeRawBufferPointer(rebasing: bytes[range])) }
        }
        body.offset += octets.count
        transfer?.source = .body(body)
    }

    func endTransfer() {
        transfer = nil
        machine.transferFinished(into: &actions)
    }
}

private func openBody(_ blob: BlobNumber, _ engine: MailEngine) -> Result<any BodyHandle, OpenFailure> {
    do throws(StoreError) {
        return .success(try engine.openBody(blob))
    } catch {
        // Erased since login, or unreadable: the state knows which.
        let isKnown = (try? engine.read { try $0.body(blob) != nil }) ?? true
        return .failure(isKnown ? .failed("\(error)") : .gone)
    }
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
