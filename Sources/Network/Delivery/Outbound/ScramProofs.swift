// SCRAM's slow part, and what binds it to TLS.
import Digests
import SMTP
import TLS

extension SMTPScramProof {
    /// Takes as long as the server wants, within `SMTPLimits`: not on an event loop. Nil where the password cannot be one.
    init?(_ challenge: SMTPScramChallenge, password: String) {
        let algorithm: DigestAlgorithm =
            switch challenge.digest {
            case .sha1: .sha1
            case .sha256: .sha256
            }
        guard let prepared = try? SASLprep.prepare(Array(password.utf8)),
            let proof = ScramProof.make(
                algorithm, password: prepared, salt: challenge.salt, iterations: challenge.iterations,
                authMessage: challenge.authMessage)
        else { return nil }
        self.init(client: proof.client, server: proof.server)
    }
}

extension TLSHandler {
    /// RFC 9266: that of the session itself where there is one, else that of the server's certificate (RFC 5929).
    var scramBinding: SMTPChannelBinding? {
        for kind in [ChannelBinding.exporter, .serverEndPoint] {
            if let octets = channelBinding(kind) { return SMTPChannelBinding(name: kind.rawValue, octets: octets) }
        }
        return nil
    }
}
