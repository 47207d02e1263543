/// The states of RFC 1939 section 3 in which commands come; UPDATE has none.
struct POP3States: OptionSet, Sendable {
    let rawValue: UInt8
    static let authorization = POP3States(rawValue: 1)
    static let transaction = POP3States(rawValue: 2)
    static let any: POP3States = [.authorization, .transaction]
}

/// A command: its verb, when it may come, and what it does. One per file in Commands/.
struct POP3Command: Sendable {
    typealias Perform = @Sendable (inout POP3ServerMachine, POP3Arguments, inout [POP3Action]) -> Void

    /// In upper case; three or four letters.
    let verb: StaticString
    let states: POP3States
    /// With its CRLF.
    let lineOctetsMax: Int
    let perform: Perform

    init(
        _ verb: StaticString, in states: POP3States, lineOctetsMax: Int = POP3Limits.commandLineOctetsMax,
        _ perform: @escaping Perform
    ) {
        self.verb = verb
        self.states = states
        self.lineOctetsMax = lineOctetsMax
        self.perform = perform
    }

    /// The one table of what this server understands. LAST of RFC 1460 is not among it.
    static let table: [POP3Command] = [
        .capa, .stls, .auth, .user, .pass, .stat, .list, .uidl, .top, .retr, .dele, .noop, .rset, .quit, .utf8,
        .lang,
    ]

    static func named(_ verb: UnsafeRawBufferPointer) -> POP3Command? {
        table.first { $0.isNamed(verb) }
    }

    private func isNamed(_ text: UnsafeRawBufferPointer) -> Bool {
        text.count == verb.utf8CodeUnitCount
            && text.indices.allSatisfy { Ascii.uppercased(text[$0]) == verb.utf8Start[$0] }
    }
}

/// What follows the verb and one space. It borrows the caller's buffer and must not outlive the call.
struct POP3Arguments {
    /// As it came, spaces included.
    let raw: UnsafeRawBufferPointer

    init(_ raw: UnsafeRawBufferPointer) { self.raw = raw }

    private var words: [UnsafeRawBufferPointer.SubSequence] { raw.split(separator: Ascii.space) }

    var isEmpty: Bool { words.isEmpty }

    /// Numbers, up to `count` of them; nil when there are more, or one is not a number within
    /// `POP3Limits.numberDigitsMax` digits.
    func numbers(atMost count: Int) -> [Int]? {
        let words = words
        guard words.count <= count else { return nil }
        var numbers: [Int] = []
        for word in words {
            guard word.count <= POP3Limits.numberDigitsMax, word.allSatisfy(Ascii.isDigit) else { return nil }
            numbers.append(word.reduce(0) { $0 * 10 + Int($1 - Ascii.zero) })
        }
        return numbers
    }

    /// The octets as text without spaces around it; nil when empty, not UTF-8, or with a control character.
    var text: String? {
        var run = raw[...]
        while run.first == Ascii.space { run.removeFirst() }
        while run.last == Ascii.space { run.removeLast() }
        guard !run.isEmpty, run.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
        return String(validating: run, as: UTF8.self)
    }
}

extension POP3ServerMachine {
    /// The index of message `number` (from 1), or the reply that says why there is none.
    func index(_ number: Int) -> Result<Int, POP3Refusal> {
        let count = view?.maildrop.messages.count ?? 0
        guard number >= 1, number <= count else {
            return .failure(POP3Refusal(.error("No such message, \(count) in maildrop")))
        }
        if view?.isDeleted(number - 1) == true {
            return .failure(POP3Refusal(.error("Message \(number) is marked as deleted")))
        }
        return .success(number - 1)
    }
}

/// A command that cannot be carried out, with the reply to give.
struct POP3Refusal: Error {
    let reply: POP3Reply
    init(_ reply: POP3Reply) { self.reply = reply }
}
