// The sending side of SMTP (RFC 5321), free of I/O: replies in, commands out.
//
// How a handler drives it
//     var machine = SMTPClientMachine(configuration)
//     machine.receive(bytes, into: &actions)       // whatever has arrived; everything is consumed
//     machine.tlsStarted(into: &actions)           // after .startTLS
//     machine.proved(proof, into: &actions)        // after .prove
//     machine.send(message, into: &actions)        // after .ready; again after the .ready that follows .finished
//     machine.bodySent(into: &actions)             // after .sendBody
//     machine.quit / timedOut / disconnected(into: &actions)
//
// Invariants
// - Every message that was given by `send` is answered by exactly one `finished`, one outcome per recipient, also when
//   the connection breaks. A recipient counts as delivered only after the reply to the end of the message.
// - After the octets of a message have begun to go out they are sent whole or the connection is closed: half a message
//   with an end mark would be a message.
// - Replies are matched to commands in order, pipelined or not (RFC 2920); a reply that nobody waits for ends the
//   connection.
// - What the server said before TLS is forgotten (RFC 3207 section 4.2), and octets that came in the clear behind its
//   reply to STARTTLS end the connection.
// - A password goes out only over TLS, or when the configuration says that the line is safe.
import Octets

/// What is fixed for a connection.
package struct SMTPClientConfiguration: Equatable, Sendable {
    /// The name in EHLO: a domain or address literal.
    package var helloName: String
    package var tls = SMTPClientTLS.opportunistic
    /// TLS was there before the first octet (RFC 8314 section 3.3).
    package var isImplicitTLS = false
    package var credentials: SMTPClientCredentials?
    /// A password may go in the clear: the line is loopback.
    package var isLineSafe = false
    /// Of this connection alone, printable ASCII without commas; nil does without SCRAM.
    package var scramNonce: String?

    package init(helloName: String) { self.helloName = helloName }
}

package struct SMTPClientMachine: Sendable {
    /// The command whose reply comes next.
    enum Awaited: Equatable {
        case greeting
        case ehlo
        case helo
        case startTLS
        case auth(SMTPAuthStep)
        case mail
        case recipient(Int)
        case data
        case end
        case reset
        case quit
    }

    enum Phase: Equatable {
        /// Replies are awaited, or a body is being written.
        case busy
        case startingTLS
        case ready
        case closed
    }

    package let configuration: SMTPClientConfiguration
    package internal(set) var features = SMTPServerFeatures()
    package internal(set) var isEncrypted: Bool

    var phase = Phase.busy
    var awaited: [Awaited] = [.greeting]
    var isAuthenticated = false
    var scram: SMTPScramExchange?
    /// That of the TLS on the connection, from its handshake on.
    package var channelBinding: SMTPChannelBinding?
    var transaction: SMTPClientTransaction?
    private var reader = SMTPReplyReader()

    package init(_ configuration: SMTPClientConfiguration) {
        self.configuration = configuration
        isEncrypted = configuration.isImplicitTLS
    }

    package var isClosed: Bool { phase == .closed }
    package var isReady: Bool { phase == .ready }
    /// A message is under way.
    package var isSending: Bool { transaction != nil }

    /// Takes what has arrived, all of it.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer, into actions: inout [SMTPClientAction]) {
        var position = 0
        while position < bytes.count, phase != .closed {
            // Nothing may come between our STARTTLS and the handshake, nor while we owe the server a command.
            guard phase != .startingTLS else { return close(.malformed, into: &actions) }
            let reply: SMTPServerReply?
            do {
                reply = try reader.next(in: bytes, from: &position)
            } catch {
                return close(.malformed, into: &actions)
            }
            guard let reply else { return }
            // A server may say at any time that it goes (RFC 5321 section 3.8).
            guard let next = awaited.first else { return close(.refused(reply), into: &actions) }
            awaited.removeFirst()
            take(reply, to: next, into: &actions)
        }
    }

    private mutating func take(_ reply: SMTPServerReply, to command: Awaited, into actions: inout [SMTPClientAction]) {
        switch command {
        case .greeting:
            guard reply.code == 220 else { return close(.refused(reply), into: &actions) }
            say("EHLO \(configuration.helloName)", .ehlo, into: &actions)
        case .ehlo: greeted(reply, into: &actions)
        case .helo:
            guard reply.code == 250 else { return close(.refused(reply), into: &actions) }
            features = SMTPServerFeatures()
            secured(into: &actions)
        case .startTLS:
            guard reply.code == 220 else { return withoutTLS(reply, into: &actions) }
            phase = .startingTLS
            actions.append(.startTLS)
        case .auth(let step): authenticated(reply, step, into: &actions)
        case .reset:
            guard reply.isPositive else { return close(.refused(reply), into: &actions) }
            becomeReady(into: &actions)
        case .quit: close(.quit, into: &actions)
        case .mail, .recipient, .data, .end: takeInTransaction(reply, to: command, into: &actions)
        }
    }

    private mutating func greeted(_ reply: SMTPServerReply, into actions: inout [SMTPClientAction]) {
        guard reply.code == 250 else {
            // A server from before RFC 1869, which also has no STARTTLS.
            guard reply.isPermanent, !isEncrypted else { return close(.refused(reply), into: &actions) }
            return say("HELO \(configuration.helloName)", .helo, into: &actions)
        }
        features = SMTPServerFeatures(reply.lines)
        guard !isEncrypted, configuration.tls != .never, features.hasStartTLS else {
            return secured(into: &actions)
        }
        say("STARTTLS", .startTLS, into: &actions)
    }

    /// The server offered TLS and cannot do it now (RFC 3207 section 4).
    private mutating func withoutTLS(_ reply: SMTPServerReply, into actions: inout [SMTPClientAction]) {
        guard configuration.tls == .opportunistic else { return close(.refused(reply), into: &actions) }
        secured(into: &actions)
    }

    /// Answers `startTLS`.
    package mutating func tlsStarted(into actions: inout [SMTPClientAction]) {
        guard phase == .startingTLS else { return }
        phase = .busy
        isEncrypted = true
        features = SMTPServerFeatures()
        say("EHLO \(configuration.helloName)", .ehlo, into: &actions)
    }

    /// As secure as it will be: log in, or be ready.
    private mutating func secured(into actions: inout [SMTPClientAction]) {
        if configuration.tls == .required, !isEncrypted { return close(.noTLS, into: &actions) }
        guard configuration.credentials != nil, !isAuthenticated else { return becomeReady(into: &actions) }
        beginAuthentication(into: &actions)
    }

    mutating func becomeReady(into actions: inout [SMTPClientAction]) {
        phase = .ready
        actions.append(.ready)
    }

    mutating func say(_ line: String, _ awaits: Awaited, into actions: inout [SMTPClientAction]) {
        phase = .busy
        awaited.append(awaits)
        actions.append(.send(Array("\(line)\r\n".utf8)))
    }

    /// No more messages.
    package mutating func quit(into actions: inout [SMTPClientAction]) {
        guard phase == .ready else { return }
        say("QUIT", .quit, into: &actions)
    }

    /// The server has been silent for longer than `silenceSecondsMax`.
    package mutating func timedOut(into actions: inout [SMTPClientAction]) { close(.timedOut, into: &actions) }

    /// The connection is gone, or could not be secured.
    package mutating func disconnected(into actions: inout [SMTPClientAction]) {
        close(awaited == [.quit] ? .quit : .disconnected, into: &actions)
    }

    mutating func close(_ end: SMTPClientEnd, into actions: inout [SMTPClientAction]) {
        guard phase != .closed else { return }
        phase = .closed
        awaited = []
        if let transaction {
            self.transaction = nil
            actions.append(.finished(transaction.outcomes(atEnd: end)))
        }
        actions.append(.close(end))
    }

    /// How long the server may be silent now, in seconds (RFC 5321 section 4.5.3.2).
    package var silenceSecondsMax: Int {
        switch awaited.first {
        case .data: 120
        case .end: 600
        case nil where transaction != nil: 180
        default: 300
        }
    }
}
