import Authentication

/// A session whose client may log in by SASL: each message of the exchange goes there, and the session decides what it
/// came to.
protocol SASLSession: MailSession {
    var connection: Connection { get }
    /// What a login here has to go by, as the connection is now.
    var loginContext: LoginContext { get }
    /// A login that is under way.
    var exchange: SASLExchange? { get set }

    func answered(_ answer: SASLAnswer)
}

extension SASLSession {
    func beginAuthentication(_ mechanism: String, _ initialResponse: [UInt8]?) {
        exchange = connection.gateway.sasl.begin(
            mechanism, initialResponse: initialResponse, context: loginContext,
            completion: connection.answeringLogin { [self] in answered($0) })
    }

    func continueAuthentication(_ response: [UInt8]) {
        exchange?.step(response, completion: connection.answeringLogin { [self] in answered($0) })
    }

    func cancelAuthentication() {
        exchange?.cancel()
        exchange = nil
    }
}
