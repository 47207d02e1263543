// Reads the arguments of one command (RFC 9051 section 9). It borrows the octets and must not outlive the call.
//
// The octets are the whole command with its literals in place, or its beginning up to a literal that has not come. In
// the second case reading stops with `.awaitsLiteral`, which says that all before the literal is acceptable: only then
// is the client told to send it. So a command is refused for its syntax, state or names before its literals travel.
//
// Octets are taken by rules of the grammar, each of which knows its own alphabet; so NUL, CR and LF are refused where
// they stand, and need no pass of their own.
//
// What was accepted beyond the grammar, because clients send it: UTF-8 in quoted strings in any mode (where it is valid
// UTF-8; RFC 6855 section 3 wants BAD otherwise).
import Octets

/// Why reading stopped.
enum GrammarStop: Error, Equatable {
    case refused(IMAPOutcome)
    /// All before a literal that has not come is acceptable.
    case awaitsLiteral

    static func bad(_ text: String) -> GrammarStop { .refused(.bad(text)) }
    static func no(_ code: IMAPResponseCode, _ text: String) -> GrammarStop { .refused(.no(text, code: code)) }
}

/// What of the session decides how a command is read.
struct GrammarContext {
    var enabled: IMAPEnabled = []
    var capabilities = IMAPCapabilities.all
    var state: IMAPStates = .selected
    /// The octets are a beginning: an empty literal at their end has not come either (RFC 9051 section 4.3).
    var isBeginning = false
}

struct CommandReader {
    let bytes: UnsafeRawBufferPointer
    let context: GrammarContext
    private(set) var position: Int

    init(_ bytes: UnsafeRawBufferPointer, _ context: GrammarContext, from position: Int = 0) {
        self.bytes = bytes
        self.context = context
        self.position = position
    }

    @inline(__always) var isAtEnd: Bool { position == bytes.count }
    @inline(__always) var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    @inline(__always) mutating func advance() { position += 1 }
    mutating func move(to position: Int) { self.position = position }

    /// Steps over `octet` when it stands here.
    @inline(__always)
    mutating func skip(_ octet: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == octet else { return false }
        position += 1
        return true
    }

    /// Steps over `octet`, which must stand here; `what` names it for a person.
    @inline(__always)
    mutating func expect(_ octet: UInt8, _ what: StaticString) throws(GrammarStop) {
        guard skip(octet) else { throw .bad("\(what) expected") }
    }

    @inline(__always)
    mutating func space() throws(GrammarStop) { try expect(Ascii.space, "A space and an argument") }

    mutating func end() throws(GrammarStop) {
        guard isAtEnd else { throw .bad("More than the command takes") }
    }

    /// The octets from here on that satisfy `isPart`; perhaps none.
    @inline(__always)
    mutating func take(while isPart: (UInt8) -> Bool) -> UnsafeRawBufferPointer {
        let start = position
        while position < bytes.count, isPart(bytes[position]) { position += 1 }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<position])
    }

    /// Steps over `word`, given in upper case, when it stands here in any case and no further letter, digit, dot or
    /// hyphen follows.
    mutating func skip(word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard bytes.count - position >= count else { return false }
        let text = word.utf8Start
        for offset in 0..<count where Ascii.uppercased(bytes[position + offset]) != text[offset] { return false }
        if position + count < bytes.count, Self.isWord(bytes[position + count]) { return false }
        position += count
        return true
    }

    /// A name of the protocol in upper case: letters, digits, `.`, `-`, `=`, `_`. Perhaps empty.
    mutating func word() -> String {
        let run = take(while: Self.isWord)
        return String(unsafeUninitializedCapacity: run.count) { buffer in
            for index in 0..<run.count { buffer[index] = Ascii.uppercased(run[index]) }
            return run.count
        }
    }

    private static func isWord(_ octet: UInt8) -> Bool {
        switch octet {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, Ascii.dot, Ascii.minus, Ascii.equals, 0x5F: true
        default: false
        }
    }

    /// `"(" part *(SP part) ")"`, or `"(" ")"` where `allowsEmpty`.
    mutating func list(
        allowsEmpty: Bool = false, _ part: (inout CommandReader) throws(GrammarStop) -> Void
    ) throws(GrammarStop) {
        try expect(Ascii.open, "A list in parentheses")
        if allowsEmpty, skip(Ascii.close) { return }
        repeat { try part(&self) } while skip(Ascii.space)
        try expect(Ascii.close, "A closing parenthesis")
    }

    // MARK: Numbers

    /// `number64`: at most 2^63 - 1.
    mutating func number64() throws(GrammarStop) -> UInt64 {
        let digits = take(while: Ascii.isDigit)
        guard !digits.isEmpty else { throw .bad("A number expected") }
        var value: UInt64 = 0
        for digit in digits {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit &- Ascii.zero))
            guard !overflow, !carry, sum <= UInt64(Int64.max) else { throw .bad("The number is too large") }
            value = sum
        }
        return value
    }

    /// `number`: at most 2^32 - 1.
    mutating func number() throws(GrammarStop) -> UInt32 {
        guard let value = UInt32(exactly: try number64()) else { throw .bad("The number is too large") }
        return value
    }

    /// `nz-number`: not 0, and no zero in front.
    @inline(__always)
    mutating func nzNumber() throws(GrammarStop) -> UInt32 {
        guard position < bytes.count, bytes[position] &- 0x31 < 9 else { throw .bad("A number above 0 expected") }
        var value: UInt64 = 0
        while position < bytes.count, Ascii.isDigit(bytes[position]) {
            value = value * 10 + UInt64(bytes[position] &- Ascii.zero)
            guard value <= UInt64(UInt32.max) else { throw .bad("The number is too large") }
            position += 1
        }
        return UInt32(truncatingIfNeeded: value)
    }

    mutating func nzNumber64() throws(GrammarStop) -> UInt64 {
        let value = try number64()
        guard value > 0 else { throw .bad("A number above 0 expected") }
        return value
    }

    // MARK: Strings

    /// `atom`, as text.
    mutating func atom() throws(GrammarStop) -> String {
        let run = take(while: Ascii.isAtom)
        guard !run.isEmpty else { throw .bad("An atom expected") }
        return String(decoding: run, as: UTF8.self)
    }

    /// `astring`.
    mutating func astring() throws(GrammarStop) -> [UInt8] { try string(orRunOf: Ascii.isAstring) }

    /// `astring` of printable text, for names that are ASCII or UTF-8.
    mutating func text(octetsMax: Int, _ what: StaticString) throws(GrammarStop) -> String {
        let octets = try astring()
        guard octets.count <= octetsMax else { throw .no(.limit, "\(what) is too long") }
        guard let text = String(validating: octets, as: UTF8.self), octets.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { throw .bad("\(what) is no text") }
        return text
    }

    /// `string`, or a run of octets that `isPart` allows.
    mutating func string(orRunOf isPart: (UInt8) -> Bool) throws(GrammarStop) -> [UInt8] {
        switch current {
        case Ascii.quote: return try quoted()
        case Ascii.openBrace: return try literal()
        default:
            let run = take(while: isPart)
            guard !run.isEmpty else { throw .bad("A string expected") }
            return Array(run)
        }
    }

    /// `string`.
    mutating func string() throws(GrammarStop) -> [UInt8] { try string(orRunOf: { _ in false }) }

    private mutating func quoted() throws(GrammarStop) -> [UInt8] {
        position += 1
        var octets: [UInt8] = []
        var start = position
        var isAscii = true
        while position < bytes.count {
            let octet = bytes[position]
            switch octet {
            case Ascii.quote:
                octets.append(contentsOf: bytes[start..<position])
                position += 1
                guard isAscii || String(validating: octets, as: UTF8.self) != nil else {
                    throw .bad("A quoted string is not UTF-8")
                }
                return octets
            case Ascii.backslash:
                guard position + 1 < bytes.count, bytes[position + 1] == Ascii.quote || bytes[position + 1] == octet
                else { throw .bad("A backslash in a quoted string stands before nothing it can quote") }
                octets.append(contentsOf: bytes[start..<position])
                start = position + 1
                position += 2
            case Ascii.nul, Ascii.carriageReturn, Ascii.lineFeed:
                throw .bad("A quoted string has an octet that it cannot have")
            default:
                if octet >= 0x80 { isAscii = false }
                position += 1
            }
        }
        throw .bad("A quoted string does not end")
    }

    private mutating func literal() throws(GrammarStop) -> [UInt8] {
        let count = try literalHeader(allowsBinary: false).octets
        if count == 0, isAtEnd, context.isBeginning { throw .awaitsLiteral }
        guard count <= UInt64(bytes.count - position) else {
            guard isAtEnd else { throw .bad("A literal is cut short") }
            throw .awaitsLiteral
        }
        let run = UnsafeRawBufferPointer(rebasing: bytes[position..<(position + Int(count))])
        guard run.firstIndex(of: Ascii.nul, in: 0..<run.count) == nil else { throw .bad("A literal has a NUL") }
        position += run.count
        return Array(run)
    }

    /// `"{" number64 ["+"] "}" CRLF`, perhaps with `~` in front; what follows is the content.
    mutating func literalHeader(allowsBinary: Bool) throws(GrammarStop) -> (octets: UInt64, isBinary: Bool) {
        let isBinary = allowsBinary && skip(Ascii.tilde)
        try expect(Ascii.openBrace, "A literal")
        let octets = try number64()
        _ = skip(Ascii.plus)
        guard skip(Ascii.closeBrace), skip(Ascii.carriageReturn), skip(Ascii.lineFeed) else {
            throw .bad("A literal is malformed")
        }
        return (octets, isBinary)
    }
}
