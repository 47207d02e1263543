import MailTypes
import SMTP

extension SMTPSession {
    /// XCLIENT: limits, log lines and the trace go by that client from now on. Where its address is not known,
    /// the peer's stands.
    func replaceClient(_ identity: SMTPClientIdentity) {
        milters?.end()
        milters = nil
        let client = identity.address.flatMap { IPAddress($0) }.map { ClientAddress($0) } ?? peer
        machine.clientReplaced(connection.replaceClient(client) ? .accepted : .tooMany, into: &actions)
    }
}
