// Reads what follows the mailbox of APPEND and REPLACE (RFC 9051 section 6.3.12, RFC 3502, 4469, 6855, 8508): messages
// whose texts are literals that are never held. The command's text comes in runs between those literals; what must be
// remembered from run to run is `AppendReader`.
//
//     append-message = [SP flag-list] [SP date-time] SP append-data
//     append-data    = literal / literal8 / "CATENATE" SP "(" cat-part *(SP cat-part) ")" / "UTF8" SP "(" literal8 ")"
//     cat-part       = "TEXT" SP literal / "URL" SP astring / "UTF8" SP "(" literal8 ")"

/// What a run of text says.
enum AppendStep: Equatable {
    case message(AppendOptions)
    case url(String)
    /// The run ends here; this many octets follow.
    case literal(AppendLiteral)
    case end
}

struct AppendReader: Equatable {
    private enum Place: Equatable {
        case beforeMessage
        case afterMessage
        case afterPart
        /// Behind the literal of UTF8 (...), whose parenthesis is open.
        case inUTF8(isPart: Bool)
    }

    /// REPLACE takes one message.
    private let messagesMax: Int
    private var messageCount = 0
    private var partCount = 0
    private var place = Place.beforeMessage

    init(messagesMax: Int) { self.messagesMax = messagesMax }

    /// Reads one run to its end, which is the end of the command or a literal's header.
    mutating func read(_ reader: inout CommandReader) throws(GrammarStop) -> [AppendStep] {
        var steps: [AppendStep] = []
        while true {
            switch place {
            case .beforeMessage: if try message(&reader, &steps) { return steps }
            case .afterMessage:
                if reader.isAtEnd {
                    steps.append(.end)
                    return steps
                }
                place = .beforeMessage
            case .afterPart:
                if reader.skip(Ascii.close) {
                    place = .afterMessage
                } else {
                    try reader.space()
                    if try part(&reader, &steps) { return steps }
                }
            case .inUTF8(let isPart):
                try reader.expect(Ascii.close, "A closing parenthesis")
                place = isPart ? .afterPart : .afterMessage
            }
        }
    }

    /// - Returns: whether the run has ended with a literal.
    private mutating func message(
        _ reader: inout CommandReader, _ steps: inout [AppendStep]
    ) throws(GrammarStop) -> Bool {
        guard messageCount < messagesMax else {
            throw messagesMax == 1 ? .bad("One message expected") : .no(.limit, "Too many messages")
        }
        messageCount += 1
        try reader.space()
        // Python's imapclient has two spaces between messages.
        if messageCount > 1 { _ = reader.skip(Ascii.space) }
        var options = AppendOptions()
        if reader.current == Ascii.open {
            options.flags = try reader.flags()
            try reader.space()
        }
        if reader.current == Ascii.quote {
            options.date = try reader.dateTime()
            try reader.space()
        }
        steps.append(.message(options))
        if reader.context.capabilities.contains(.catenate), reader.skip(word: "CATENATE") {
            try reader.space()
            try reader.expect(Ascii.open, "Parts in parentheses")
            return try part(&reader, &steps)
        }
        if try utf8(&reader, &steps, isPart: false) { return true }
        try literal(&reader, &steps, isPart: false)
        place = .afterMessage
        return true
    }

    private mutating func part(_ reader: inout CommandReader, _ steps: inout [AppendStep]) throws(GrammarStop) -> Bool {
        partCount += 1
        guard partCount <= IMAPLimits.catenatePartsMax else { throw .no(.limit, "Too many parts") }
        place = .afterPart
        if reader.skip(word: "URL") {
            try reader.space()
            steps.append(.url(try reader.text(octetsMax: IMAPLimits.urlOctetsMax, "A URL")))
            return false
        }
        if try utf8(&reader, &steps, isPart: true) { return true }
        guard reader.skip(word: "TEXT") else { throw .bad("TEXT or URL expected") }
        try reader.space()
        // RFC 3516 section 4.4 extends APPEND alone; clients use literal8 here too, and it harms nobody.
        try literal(&reader, &steps, isPart: true)
        return true
    }

    private mutating func utf8(
        _ reader: inout CommandReader, _ steps: inout [AppendStep], isPart: Bool
    ) throws(GrammarStop) -> Bool {
        guard reader.context.capabilities.contains(.utf8Accept), reader.skip(word: "UTF8") else { return false }
        try reader.space()
        try reader.expect(Ascii.open, "A literal in parentheses")
        guard reader.current == Ascii.tilde else { throw .bad("A literal8 expected") }
        try literal(&reader, &steps, isPart: isPart, isUTF8: true)
        place = .inUTF8(isPart: isPart)
        return true
    }

    private func literal(
        _ reader: inout CommandReader, _ steps: inout [AppendStep], isPart: Bool, isUTF8: Bool = false
    ) throws(GrammarStop) {
        let header = try reader.literalHeader(allowsBinary: true)
        guard reader.isAtEnd else { throw .bad("A literal stands in the middle of a line") }
        // RFC 3502 section 6.3.11: this is how a client breaks an APPEND off.
        guard isPart || header.octets > 0 else { throw .refused(.no("A message cannot be empty")) }
        steps.append(.literal(AppendLiteral(octets: header.octets, isBinary: header.isBinary, isUTF8: isUTF8)))
    }
}
