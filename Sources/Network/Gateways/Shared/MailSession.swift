import NIOCore

/// One protocol's side of a connection: it feeds its machine and carries out what the machine asks. All calls come on
/// the connection's event loop.
protocol MailSession: AnyObject {
    /// Takes no input before an answer has come.
    var isWaiting: Bool { get }
    /// What was received has somewhere to go; when false, the client is not read from.
    var hasRoomForInput: Bool { get }
    /// How long the client may be silent, as things stand.
    var silenceMax: TimeAmount { get }

    /// Greets the client.
    func start()
    /// Turns the client away.
    func refuse()
    /// Takes from `input` what can be taken at once, and carries out what follows from it.
    func receive(_ input: inout ByteBuffer)
    /// Goes on with what it was sending.
    func outputDrained()
    /// The handshake that `Connection.startTLS` began is done. What the client said before is forgotten.
    func tlsStarted()
    func timedOut()
    func shutDown()
    /// The node ends the session: in the protocol's words as soon as they can be said, or without any.
    func end(_ reason: SessionEnd)
    func disconnected()
}

extension MailSession {
    func end(_ reason: SessionEnd) { shutDown() }
}
