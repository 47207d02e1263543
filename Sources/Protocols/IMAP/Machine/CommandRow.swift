// The one table of what this server understands. Dispatch, the check of states and CAPABILITY go by it.
//
// One command is performed at a time and in order, so pipelined commands are never ambiguous (RFC 9051 section 5.5).
import Glibc

/// The states of RFC 9051 section 3 in which commands come.
struct IMAPStates: OptionSet, Sendable {
    let rawValue: UInt8
    static let notAuthenticated = IMAPStates(rawValue: 1)
    static let authenticated = IMAPStates(rawValue: 2)
    static let selected = IMAPStates(rawValue: 4)
    static let loggedIn: IMAPStates = [.authenticated, .selected]
    static let any: IMAPStates = [.notAuthenticated, .authenticated, .selected]
}

/// A command, its arguments read.
enum ParsedCommand: Equatable {
    /// The handler's.
    case perform(IMAPCommand)
    /// Message texts follow (APPEND, REPLACE).
    case append(AppendTarget)
    // The machine's.
    case capability
    case logout
    case id([IMAPIDField])
    case enable([String])
    case namespace
    case startTLS
    case login(IMAPCredentials)
    case authenticate(mechanism: String, initialResponse: [UInt8]?)
    case compress
    case idle
}

/// A command: its verb, when it may come, what it belongs to, and how its arguments are read. One per file in Commands/.
struct IMAPCommandRow: Sendable {
    typealias Read = @Sendable (inout CommandReader) throws(GrammarStop) -> ParsedCommand

    /// In upper case; `UID` and a space stand before the verbs of UID commands.
    let verb: StaticString
    let states: IMAPStates
    /// Where it is not offered, neither is the command known; nil for what every server has.
    let capability: IMAPCapability?
    /// Message texts follow the arguments.
    let takesMessages: Bool
    /// SELECT and EXAMINE, which leave the mailbox that is open also when they fail.
    let opensMailbox: Bool
    /// From behind the verb to the end of the command, or to the message texts.
    let read: Read

    init(
        _ verb: StaticString, in states: IMAPStates, _ capability: IMAPCapability? = nil, takesMessages: Bool = false,
        opensMailbox: Bool = false, _ read: @escaping Read
    ) {
        self.verb = verb
        self.states = states
        self.capability = capability
        self.takesMessages = takesMessages
        self.opensMailbox = opensMailbox
        self.read = read
    }

    /// Those that come often first.
    static let table: [IMAPCommandRow] = [
        .noop, .uidFetch, .fetch, .uidStore, .store, .uidSearch, .search, .select, .status, .idle, .append,
        .uidCopy, .copy, .uidMove, .move, .uidExpunge, .expunge, .examine, .list, .lsub, .close, .unselect, .check,
        .capability, .login, .authenticate, .startTLS, .logout, .id, .enable, .namespace, .compress,
        .uidSort, .sort, .uidThread, .thread, .uidReplace, .replace,
        .create, .delete, .rename, .subscribe, .unsubscribe,
        .getQuota, .getQuotaRoot, .setQuota, .unauthenticate,
    ]

    /// - Parameter verb: one word, or `UID`, a space and a word, in any case.
    static func named(_ verb: UnsafeRawBufferPointer) -> IMAPCommandRow? {
        guard let first = verb.first else { return nil }
        let letter = Int(Ascii.uppercased(first)) - 0x41
        guard (0..<26).contains(letter) else { return nil }
        for index in byLetter[letter] where table[index].isNamed(verb) { return table[index] }
        return nil
    }

    private static let byLetter: [[Int]] = (0..<26).map { letter in
        table.indices.filter { table[$0].verb.utf8Start[0] == UInt8(letter + 0x41) }
    }

    private func isNamed(_ text: UnsafeRawBufferPointer) -> Bool {
        guard text.count == verb.utf8CodeUnitCount else { return false }
        for index in 0..<text.count where Ascii.uppercased(text[index]) != verb.utf8Start[index] { return false }
        return true
    }
}
