// The server side of IMAP (RFC 9051 and RFC 3501 with their extensions), free of I/O: octets in, actions out.
//
// How a handler drives it
//     var machine = IMAPServerMachine(configuration)
//     machine.start(into: &actions)                      // greeting; or refuseConnection(into:)
//     consumed = machine.receive(bytes, into: &actions)  // whenever octets have arrived, with all it holds
//     machine.loginFinished(result, into: &actions)      // after .login, .authenticate, .authenticationResponse
//     machine.challenge(octets, into: &actions)          // or this, after the last two
//     machine.mailboxSelected(isReadOnly:into:)          // after .perform(.select) that succeeded
//     machine.commandFinished(outcome, into: &actions)   // after any other .perform, .stopIdle, .finishAppend
//     machine.literalAccepted(into: &actions)            // after .appendLiteral; or literalRefused(_:into:)
//     machine.tlsStarted(configuration, into: &actions)  // after .startTLS
//     machine.compressionStarted()                       // after .startCompression
//     machine.timedOut / shuttingDown / end / disconnected(into: &actions)
// The handler carries the actions out in order, then drops `consumed` octets from its buffer. Having asked
// (`isWaiting`), the machine consumes nothing, so pipelined commands wait their turn: one is performed at a time. After
// each answer the handler calls `receive` again with what is left. Otherwise all is consumed: the machine keeps an
// unfinished command itself, up to `IMAPLimits.commandOctetsMax`, and never a message text.
//
// Invariants
// - How the input was cut up changes neither replies nor content.
// - Every command that can be told apart gets one tagged reply, after all its literals have been read or it is certain
//   that the client will not send them.
// - A literal is asked for only when all before it is acceptable in this state, and there is room.
// - After `.perform`, `.login` and their like the machine waits; the handler answers each exactly once.
// - What `.beginAppend` began ends in exactly one `.finishAppend` or `.discardAppend`.
// - After `close` nothing follows and input is swallowed.
//
// A command is understood at its end, from whole octets in one place (`CommandReader`): rejected was a parser that
// suspends within an argument, which is slower and several times the code.
import MailTypes

/// One server session, from greeting to close. A value: copying it copies the session's state.
package struct IMAPServerMachine: Sendable {
    /// What the machine is doing.
    enum Phase: Equatable {
        case awaitingStart
        /// The text of a command, of what stands between the messages of APPEND too.
        case command
        /// A literal that is kept with the command: how much is to come.
        case literal(UInt64)
        /// `commandFinished` or `mailboxSelected` is awaited.
        case performing
        /// `loginFinished` or `challenge` is awaited.
        case awaitingLogin
        /// The client's line in an exchange.
        case saslLine
        case awaitingTLS
        case awaitingCompression
        /// Until DONE.
        case idle
        /// `literalAccepted` or `literalRefused` is awaited.
        case awaitingLiteral(AppendLiteral, isSynchronizing: Bool)
        /// A message text: how much is to come.
        case messageText(UInt64)
        /// The octets of a literal that was refused.
        case droppingLiteral(UInt64)
        /// The rest of a line that was refused.
        case droppingLine
        case closed
    }

    /// Between two commands.
    package enum State: Equatable, Sendable {
        case notAuthenticated
        case authenticated
        case selected(isReadOnly: Bool)
    }

    package internal(set) var configuration: IMAPServerConfiguration
    package internal(set) var state = State.notAuthenticated
    /// What the client has switched on.
    package internal(set) var enabled: IMAPEnabled = []
    /// Of the command that is being read or performed.
    package internal(set) var tag = ""

    var phase = Phase.awaitingStart
    /// Not offered to the account that is logged in.
    var hidden: IMAPCapabilities = []
    var isEncrypted = false
    var isCompressed = false
    /// The command so far, where it did not come whole.
    var held: [UInt8] = []
    /// Where in `held` the current line began.
    var lineStart = 0
    var literalCount = 0
    /// The row of the command that is being performed is UNAUTHENTICATE, CLOSE or UNSELECT: what OK makes of the state.
    var stateAfter: State?
    var append: AppendProgress?
    /// Said when all of a refused command has been dropped.
    var refusal: Refusal?
    var droppedOctets: UInt64 = 0
    /// The end of a line that is being dropped.
    var droppedTail: [UInt8] = []
    /// Instead of what the handler says.
    var overridingOutcome: IMAPOutcome?
    var badCommandCount = 0
    var loginFailureCount = 0
    var isShuttingDown = false

    struct Refusal: Equatable {
        /// Nil: the command had none.
        var tag: String?
        var outcome: IMAPOutcome
    }

    package init(_ configuration: IMAPServerConfiguration) { self.configuration = configuration }

    /// An answer of the handler is awaited and no input is consumed.
    package var isWaiting: Bool {
        switch phase {
        case .awaitingStart, .performing, .awaitingLogin, .awaitingTLS, .awaitingCompression, .awaitingLiteral: true
        default: false
        }
    }

    package var isClosed: Bool { phase == .closed }
    /// Between `startIdle` and `stopIdle`.
    package var isIdle: Bool { phase == .idle }
    /// A message text is flowing.
    package var isReceivingMessage: Bool {
        if case .messageText = phase { true } else { false }
    }
    package var isLoggedIn: Bool { state != .notAuthenticated }
    package var isSelected: Bool {
        if case .selected = state { true } else { false }
    }

    /// What is offered as things stand.
    package var capabilities: IMAPCapabilities { configuration.capabilities.subtracting(hidden) }

    var context: GrammarContext {
        let states: IMAPStates =
            switch state {
            case .notAuthenticated: .notAuthenticated
            case .authenticated: .authenticated
            case .selected: .selected
            }
        return GrammarContext(enabled: enabled, capabilities: capabilities, state: states)
    }

    /// Takes octets as they arrived and appends what is to be done.
    ///
    /// - Returns: how many octets, from the start, are done with: all of them, unless `isWaiting`.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer, into actions: inout [IMAPAction]) -> Int {
        var position = 0
        while position < bytes.count {
            switch phase {
            case .command, .saslLine, .idle: position = receiveLine(bytes, from: position, into: &actions)
            case .literal(let left): position = receiveLiteral(bytes, from: position, left)
            case .messageText(let left): position = receiveMessageText(bytes, from: position, left, into: &actions)
            case .droppingLiteral(let left): position = dropLiteral(bytes, from: position, left)
            case .droppingLine: position = dropLine(bytes, from: position, into: &actions)
            // What came in the clear behind STARTTLS is never looked at (RFC 9051 section 6.2.1).
            case .closed, .awaitingTLS: return bytes.count
            case .awaitingStart, .performing, .awaitingLogin, .awaitingCompression, .awaitingLiteral: return position
            }
        }
        return position
    }
}
