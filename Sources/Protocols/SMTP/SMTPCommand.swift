/// Where a session stands between two commands; a command lists those in which it may come (RFC 5321 section 4.1.4).
struct SMTPStages: OptionSet, Sendable {
    let rawValue: UInt8
    /// No HELO, EHLO or LHLO yet.
    static let connected = SMTPStages(rawValue: 1)
    static let greeted = SMTPStages(rawValue: 2)
    /// MAIL was accepted.
    static let transaction = SMTPStages(rawValue: 4)
    static let any: SMTPStages = [.connected, .greeted, .transaction]
}

/// A command: its verb, where and when it is there, and what it does. One per file in Commands/.
struct SMTPCommand: Sendable {
    typealias Perform = @Sendable (inout SMTPServerMachine, inout ArgumentCursor, inout [SMTPAction]) -> Void

    static let verbOctetsMax = 8

    /// In upper case, at most `verbOctetsMax` letters.
    let verb: String
    let dialects: Set<SMTPDialect>
    let stages: SMTPStages
    /// Whether this session has it; one that it has not is not known.
    let isOffered: @Sendable (SMTPServerMachine) -> Bool
    let perform: Perform

    private let key: UInt64

    init(
        _ verb: StaticString, in dialects: Set<SMTPDialect> = [.smtp, .submission, .lmtp], stages: SMTPStages,
        isOffered: @escaping @Sendable (SMTPServerMachine) -> Bool = { _ in true }, _ perform: @escaping Perform
    ) {
        self.verb = "\(verb)"
        self.dialects = dialects
        self.stages = stages
        self.isOffered = isOffered
        self.perform = perform
        key = Self.key(UnsafeRawBufferPointer(start: verb.utf8Start, count: verb.utf8CodeUnitCount)) ?? 0
    }

    /// The one table of what this server understands.
    static let table: [SMTPCommand] = [
        .helo, .ehlo, .lhlo, .startTLS, .auth, .mail, .rcpt, .data, .bdat, .rset, .noop, .quit, .vrfy, .expn, .help,
        .xclient, .xforward,
    ]

    static func named(_ verb: UnsafeRawBufferPointer, in dialect: SMTPDialect) -> SMTPCommand? {
        guard let key = key(verb) else { return nil }
        return table.first { $0.key == key && $0.dialects.contains(dialect) }
    }

    /// The verb in upper case as a number; nil when it is empty or longer than any verb.
    private static func key(_ verb: UnsafeRawBufferPointer) -> UInt64? {
        guard (1...verbOctetsMax).contains(verb.count) else { return nil }
        return verb.reduce(0) { $0 << 8 | UInt64(Ascii.uppercased($1)) }
    }
}

extension ArgumentCursor {
    /// Nothing but spaces is left.
    mutating func hasNoMore() -> Bool {
        skipSpaces()
        return isAtEnd
    }
}
