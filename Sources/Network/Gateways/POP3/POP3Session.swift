// A session of POP3: octets to `POP3ServerMachine`, and what it asks for to the engine.
//
// What a command needs of the engine is in Commands/ under the command's name. The maildrop's lease is held from login
// to the end of the session, or to the end of the commit that QUIT began; a session that dies removes nothing.
import Authentication
import Logging
import MailEngine
import MailTypes
import NIOCore
import POP3

final class POP3Session: MailSession {
    unowned let connection: Connection
    var machine: POP3ServerMachine
    /// What the machine asks for, carried out from the front.
    var actions: [POP3Action] = []
    /// A login by AUTH that is under way.
    var exchange: SASLExchange?
    /// From login on.
    var drop: OpenMaildrop?
    /// What is being sent, a part at a time.
    var transfer: Transfer?
    var isCommitting = false

    private var isActing = false
    private var scratch: [UInt8] = []

    init(_ connection: Connection, _ configuration: POP3ServerConfiguration) {
        self.connection = connection
        machine = POP3ServerMachine(configuration)
    }

    var isWaiting: Bool { machine.isWaiting }
    var hasRoomForInput: Bool { true }
    var silenceMax: TimeAmount { connection.gateway.options.pop3SilenceMax }

    func start() {
        refreshMechanisms()
        act { machine.start(into: &actions) }
    }
    func refuse() { act { machine.refuseConnection(into: &actions) } }
    func tlsStarted() {
        refreshMechanisms()
        act { machine.tlsStarted(into: &actions) }
    }

    func timedOut() { act { machine.timedOut(into: &actions) } }
    func shutDown() { act { machine.shuttingDown(into: &actions) } }
    func end(_ reason: SessionEnd) { act { machine.ended(reason.text, into: &actions) } }
    func disconnected() { act { machine.disconnected(into: &actions) } }
    func outputDrained() { act { sendOn() } }

    func receive(_ input: inout ByteBuffer) {
        let window =
            machine.isAuthenticating
            ? input.readableBytes : min(input.readableBytes, GatewayLimits.commandWindowOctets)
        let consumed = input.withUnsafeReadableBytes { bytes in
            machine.receive(UnsafeRawBufferPointer(rebasing: bytes[..<window]), into: &actions)
        }
        input.moveReaderIndex(forwardBy: consumed)
        carryOut()
    }

    /// Tells the machine something and carries out what it answers.
    func act(_ tell: () -> Void) {
        tell()
        carryOut()
    }

    private func carryOut() {
        guard !isActing else { return }
        isActing = true
        var index = 0
        while index < actions.count {
            carryOut(actions[index])
            index += 1
        }
        actions.removeAll(keepingCapacity: true)
        isActing = false
    }

    private func carryOut(_ action: POP3Action) {
        switch action {
        case .reply(let reply):
            scratch.removeAll(keepingCapacity: true)
            reply.append(to: &scratch)
            connection.write(scratch)
            connection.counters.replies.add()
        case .startTLS: connection.startTLS()
        case .login(let credentials): logIn(credentials)
        case .beginAuthentication(let mechanism, let response): beginAuthentication(mechanism, response?.octets)
        case .continueAuthentication(let response): continueAuthentication(response.octets)
        case .cancelAuthentication: cancelAuthentication()
        case .list(let listing): list(listing)
        case .openBody(let retrieval): open(retrieval)
        case .sendBody(let retrieval): send(retrieval)
        case .commitDeletes(let uids): commitDeletes(of: uids)
        case .close(let reason):
            connection.log.debug("session over", metadata: ["reason": "\(reason)"])
            transfer = nil
            cancelAuthentication()
            if !isCommitting { releaseMaildrop() }
            connection.finish()
        }
    }

    func releaseMaildrop() {
        drop?.lease.release()
        drop = nil
    }
}

extension Connection {
    /// What holds for a session of POP3 that begins now.
    var pop3Configuration: POP3ServerConfiguration {
        POP3ServerConfiguration(
            hostName: gateway.options.hostName, allowsPlaintextLogin: isPlaintextAllowed, offersTLS: offersTLS,
            beginsSecure: isSecure)
    }
}

/// The maildrop of a session that has logged in.
struct OpenMaildrop {
    let account: AccountID
    let mailbox: MailboxID
    let lease: MaildropLease
    /// In ascending order; the body of `uids[n]` is `blobs[n]`.
    let uids: [UInt32]
    let blobs: [UInt64]

    /// The body of a message, which stays readable when another session expunges the message.
    func blob(of uid: UID) -> BlobNumber? {
        var (low, high) = (0, uids.count)
        while low < high {
            let middle = (low + high) / 2
            if uids[middle] < uid.rawValue { low = middle + 1 } else { high = middle }
        }
        return low < uids.count && uids[low] == uid.rawValue ? BlobNumber(blobs[low]) : nil
    }
}
