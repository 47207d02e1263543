// What a node presents to its clients, and how that changes while it runs.
//
// A session keeps the certificates with which it began. What comes after `replace` gets the new ones; tickets that were
// given out before it are taken after it, unless the authority for clients has changed.
import Synchronization

/// What the site says about TLS, with its files read.
package struct TLSServerOptions: Sendable {
    /// For clients that ask for no name, or for one that is not known.
    package var main: TLSCredential
    /// By the name a client asks for: a host name, or `*.` and a domain for any one label in front of it.
    package var named: [String: TLSCredential] = [:]
    /// Clients may present certificates that it vouches for; nil asks for none.
    package var authority: TLSAuthority?
    package var minimumVersion = TLSVersion.tls12

    package init(main: TLSCredential) { self.main = main }
}

package final class TLSServer: Sendable {
    /// Everything that holds for sessions that begin now.
    final class Snapshot: Sendable {
        let main: TLSContext
        let asksForCertificate: Bool
        let tickets: TicketKeys
        private let named: [String: TLSContext]

        init(_ options: TLSServerOptions, _ tickets: TicketKeys) throws(TLSFailure) {
            main = try TLSContext(options.main, options)
            asksForCertificate = options.authority != nil
            self.tickets = tickets
            var named: [String: TLSContext] = [:]
            for (name, credential) in options.named { named[name.lowercased()] = try TLSContext(credential, options) }
            self.named = named
        }

        /// Nil when there is none for this name.
        func context(for name: String) -> TLSContext? {
            guard !named.isEmpty else { return nil }
            let name = name.lowercased()
            if let exact = named[name] { return exact }
            guard let dot = name.firstIndex(of: ".") else { return nil }
            return named["*" + name[dot...]]
        }
    }

    private let tickets: TicketKeys
    private let current: Mutex<Snapshot>

    /// - Parameter clock: seconds, of any clock that does not go back; the age of keys is measured with it.
    package init(_ options: TLSServerOptions, clock: @escaping @Sendable () -> Int64) throws(TLSFailure) {
        tickets = TicketKeys(clock: clock)
        current = Mutex(try Snapshot(options, tickets))
    }

    /// For sessions that begin from now on. When it throws, everything stays as it was.
    package func replace(with options: TLSServerOptions) throws(TLSFailure) {
        let new = try Snapshot(options, tickets)
        current.withLock { $0 = new }
    }

    /// - Parameter applicationProtocol: what the listener speaks, as ALPN names it (RFC 7301): `imap`, `pop3`.
    package func makeSession(applicationProtocol: String) throws(TLSFailure) -> TLSSession {
        try TLSSession(current.withLock { $0 }, applicationProtocol: applicationProtocol)
    }
}
