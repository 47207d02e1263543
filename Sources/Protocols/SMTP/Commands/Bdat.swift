// BDAT (RFC 3030 section 2): a body in chunks of announced size.
//
// Invariants
// - The octets behind a BDAT line are taken off the connection whatever becomes of the command, before its reply. What
//   cannot be counted (no number behind BDAT) has no octets to take.
// - The chunks of one transaction are one body: begun by the first, delivered after the one marked LAST.
// - After a chunk that failed, and after RSET, nothing of the body is kept; until RSET further chunks are taken and
//   refused (503).
// - LMTP answers a LAST chunk once for each accepted recipient (RFC 2033 section 4.2), every other chunk once.

extension SMTPCommand {
    /// BDAT size [LAST]
    static let bdat = SMTPCommand("BDAT", stages: .any) { machine, line, actions in
        machine.bdat(&line, into: &actions)
    }
}

/// A chunk that is being received.
struct SMTPChunk: Equatable, Sendable {
    /// Octets still to come.
    var remaining: Int
    let isLast: Bool
    /// Told once the octets have gone by.
    var refusal: SMTPReply?
}

/// What the chunks of the open transaction have come to.
enum SMTPChunkProgress: Sendable {
    /// A body is open, and more chunks follow.
    case open
    /// A chunk failed; only RSET helps.
    case failed
}

extension SMTPServerMachine {
    fileprivate mutating func bdat(_ line: inout ArgumentCursor, into actions: inout [SMTPAction]) {
        guard var chunk = Self.chunk(&line) else {
            return refuse(.syntaxError("BDAT size, or BDAT size LAST"), into: &actions)
        }
        guard let envelope, chunkProgress != .failed else {
            chunk.refusal = .badSequence(envelope == nil ? sequenceHint : "RSET comes first")
            return take(chunk, into: &actions)
        }
        guard !envelope.recipients.isEmpty else {
            chunk.refusal = withoutRecipients
            return take(chunk, into: &actions)
        }
        if chunkProgress == .open { return take(chunk, into: &actions) }
        phase = .awaitingChunkStart(chunk)
        actions.append(.startBody(envelope))
    }

    /// `1*DIGIT [ SP "LAST" ]`; nil when it is something else.
    private static func chunk(_ line: inout ArgumentCursor) -> SMTPChunk? {
        line.skipSpaces()
        let digits = line.take(while: Ascii.isDigit)
        guard (1...SMTPLimits.chunkDigitsMax).contains(digits.count) else { return nil }
        let octets = digits.reduce(0) { $0 * 10 + Int($1 - Ascii.zero) }
        if line.hasNoMore() { return SMTPChunk(remaining: octets, isLast: false) }
        guard line.skip(word: "LAST"), line.hasNoMore() else { return nil }
        return SMTPChunk(remaining: octets, isLast: true)
    }

    /// Answers `startBody` for a first chunk.
    mutating func chunkStarted(_ chunk: SMTPChunk, _ verdict: BodyVerdict, into actions: inout [SMTPAction]) {
        var chunk = chunk
        if verdict == .ready {
            body = BodyProgress()
            chunkProgress = .open
        } else {
            chunk.refusal = verdict.reply
        }
        take(chunk, into: &actions)
    }

    private mutating func take(_ chunk: SMTPChunk, into actions: inout [SMTPAction]) {
        phase = .chunk(chunk)
        if chunk.remaining == 0 { finish(chunk, into: &actions) }
    }

    mutating func receiveChunk(
        _ chunk: SMTPChunk, _ bytes: UnsafeRawBufferPointer, from start: Int, into actions: inout [SMTPAction]
    ) -> Int {
        var chunk = chunk
        let run = start..<(start + min(chunk.remaining, bytes.count - start))
        chunk.remaining -= run.count
        if chunk.refusal == nil {
            body.lineEnds.read(UnsafeRawBufferPointer(rebasing: bytes[run]))
            takeContent(bytes, run, into: &actions)
        }
        phase = .chunk(chunk)
        if chunk.remaining == 0 { finish(chunk, into: &actions) }
        return run.upperBound
    }

    private mutating func finish(_ chunk: SMTPChunk, into actions: inout [SMTPAction]) {
        if let refusal = chunk.refusal {
            // Where a transaction is open it has failed, also when its body was never begun.
            if envelope != nil, chunkProgress != .failed { failChunks(into: &actions) }
            let isAnsweredEach = chunk.isLast && configuration.dialect == .lmtp
            let count = isAnsweredEach ? max(1, envelope?.recipients.count ?? 1) : 1
            for _ in 0..<count { actions.append(.reply(refusal)) }
            if chunk.isLast { return finishTransaction(into: &actions) }
            return returnToCommands(into: &actions)
        }
        if chunk.isLast {
            if body.lineEnds.finish(), envelope?.bodyType != .binary { refuseBody(.bareLineEnd, into: &actions) }
            chunkProgress = nil
            return finishBody(into: &actions)
        }
        guard let refusal = body.refusal else {
            actions.append(.reply(SMTPReply(250, .init(2, 0, 0), "Chunk taken, \(body.octets) octets so far")))
            return returnToCommands(into: &actions)
        }
        chunkProgress = .failed
        actions.append(.reply(refusal.reply))
        returnToCommands(into: &actions)
    }

    private mutating func failChunks(into actions: inout [SMTPAction]) {
        discardChunks(into: &actions)
        chunkProgress = .failed
    }

    /// Lets go of what earlier chunks of the transaction brought.
    mutating func discardChunks(into actions: inout [SMTPAction]) {
        if chunkProgress == .open, body.refusals.isEmpty { actions.append(.discardBody) }
        chunkProgress = nil
    }
}
