// The server side of POP3 (RFC 1939, with RFC 2449 and RFC 3206), free of I/O: octets in, actions out.
//
// How a handler drives it
//     var machine = POP3ServerMachine(configuration)
//     machine.start(into: &actions)                     // greeting; or refuseConnection(into:)
//     consumed = machine.receive(bytes, into: &actions) // whenever octets have arrived, with all it holds
//     machine.loginFinished(result, into: &actions)     // after .login
//     machine.loginChallenged(octets, into: &actions)   // after .beginAuthentication and .continueAuthentication; or
//                                                       // loginFinished
//     machine.bodyOpened(result, into: &actions)        // after .openBody
//     machine.transferFinished(into: &actions)          // after .list and .sendBody; or transferFailed(into:)
//     machine.deletesFinished(succeeded:into:)          // after .commitDeletes
//     machine.tlsStarted(into: &actions)                // after .startTLS
//     machine.timedOut / shuttingDown / disconnected(into: &actions)
// The handler carries the actions out in order, then drops `consumed` octets from its buffer. What is left is an
// unfinished line, or input behind a question that is not yet answered: after each answer it calls `receive` again with
// what is left. Having asked (`isWaiting`), the machine consumes nothing, so pipelined input waits its turn.
//
// Invariants
// - No octet of input is kept between calls but the name given to USER.
// - How the input was cut up does not change the replies. Every command has one reply.
// - Messages go only by QUIT in the TRANSACTION state (RFC 1939 section 6), never by a time-out or a lost connection.
// - After `close` nothing follows and input is swallowed.
import MailTypes
import Octets

/// What is fixed for a session when it begins.
package struct POP3ServerConfiguration: Equatable, Sendable {
    /// The name in the greeting: printable ASCII.
    package var hostName: String
    /// USER and PASS may be used also in the clear: the client is on this machine.
    package var allowsPlaintextLogin: Bool
    /// STLS is there.
    package var offersTLS: Bool
    /// TLS is on from the first octet.
    package var beginsSecure: Bool

    package init(hostName: String, allowsPlaintextLogin: Bool, offersTLS: Bool = false, beginsSecure: Bool = false) {
        self.hostName = hostName
        self.allowsPlaintextLogin = allowsPlaintextLogin
        self.offersTLS = offersTLS
        self.beginsSecure = beginsSecure
    }
}

/// One server session, from greeting to close. A value: copying it copies the session's state.
package struct POP3ServerMachine: Sendable {
    /// What the machine is doing.
    enum Phase: Equatable {
        case awaitingStart
        case command
        case awaitingLogin
        /// A challenge is out, and the client's response is awaited.
        case authenticating
        case awaitingBody(POP3Retrieval)
        case awaitingTransfer
        case awaitingDeletes
        case awaitingTLS
        case closed
    }

    package let configuration: POP3ServerConfiguration
    /// TLS is on.
    package internal(set) var isSecure: Bool

    /// The client said UTF8: messages may come as they are (RFC 6856 section 2.1).
    package internal(set) var isUTF8 = false
    /// The SASL mechanisms offered as the connection is now; the handler sets them at the start and after TLS.
    package var mechanisms: [String] = []

    var phase = Phase.awaitingStart
    /// Given to USER; PASS takes it.
    var user: String?
    /// In the TRANSACTION state.
    var view: MaildropView?
    var errorCount = 0
    var loginFailureCount = 0
    var isShuttingDown = false
    private var commandLines = CommandLineScanner(lineOctetsMax: POP3Limits.passwordLineOctetsMax)
    var responseLines = CommandLineScanner(lineOctetsMax: POP3Limits.responseLineOctetsMax)

    package init(_ configuration: POP3ServerConfiguration) {
        self.configuration = configuration
        isSecure = configuration.beginsSecure
    }

    /// A password may be asked for: nobody can listen.
    package var allowsPlaintextLogin: Bool { isSecure || configuration.allowsPlaintextLogin }

    /// An answer of the handler is awaited and no input is consumed.
    package var isWaiting: Bool { phase != .command && phase != .authenticating && phase != .closed }
    /// A line of a SASL exchange is awaited, which may be longer than a command.
    package var isAuthenticating: Bool { phase == .authenticating }
    package var isClosed: Bool { phase == .closed }
    /// Logged in; the session holds a maildrop.
    package var isInTransaction: Bool { view != nil }

    /// Takes octets as they arrived and appends what is to be done.
    ///
    /// - Returns: how many octets, from the start, are done with. The caller keeps the rest and hands it in again with
    ///   what arrives next; unless `isWaiting`, the rest is shorter than `POP3Limits.passwordLineOctetsMax`, or
    ///   than `responseLineOctetsMax` while `isAuthenticating`.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer, into actions: inout [POP3Action]) -> Int {
        var position = 0
        while position < bytes.count, phase == .command || phase == .authenticating {
            if phase == .authenticating {
                guard let next = receiveResponse(bytes, from: position, into: &actions) else { return position }
                position = next
                continue
            }
            switch commandLines.next(in: bytes, from: position) {
            case .incomplete(let consumed): return consumed
            case .tooLong(let next):
                refuse(.error("Command line too long"), into: &actions)
                position = next
            case .bad(let next):
                refuse(.error("Command line has a NUL, a bare CR or a bare LF"), into: &actions)
                position = next
            case .line(let range, let next):
                perform(UnsafeRawBufferPointer(rebasing: bytes[range]), into: &actions)
                position = next
            }
        }
        return isClosed ? bytes.count : position
    }

    private mutating func perform(_ line: UnsafeRawBufferPointer, into actions: inout [POP3Action]) {
        let verbEnd = line.firstIndex(of: Ascii.space, in: 0..<line.count) ?? line.count
        let command = POP3Command.named(UnsafeRawBufferPointer(rebasing: line[..<verbEnd]))
        guard line.count + 2 <= command?.lineOctetsMax ?? POP3Limits.commandLineOctetsMax else {
            return refuse(.error("Command line too long"), into: &actions)
        }
        guard let command else { return refuse(.error("Command not known here"), into: &actions) }
        let state: POP3States = isInTransaction ? .transaction : .authorization
        guard command.states.contains(state) else {
            let text = isInTransaction ? "Already logged in" : "Log in first"
            return refuse(.error(text), into: &actions)
        }
        let rest = verbEnd == line.count ? line[verbEnd...] : line[(verbEnd + 1)...]
        command.perform(&self, POP3Arguments(UnsafeRawBufferPointer(rebasing: rest)), &actions)
    }

    /// Replies to a command that was not understood or came at the wrong time, and counts it; at the limit the session
    /// ends.
    mutating func refuse(_ reply: POP3Reply, into actions: inout [POP3Action]) {
        errorCount += 1
        guard errorCount < POP3Limits.errorsMax else {
            return close(.tooManyErrors, .error("Too many errors, closing"), into: &actions)
        }
        actions.append(.reply(reply))
    }

    mutating func close(_ reason: POP3CloseReason, _ reply: POP3Reply?, into actions: inout [POP3Action]) {
        phase = .closed
        view = nil
        user = nil
        if let reply { actions.append(.reply(reply)) }
        actions.append(.close(reason))
    }

    /// The next command may come, unless the server is going down.
    mutating func returnToCommands(into actions: inout [POP3Action]) {
        phase = .command
        if isShuttingDown { close(.shuttingDown, nil, into: &actions) }
    }
}
