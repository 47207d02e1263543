// APPEND and REPLACE: message texts pass through, nothing of them is kept (RFC 9051 section 6.3.12, RFC 8508).
import Octets

/// An APPEND that is being read.
struct AppendProgress: Equatable {
    var target: AppendTarget
    var reader: AppendReader
    /// `beginAppend` has been asked for.
    var isBegun = false
    /// Of the message that is being read, without what URLs name.
    var messageOctets: UInt64 = 0
    /// The literal that is being read.
    var literal = AppendLiteral(octets: 0)
    /// A NUL stood in a literal that is no literal8 (RFC 9051 section 4.3).
    var hasNul = false

    init(_ target: AppendTarget, _ context: GrammarContext) {
        self.target = target
        let takesSeveral = target.replaced == nil && context.offers(.multiAppend)
        reader = AppendReader(messagesMax: takesSeveral ? IMAPLimits.appendMessagesMax : 1)
    }
}

extension IMAPServerMachine {
    /// Takes a run of text that ends with the header of a message's literal.
    ///
    /// - Returns: false when the literal is none of a message.
    mutating func meetMessage(
        _ text: UnsafeRawBufferPointer, _ suffix: LiteralSuffix, into actions: inout [IMAPAction]
    ) throws(GrammarStop) -> Bool {
        var beginning = context
        beginning.isBeginning = true
        var reader = CommandReader(text, beginning)
        var progress: AppendProgress
        let steps: [AppendStep]
        do throws(GrammarStop) {
            if let append {
                progress = append
            } else {
                let row = try readVerb(&reader)
                guard row.takesMessages, case .append(let target) = try row.read(&reader) else { return false }
                progress = AppendProgress(target, context)
            }
            steps = try progress.reader.read(&reader)
        } catch .awaitsLiteral {
            return false
        }
        guard case .literal(let literal)? = steps.last else { return false }
        // RFC 9051 section 6.3.12 and RFC 7889 section 4: before the client sends it.
        let isNew = steps.contains { if case .message = $0 { true } else { false } }
        let (octets, overflow) = (isNew ? 0 : progress.messageOctets).addingReportingOverflow(literal.octets)
        guard !overflow, octets <= configuration.appendOctetsMax else { throw .no(.tooBig, "The message is too large") }
        progress.messageOctets = octets
        progress.literal = literal
        append = progress
        carryOut(steps, into: &actions)
        phase = .awaitingLiteral(literal, isSynchronizing: suffix.isSynchronizing)
        return true
    }

    /// Takes the last run of text.
    mutating func finishMessages(
        _ progress: AppendProgress, _ reader: inout CommandReader, into actions: inout [IMAPAction]
    ) throws(GrammarStop) {
        var progress = progress
        let steps = try progress.reader.read(&reader)
        guard !progress.hasNul else {
            throw .no(.cannot, "A message has a NUL; only a literal8 can carry it")
        }
        append = progress
        carryOut(steps, into: &actions)
        append = nil
        actions.append(.finishAppend)
        phase = .performing
    }

    private mutating func carryOut(_ steps: [AppendStep], into actions: inout [IMAPAction]) {
        guard var progress = append else { return }
        if !progress.isBegun {
            progress.isBegun = true
            actions.append(.beginAppend(progress.target))
        }
        append = progress
        for step in steps {
            switch step {
            case .message(let options): actions.append(.beginMessage(options))
            case .url(let url): actions.append(.appendURL(url))
            case .literal(let literal): actions.append(.appendLiteral(literal))
            case .end: break
            }
        }
    }

    mutating func discardAppend(into actions: inout [IMAPAction]) {
        if append?.isBegun == true { actions.append(.discardAppend) }
        append = nil
    }

    mutating func receiveMessageText(
        _ bytes: UnsafeRawBufferPointer, from start: Int, _ left: UInt64, into actions: inout [IMAPAction]
    ) -> Int {
        let end = start + Int(min(UInt64(bytes.count - start), left))
        if append?.literal.isBinary == false, bytes.firstIndex(of: Ascii.nul, in: start..<end) != nil {
            append?.hasNul = true
        }
        actions.append(.appendOctets(start..<end))
        let rest = left - UInt64(end - start)
        phase = rest == 0 ? .command : .messageText(rest)
        return end
    }

    // MARK: Answers

    /// There is a mailbox and room: the text may come.
    package mutating func literalAccepted(into actions: inout [IMAPAction]) {
        guard !isClosed else { return }
        guard case .awaitingLiteral(let literal, let isSynchronizing) = phase else {
            preconditionFailure("no literal was asked about")
        }
        if isSynchronizing { actions.append(.reply(.proceed("OK"))) }
        phase = literal.octets == 0 ? .command : .messageText(literal.octets)
    }

    /// There is none: `discardAppend` follows, and the outcome when the client has sent what it sends unasked.
    package mutating func literalRefused(_ outcome: IMAPOutcome, into actions: inout [IMAPAction]) {
        guard !isClosed else { return }
        guard case .awaitingLiteral(let literal, let isSynchronizing) = phase else {
            preconditionFailure("no literal was asked about")
        }
        let suffix = LiteralSuffix(octets: literal.octets, isSynchronizing: isSynchronizing)
        refuse(outcome, before: suffix, into: &actions)
    }
}
