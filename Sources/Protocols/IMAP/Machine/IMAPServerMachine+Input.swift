// Framing: lines, literals, and the way to the end of what was refused.
import Octets

extension IMAPServerMachine {
    /// Octets of a command, without message texts.
    private var commandOctetsMax: Int {
        switch phase {
        case .saslLine: IMAPLimits.saslLineOctetsMax
        case .idle: IMAPLimits.commandBeforeLoginOctetsMax
        default: isLoggedIn ? IMAPLimits.commandOctetsMax : IMAPLimits.commandBeforeLoginOctetsMax
        }
    }

    mutating func receiveLine(
        _ bytes: UnsafeRawBufferPointer, from start: Int, into actions: inout [IMAPAction]
    ) -> Int {
        let room = commandOctetsMax - held.count
        let window = min(bytes.count - start, room)
        guard let lineFeed = bytes.firstIndex(of: Ascii.lineFeed, in: start..<(start + window)) else {
            held.append(contentsOf: bytes[start..<(start + window)])
            if window == room { lineTooLong(into: &actions) }
            return start + window
        }
        let next = lineFeed + 1
        if held.isEmpty {
            take(UnsafeRawBufferPointer(rebasing: bytes[start..<next]), line: 0, into: &actions)
        } else {
            held.append(contentsOf: bytes[start..<next])
            // Taken out, so that what is read from it can change the machine.
            var command: [UInt8] = []
            swap(&command, &held)
            let line = lineStart
            lineStart = 0
            command.withUnsafeBytes { take($0, line: line, into: &actions) }
            // Its room is used again, unless the command itself was put back.
            if held.isEmpty, command.count <= 4_096 {
                command.removeAll(keepingCapacity: true)
                swap(&command, &held)
            }
        }
        return next
    }

    /// - Parameters:
    ///   - text: the command so far, up to a line feed.
    ///   - line: where its last line begins.
    private mutating func take(_ text: UnsafeRawBufferPointer, line: Int, into actions: inout [IMAPAction]) {
        let end = text.count - 2
        let isBlank = text.count - line == 1 || (end == line && text[line] == Ascii.carriageReturn)
        // RFC 9051 has no empty lines; clients send them after literals and around IDLE (rule 15).
        if isBlank, line == 0, append == nil, phase != .saslLine { return }
        let hasCarriageReturn = end >= line && text[end] == Ascii.carriageReturn
        let content = UnsafeRawBufferPointer(rebasing: text[..<(hasCarriageReturn ? end : text.count - 1)])
        switch phase {
        case .saslLine: return takeSASLLine(content, isWhole: hasCarriageReturn, into: &actions)
        case .idle: return takeIdleLine(content, into: &actions)
        default: break
        }
        let suffix = LiteralSuffix(endOf: UnsafeRawBufferPointer(rebasing: text[line...]))
        if append == nil, line == 0 { tag = readTag(content) ?? "" }
        guard hasCarriageReturn else {
            return refuse(.bad("A line ends without a carriage return"), before: suffix, into: &actions)
        }
        if let suffix {
            meetLiteral(text, suffix, into: &actions)
        } else {
            finishCommand(content, into: &actions)
        }
    }

    /// The tag that the command begins with; nil where there is none that can be sent back.
    private func readTag(_ text: UnsafeRawBufferPointer) -> String? {
        var count = 0
        while count < text.count, count <= IMAPLimits.tagOctetsMax, Ascii.isTag(text[count]) { count += 1 }
        guard count > 0, count <= IMAPLimits.tagOctetsMax, count == text.count || text[count] == Ascii.space else {
            return nil
        }
        return String(decoding: text[..<count], as: UTF8.self)
    }

    // MARK: Literals

    /// Decides about the literal that the text ends with.
    private mutating func meetLiteral(
        _ text: UnsafeRawBufferPointer, _ suffix: LiteralSuffix, into actions: inout [IMAPAction]
    ) {
        do throws(GrammarStop) {
            // RFC 7888 section 5: in an APPEND this is to be BAD with TOOBIG, and it says the same elsewhere.
            if configuration.usesLiteralMinus, !suffix.isSynchronizing,
                suffix.octets > UInt64(IMAPLimits.literalMinusOctetsMax)
            {
                throw .refused(.bad("A non-synchronizing literal is too large", code: .tooBig))
            }
            if try meetMessage(text, suffix, into: &actions) { return }
            literalCount += 1
            guard literalCount <= IMAPLimits.literalsMax else { throw .no(.limit, "Too many literals") }
            // What comes unasked is read with the whole command; what is asked for must be worth it.
            if suffix.isSynchronizing { try checkPrefix(text) }
            // One octet for the line end that must follow.
            guard suffix.octets < UInt64(max(0, commandOctetsMax - text.count)) else {
                throw .no(.tooBig, "A literal is too large")
            }
        } catch .refused(let outcome) {
            return refuse(outcome, before: suffix, into: &actions)
        } catch {
            return refuse(.bad("A literal stands where none can"), before: suffix, into: &actions)
        }
        held = Array(text)
        lineStart = text.count + Int(suffix.octets)
        if suffix.isSynchronizing { actions.append(.reply(.proceed("OK"))) }
        phase = suffix.octets == 0 ? .command : .literal(suffix.octets)
    }

    private func checkPrefix(_ text: UnsafeRawBufferPointer) throws(GrammarStop) {
        if append != nil { return }
        do throws(GrammarStop) {
            var beginning = context
            beginning.isBeginning = true
            var reader = CommandReader(text, beginning)
            let row = try readVerb(&reader)
            // Read as far as that by `meetMessage`.
            if row.takesMessages { return }
            _ = try row.read(&reader)
        } catch .awaitsLiteral {
            return
        }
        throw .bad("A literal stands where none can")
    }

    mutating func receiveLiteral(_ bytes: UnsafeRawBufferPointer, from start: Int, _ left: UInt64) -> Int {
        let count = min(bytes.count - start, Int(left))
        held.append(contentsOf: bytes[start..<(start + count)])
        phase = left == UInt64(count) ? .command : .literal(left - UInt64(count))
        return start + count
    }

    // MARK: Refusing

    /// Refuses the command; says so when all that the client sends of it anyway has been dropped.
    ///
    /// - Parameter suffix: what the text ended with.
    mutating func refuse(_ outcome: IMAPOutcome, before suffix: LiteralSuffix?, into actions: inout [IMAPAction]) {
        discardAppend(into: &actions)
        held = []
        lineStart = 0
        refusal = Refusal(tag: tag.isEmpty ? nil : tag, outcome: outcome)
        if let suffix, !suffix.isSynchronizing {
            drop(suffix.octets, into: &actions)
        } else {
            finishRefusal(into: &actions)
        }
    }

    private mutating func drop(_ octets: UInt64, into actions: inout [IMAPAction]) {
        let (sum, overflow) = droppedOctets.addingReportingOverflow(octets)
        let most = max(UInt64(IMAPLimits.droppedOctetsMax), configuration.appendOctetsMax)
        guard !overflow, sum <= most else {
            return close(
                .literalTooBig, .bye("A literal is too large to be passed over", code: .tooBig), into: &actions)
        }
        droppedOctets = sum
        droppedTail.removeAll(keepingCapacity: true)
        phase = octets == 0 ? .droppingLine : .droppingLiteral(octets)
    }

    mutating func dropLiteral(_ bytes: UnsafeRawBufferPointer, from start: Int, _ left: UInt64) -> Int {
        let count = Int(min(UInt64(bytes.count - start), left))
        phase = left == UInt64(count) ? .droppingLine : .droppingLiteral(left - UInt64(count))
        return start + count
    }

    mutating func dropLine(_ bytes: UnsafeRawBufferPointer, from start: Int, into actions: inout [IMAPAction]) -> Int {
        let lineFeed = bytes.firstIndex(of: Ascii.lineFeed, in: start..<bytes.count)
        let next = lineFeed.map { $0 + 1 } ?? bytes.count
        droppedTail.append(contentsOf: bytes[max(start, next - LiteralSuffix.octetsMax)..<next])
        if droppedTail.count > LiteralSuffix.octetsMax {
            droppedTail.removeFirst(droppedTail.count - LiteralSuffix.octetsMax)
        }
        guard lineFeed != nil else { return next }
        let suffix = droppedTail.withUnsafeBytes { LiteralSuffix(endOf: $0) }
        if let suffix, !suffix.isSynchronizing {
            drop(suffix.octets, into: &actions)
        } else {
            finishRefusal(into: &actions)
        }
        return next
    }

    private mutating func finishRefusal(into actions: inout [IMAPAction]) {
        guard let refusal else { preconditionFailure("nothing was refused") }
        self.refusal = nil
        tag = refusal.tag ?? ""
        finish(refusal.outcome, into: &actions)
    }

    private mutating func lineTooLong(into actions: inout [IMAPAction]) {
        switch phase {
        case .idle: return close(.tooManyErrors, .bye("The line is too long"), into: &actions)
        case .saslLine: actions.append(.authenticationCancelled)
        default:
            if append == nil, lineStart == 0 { tag = held.withUnsafeBytes { readTag($0) } ?? "" }
            discardAppend(into: &actions)
        }
        droppedTail = Array(held[min(lineStart, held.count)...].suffix(LiteralSuffix.octetsMax))
        held = []
        lineStart = 0
        refusal = Refusal(tag: tag.isEmpty ? nil : tag, outcome: .bad("The command is too long"))
        phase = .droppingLine
    }
}
