// The side of a mail server in the protocol between it and a filter, free of I/O: questions and octets in, actions out.
//
// How it is driven
//     machine.begin(into: &actions)                        // first of all
//     machine.ask(question, macros, into: &actions)        // when `isReady`
//     machine.receive(bytes, into: &actions)               // whenever octets have arrived
//     machine.abort(into: &actions)                        // the message is over without its end
//     machine.quit(into: &actions)                         // last of all
//
// Invariants
// - One question at a time, each with one `.answered`: at once where the filter does not want to hear of it or will not
//   answer, and then nothing of it is awaited.
// - Changes come before the answer to the end of the message, and at no other time.
// - Whatever a filter sends is answered by a fault at worst. After `.failed` nothing follows, and nothing is said any more.
// - What is held is one packet of the filter, but for a new body, and the piece that came last.

/// What is to be done for a filter, in order.
package enum MilterClientAction: Hashable, Sendable {
    case send([UInt8])
    /// The filter and we agree on how to go on; questions may be asked.
    case ready
    case change(MilterChange)
    /// The filter is still at work: its time begins anew.
    case progress
    case answered(MilterVerdict)
    /// Close: nothing that the filter says counts any more.
    case failed(MilterFault)
}

package struct MilterClientMachine: Sendable {
    private enum Phase: Hashable {
        case new
        case negotiating
        case ready
        case asked(MilterQuestion)
        case over
    }

    private var phase = Phase.new
    private var reader = MilterPacketReader()
    package private(set) var agreement = MilterAgreement(version: 0, actions: [], steps: [])
    private var changes = 0
    private var changeOctets = 0
    private var progresses = 0

    package init() {}

    package var isReady: Bool { phase == .ready }
    /// A failed one, or one that has said its last.
    package var isOver: Bool { phase == .over }

    /// Says what we can do.
    package mutating func begin(into actions: inout [MilterClientAction]) {
        precondition(phase == .new, "a filter is greeted once")
        phase = .negotiating
        let offer = MilterAgreement(version: MilterAgreement.version, actions: .all, steps: .offered)
        actions.append(.send(MilterPacket.negotiation(offer)))
    }

    /// - Parameter macros: the value of each macro that has one now, by its name.
    package mutating func ask(
        _ question: MilterQuestion, _ macros: [String: String] = [:], into actions: inout [MilterClientAction]
    ) {
        precondition(phase == .ready, "one question at a time")
        switch question {
        case .sender: progresses = 0
        case .endOfMessage: (changes, changeOctets) = (0, 0)
        default: break
        }
        guard !question.isUnwanted(agreement) else { return actions.append(.answered(.continue)) }
        var octets: [UInt8] = []
        if let stage = question.stage {
            let told = (agreement.macros[stage] ?? stage.usualMacros).compactMap { name in
                macros[name].map { (name, $0) }
            }
            if !told.isEmpty { MilterPacket.appendMacros(told, for: question.command, to: &octets) }
        }
        question.append(to: &octets)
        actions.append(.send(octets))
        guard !question.isUnanswered(agreement.steps) else { return actions.append(.answered(.continue)) }
        phase = .asked(question)
    }

    /// What was told of a message is to be forgotten.
    package mutating func abort(into actions: inout [MilterClientAction]) {
        precondition(phase == .ready, "not while an answer is awaited")
        actions.append(.send(MilterPacket.abort))
    }

    package mutating func quit(into actions: inout [MilterClientAction]) {
        guard phase != .over else { return }
        if phase != .new { actions.append(.send(MilterPacket.quit)) }
        phase = .over
    }

    /// Takes octets as they arrived.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer, into actions: inout [MilterClientAction]) {
        guard phase != .over else { return }
        reader.take(bytes)
        do throws(MilterFault) {
            while phase != .over, let response = try reader.next() { try take(response, into: &actions) }
        } catch {
            fail(error, into: &actions)
        }
    }

    /// The connection is gone, or time is over.
    package mutating func fail(_ fault: MilterFault, into actions: inout [MilterClientAction]) {
        guard phase != .over else { return }
        phase = .over
        actions.append(.failed(fault))
    }

    private mutating func take(
        _ response: MilterResponse, into actions: inout [MilterClientAction]
    ) throws(MilterFault) {
        switch (phase, response) {
        case (.negotiating, .agreement(let agreement)):
            guard agreement.isSound else { throw .noAgreement }
            self.agreement = agreement
            phase = .ready
            actions.append(.ready)
        case (.asked, .progress):
            progresses += 1
            guard progresses <= MilterLimits.progressesMax else { throw .endlessProgress }
            actions.append(.progress)
        case (.asked(.endOfMessage), .change(let change)):
            guard !agreement.actions.isDisjoint(with: change.needs) else { throw .unexpected }
            // A new body has a limit of its own; pieces of it that hold nothing have this one.
            let isPiece = if case .body(let octets) = change { !octets.isEmpty } else { false }
            if !isPiece {
                changes += 1
                changeOctets += change.octets
                guard changes <= MilterLimits.changesMax, changeOctets <= MilterLimits.changeOctetsMax else {
                    throw .tooManyChanges
                }
            }
            actions.append(.change(change))
        case (.asked(let question), .verdict(let verdict)):
            if verdict == .skip {
                guard case .body = question, agreement.steps.contains(.skip) else { throw .unexpected }
            }
            phase = .ready
            actions.append(.answered(verdict))
        default: throw .unexpected
        }
    }
}
