/// What is known of the body that is being received. Counting goes on after a refusal, so that its reason does not
/// depend on how the octets were cut up.
struct BodyProgress: Sendable {
    var reader = DataReader()
    var hops = HopCounter()
    var octets = 0
    var refusals: Set<BodyRefusal> = []
    /// Of chunks, which have no dots to be taken out.
    var lineEnds = LineEndReader()

    /// The one that is told: the first in their order.
    var refusal: BodyRefusal? { BodyRefusal.allCases.first(where: refusals.contains) }
}

extension SMTPServerMachine {
    mutating func receiveBody(
        _ bytes: UnsafeRawBufferPointer, from start: Int, into actions: inout [SMTPAction]
    ) -> Int {
        var position = start
        while position < bytes.count {
            switch body.reader.next(in: bytes, from: position) {
            case .needMore(let consumed): return consumed
            case .end(let next):
                finishBody(into: &actions)
                return next
            case .run(let run):
                takeContent(bytes, run, into: &actions)
                position = run.upperBound
            }
        }
        return position
    }

    mutating func takeContent(
        _ bytes: UnsafeRawBufferPointer, _ run: Range<Int>, into actions: inout [SMTPAction]
    ) {
        body.octets += run.count
        if !body.hops.isDone { body.hops.read(UnsafeRawBufferPointer(rebasing: bytes[run])) }
        let wasRefused = !body.refusals.isEmpty
        if body.octets > configuration.messageOctetsMax { body.refusals.insert(.tooLarge) }
        if body.hops.count > SMTPLimits.hopsMax { body.refusals.insert(.tooManyHops) }
        // RFC 3030 section 3: a binary body has no lines.
        if envelope?.bodyType != .binary {
            if body.reader.hasNUL || body.lineEnds.hasNUL { body.refusals.insert(.nul) }
            let hasBareLineEnd = body.reader.hasBareLineEnd || body.lineEnds.hasBare
            if hasBareLineEnd, configuration.bareLineEnds == .refuse { body.refusals.insert(.bareLineEnd) }
        }
        if body.refusals.isEmpty {
            actions.append(.body(run))
        } else if !wasRefused {
            actions.append(.discardBody)
        }
    }

    /// A fault that only the end of the body shows.
    mutating func refuseBody(_ refusal: BodyRefusal, into actions: inout [SMTPAction]) {
        if refusal == .bareLineEnd, configuration.bareLineEnds == .accept { return }
        if body.refusals.isEmpty { actions.append(.discardBody) }
        body.refusals.insert(refusal)
    }

    mutating func finishBody(into actions: inout [SMTPAction]) {
        guard let refusal = body.refusal else {
            phase = .awaitingDelivery
            return actions.append(.deliver(octets: body.octets))
        }
        let count = configuration.dialect == .lmtp ? envelope?.recipients.count ?? 1 : 1
        for _ in 0..<count { actions.append(.reply(refusal.reply)) }
        finishTransaction(into: &actions)
    }

    /// After the last reply of a message, whatever it said (RFC 5321 section 4.1.1.4).
    mutating func finishTransaction(into actions: inout [SMTPAction]) {
        resetTransaction(into: &actions)
        returnToCommands(into: &actions)
    }

    /// The next command may come, unless the server is going down.
    mutating func returnToCommands(into actions: inout [SMTPAction]) {
        phase = .command
        if let ending { close(ending.reason, ending.reply, into: &actions) }
    }
}
