import NIOCore
import TLS

/// TLS towards a source.
enum SourceTLS {
    /// Makes the handler of each connection; nil where none is wanted.
    /// - Parameter authorities: a file of certificates to trust in the place of the system's.
    static func handlerMaker(
        host: String, security: SourceSecurity, authorities: String?
    ) throws(AdministrationFailure) -> (@Sendable () throws -> any ChannelHandler)? {
        if security == .none { return nil }
        do {
            let client = try TLSClient(TLSClientOptions(trust: .authorities(in: authorities)))
            return { try client.makeHandler(host: host, applicationProtocol: "imap") }
        } catch {
            throw AdministrationFailure("TLS with \(host): \(error)")
        }
    }
}
