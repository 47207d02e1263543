// Cuts what a server sends into responses (RFC 9051 section 2.2.2), reading each of them whole but for the text of a
// message, which is handed on as it comes.
//
// Invariants
// - No octet is looked at twice but those of the response that is being gathered, which are at most
//   `responseOctetsMax`; a text of any length passes through and is not held.
// - `bodyBegan`, its octets and `bodyEnded` come before the response of the FETCH that they belong to, and at most once
//   in each: a second text makes the answer malformed.
// - Text for people ends a status response, and may end like the announcement of a literal (`{5}`) without being one.
//
// Rejected: handing out tokens. Each consumer would need the grammar then.
import Octets

package enum IMAPClientEvent {
    case response(IMAPServerResponse)
    /// The text of a message of that many octets comes now.
    case bodyBegan(octets: UInt64)
    /// Some of it, borrowed for the call.
    case bodyOctets(UnsafeRawBufferPointer)
    case bodyEnded
}

package struct IMAPResponseParser {
    private enum Phase {
        case line
        /// Octets of a literal that belongs to the response.
        case literal(UInt64)
        /// Octets of a text that is handed on.
        case body(UInt64)
    }

    private var phase = Phase.line
    private var gathered: [UInt8] = []
    /// Where the piece of the line after the last literal begins.
    private var pieceStart = 0
    private var literals = 0
    private var hasStreamed = false
    private var hasFailed = false

    package init() { gathered.reserveCapacity(512) }

    /// Whether a response has begun and not ended.
    package var isWithinResponse: Bool {
        if case .line = phase { return !gathered.isEmpty }
        return true
    }

    /// - Throws: `IMAPClientFailure`, after which nothing more can be read; or what `take` throws, which leaves it
    ///   unusable too.
    package mutating func consume(
        _ octets: UnsafeRawBufferPointer, _ take: (IMAPClientEvent) throws -> Void
    ) throws {
        guard !hasFailed else { throw IMAPClientFailure.malformed("nothing is read after a failure") }
        do {
            try read(octets, take)
        } catch {
            hasFailed = true
            throw error
        }
    }

    private mutating func read(_ octets: UnsafeRawBufferPointer, _ take: (IMAPClientEvent) throws -> Void) throws {
        var rest = octets[...]
        while !rest.isEmpty {
            switch phase {
            case .line:
                let feed = UnsafeRawBufferPointer(rebasing: rest).firstIndex(of: Ascii.lineFeed, in: 0..<rest.count)
                let count = feed.map { $0 + 1 } ?? rest.count
                try gather(rest.prefix(count))
                rest = rest.dropFirst(count)
                if feed != nil { try lineEnded(take) }
            case .literal(let left):
                let count = Int(min(left, UInt64(rest.count)))
                try gather(rest.prefix(count))
                rest = rest.dropFirst(count)
                if left == UInt64(count) { beginPiece() } else { phase = .literal(left - UInt64(count)) }
            case .body(let left):
                let count = Int(min(left, UInt64(rest.count)))
                try take(.bodyOctets(UnsafeRawBufferPointer(rebasing: rest.prefix(count))))
                rest = rest.dropFirst(count)
                phase = .body(left - UInt64(count))
                if left == UInt64(count) { try endBody(take) }
            }
        }
    }

    private mutating func gather(_ octets: Slice<UnsafeRawBufferPointer>) throws(IMAPClientFailure) {
        guard octets.count <= IMAPLimits.responseOctetsMax - gathered.count else {
            throw .limit("a response of more than \(IMAPLimits.responseOctetsMax) octets")
        }
        gathered.append(contentsOf: octets)
    }

    private mutating func beginPiece() {
        phase = .line
        pieceStart = gathered.count
    }

    private mutating func endBody(_ take: (IMAPClientEvent) throws -> Void) throws {
        try take(.bodyEnded)
        beginPiece()
    }

    private mutating func lineEnded(_ take: (IMAPClientEvent) throws -> Void) throws {
        if Self.mayHaveLiterals(gathered), let literal = announcedLiteral() {
            literals += 1
            guard literals <= IMAPLimits.literalsMax else {
                throw IMAPClientFailure.limit("a response with more than \(IMAPLimits.literalsMax) literals")
            }
            guard announcesBody() else {
                guard literal.octets <= UInt64(IMAPLimits.responseOctetsMax) else {
                    throw IMAPClientFailure.limit("a literal of \(literal.octets) octets that is no text of a message")
                }
                if literal.octets == 0 { beginPiece() } else { phase = .literal(literal.octets) }
                return
            }
            guard !hasStreamed else { throw IMAPClientFailure.malformed("a message with two texts") }
            hasStreamed = true
            // The reader finds an empty literal in its place.
            gathered.removeLast(gathered.count - (gathered.lastIndex(of: Ascii.openBrace) ?? gathered.count))
            gathered.put("{0}\r\n")
            try take(.bodyBegan(octets: literal.octets))
            if literal.octets == 0 { try endBody(take) } else { phase = .body(literal.octets) }
            return
        }
        try responseEnded(take)
    }

    private mutating func responseEnded(_ take: (IMAPClientEvent) throws -> Void) throws {
        var count = gathered.count - 1
        if count > 0, gathered[count - 1] == Ascii.carriageReturn { count -= 1 }
        let parsed: Result<IMAPServerResponse, IMAPClientFailure> = gathered.withUnsafeBytes { octets in
            var reader = CommandReader(response: UnsafeRawBufferPointer(rebasing: octets[..<count]))
            do throws(GrammarStop) {
                return .success(try reader.response(streamed: hasStreamed))
            } catch {
                return .failure(.malformed(Self.complaint(error, octets[..<count])))
            }
        }
        let response = try parsed.get()
        gathered.removeAll(keepingCapacity: gathered.capacity <= 1 << 16)
        pieceStart = 0
        literals = 0
        hasStreamed = false
        try take(.response(response))
    }

    private static func complaint(_ stop: GrammarStop, _ line: Slice<UnsafeRawBufferPointer>) -> String {
        let shown = line.prefix(60).map { (0x20...0x7E).contains($0) ? $0 : 0x3F }
        let reason = if case .refused(let outcome) = stop { outcome.text } else { "it cannot be read" }
        return "\(reason), in: \(String(decoding: shown, as: UTF8.self))"
    }

    // MARK: Literals

    private func announcedLiteral() -> LiteralSuffix? {
        gathered.withUnsafeBytes { octets in
            let piece = octets[pieceStart...].suffix(LiteralSuffix.octetsMax)
            return LiteralSuffix(endOf: UnsafeRawBufferPointer(rebasing: piece))
        }
    }

    /// `* 12 FETCH (... BODY[] {n}`; also with an offset, and as RFC822.
    private func announcesBody() -> Bool {
        guard let brace = gathered.lastIndex(of: Ascii.openBrace), Self.isFetch(gathered) else { return false }
        var end = brace
        if end > 0, gathered[end - 1] == Ascii.tilde { end -= 1 }
        guard end > pieceStart, gathered[end - 1] == Ascii.space else { return false }
        var name = gathered[pieceStart..<(end - 1)]
        if name.last == Ascii.greater, let less = name.lastIndex(of: Ascii.less) { name = name[..<less] }
        return Self.ends(name, "BODY[]") || Self.ends(name, "RFC822")
    }

    private static func ends(_ octets: ArraySlice<UInt8>, _ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard octets.count > count, Ascii.isWord(octets.suffix(count), word) else { return false }
        let before = octets[octets.endIndex - count - 1]
        return before == Ascii.space || before == Ascii.open
    }

    /// Untagged, and neither a status nor what begins like one.
    private static func mayHaveLiterals(_ line: [UInt8]) -> Bool {
        guard line.count > 2, line[0] == Ascii.asterisk, line[1] == Ascii.space else { return false }
        let word = line[2...].prefix { !($0 <= Ascii.space) }
        return !["OK", "NO", "BAD", "BYE", "PREAUTH"].contains { Ascii.isWord(word, $0) }
    }

    private static func isFetch(_ line: [UInt8]) -> Bool {
        let number = line.dropFirst(2).prefix(while: Ascii.isDigit)
        guard !number.isEmpty, number.endIndex < line.count, line[number.endIndex] == Ascii.space else { return false }
        return Ascii.isWord(line[(number.endIndex + 1)...].prefix(5), "FETCH")
    }
}
