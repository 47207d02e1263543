// The one room of SASL for all gateways: which mechanisms a client may use, and the beginning of an exchange.
//
// How a gateway drives it
//     sasl.mechanisms(context)                                    // for CAPA, EHLO, CAPABILITY; anew after STARTTLS
//     exchange = sasl.begin(name, initialResponse, context) { answer in ... }
//     exchange.step(response) { answer in ... }                   // after each .challenge
//     exchange.cancel()                                           // the client said "*", or is gone
// Messages are octets: base64 and its line limits are the protocols'. An answer comes once for each call, on the
// caller's thread or another, perhaps before the call returns. None of our protocols has additional data with success
// (RFC 4422 section 3.6): what SCRAM says last is a challenge, which the client answers with nothing.
import Digests
import MailCore
import MailEngine
import MailTypes
import NIOCore
import Synchronization

/// What the server says next.
package enum SASLAnswer: Equatable, Sendable {
    /// Send this, and hand what comes back to `step`.
    case challenge([UInt8])
    /// The exchange is over: in, out, or later. To be told once the answer's `wait` is over.
    case finished(LoginAnswer)
    /// The exchange is over before anything was proved.
    case failed(SASLFailure)
}

package enum SASLFailure: Equatable, Sendable {
    /// The message is none of the mechanism, or too long.
    case malformed
    /// There is no such mechanism here, or not for this connection.
    case unknownMechanism
    /// There is, once the connection is encrypted.
    case encryptionRequired
}

package final class SASLServer: Sendable {
    let authenticator: PasswordAuthenticator
    let hostName: String
    let tokens: (any TokenService)?
    private let isLibraryUp: Bool
    private let underWay = Atomic<Int>(0)

    /// - Parameters:
    ///   - hostName: of this server, for the library.
    ///   - tokens: judges access tokens; nil offers no mechanism with them.
    package init(authenticator: PasswordAuthenticator, hostName: String, tokens: (any TokenService)? = nil) {
        self.authenticator = authenticator
        self.hostName = hostName
        self.tokens = tokens
        isLibraryUp = Self.libraryProblem == nil
    }

    /// Why libsasl2 cannot be used; nil when it can. A node that has SASL configured should not start without.
    package static var libraryProblem: String? {
        do throws(SASLLibrary.Failure) {
            try SASLLibrary.start()
            return nil
        } catch {
            return error.description
        }
    }

    /// Exchanges that have begun and are not over.
    package var exchangesUnderWay: Int { underWay.load(ordering: .relaxed) }

    /// What may be offered to this client now, strongest first.
    package func mechanisms(_ context: LoginContext) -> [String] {
        SASLMechanism.allCases.filter { isOffered($0, context) }.map(\.rawValue)
    }

    /// What this client could be offered over TLS, and is not now.
    package func mechanismsUnderTLS(_ context: LoginContext) -> [String] {
        SASLMechanism.allCases.filter { !isOffered($0, context) && isOffered($0, context.ifEncrypted) }.map(\.rawValue)
    }

    /// Begins an exchange.
    ///
    /// - Parameters:
    ///   - mechanism: as the client named it.
    ///   - initialResponse: nil when the client sent none; empty when it sent an empty one.
    /// - Returns: the exchange; nil when `completion` has told why there is none.
    package func begin(
        _ mechanism: String, initialResponse: [UInt8]?, context: LoginContext,
        completion: @escaping @Sendable (SASLAnswer) -> Void
    ) -> SASLExchange? {
        guard let mechanism = SASLMechanism(named: mechanism), isOffered(mechanism, context) else {
            let known = SASLMechanism(named: mechanism)
            let needsEncryption = known.map { isOffered($0, context.ifEncrypted) } ?? false
            completion(.failed(needsEncryption ? .encryptionRequired : .unknownMechanism))
            return nil
        }
        guard underWay.add(1, ordering: .relaxed).newValue <= authenticator.options.exchangesMax else {
            underWay.subtract(1, ordering: .relaxed)
            completion(.finished(LoginAnswer(verdict: .tryLater, delay: .zero)))
            return nil
        }
        let exchange = SASLExchange(self, mechanism, context)
        if let initialResponse {
            exchange.step(initialResponse, completion: completion)
        } else {
            exchange.open(completion)
        }
        return exchange
    }

    func exchangeEnded() { underWay.subtract(1, ordering: .relaxed) }

    private func isOffered(_ mechanism: SASLMechanism, _ context: LoginContext) -> Bool {
        guard authenticator.options.mechanisms.contains(mechanism) else { return false }
        if mechanism.isPlaintext, !context.isPlaintextAllowed { return false }
        // Whose password somebody else keeps, we have no verifiers of.
        if mechanism.isSCRAM, authenticator.coversAll { return false }
        if mechanism.isPlus, context.channel?.canBind != true { return false }
        if mechanism == .external, context.channel?.certificateAddresses.isEmpty != false { return false }
        return mechanism.isToken ? tokens != nil : isLibraryUp
    }

    /// Whether -PLUS is among what this client was offered.
    func offersBinding(_ context: LoginContext) -> Bool {
        isOffered(.scramSHA256Plus, context) || isOffered(.scramSHA1Plus, context)
    }
}

extension LoginContext {
    /// The same connection with TLS, of which nothing else is known.
    fileprivate var ifEncrypted: LoginContext {
        var context = self
        context.isPlaintextAllowed = true
        return context
    }
}
