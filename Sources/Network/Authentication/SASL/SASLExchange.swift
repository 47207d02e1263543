// One exchange of one client: its messages in order, one at a time, to the end.
//
// Invariants
// - After the end every further call is a mistake of the gateway's and answered with a failure.
// - The account of a success is read at its end: it is active, the credential usable, and the authorisation identity
//   empty or one of the account's own names.
// - Whatever is wrong with a proof looks alike (`denied`), whatever libsasl2 says: it calls a wrong proof of SCRAM a
//   broken protocol, and an unknown user by name.
// - An exchange ends with its connection: the gateway cancels it or lets go of it.
import Digests
import MailCore
import MailEngine
import MailTypes
import NIOCore
import Synchronization

package final class SASLExchange: Sendable {
    private enum Stage {
        /// Nothing has come yet.
        case fresh
        /// libsasl2 waits for the next response.
        case library
        /// An answer is awaited from another thread.
        case waiting
        /// The client has been told why its token was refused, and answers with a dummy (RFC 7628 section 3.2.3).
        case refusedToken(LoginAnswer)
        case ended
    }

    private struct State {
        var stage = Stage.fresh
        var messages = 0
        var conversation: SASLConversation?
        /// How long a good answer is held back, by the name's failures before.
        var delay = TimeAmount.zero
        /// The name has been found to be one that may be tried now.
        var hasStood = false
    }

    /// What libsasl2's property plug-in was told.
    private struct LookUp {
        var name = ""
        var subject = LoginSubject()
    }

    private let server: SASLServer
    private let mechanism: SASLMechanism
    private let context: LoginContext
    private let state = Mutex(LockedState(State()))
    /// Apart from the state, which is locked while the library looks up.
    private let found = Mutex(LookUp())

    /// What the mutex guards: libsasl2's connection moves between threads with it, never without.
    private struct LockedState: @unchecked Sendable {
        var value: State
        init(_ value: State) { self.value = value }
    }

    init(_ server: SASLServer, _ mechanism: SASLMechanism, _ context: LoginContext) {
        self.server = server
        self.mechanism = mechanism
        self.context = context
    }

    deinit { end() }

    /// The exchange is given up: the client said so, or is gone.
    package func cancel() { end() }

    /// Takes the client's next message.
    package func step(_ response: [UInt8], completion: @escaping @Sendable (SASLAnswer) -> Void) {
        guard response.count <= AuthenticationLimits.messageOctetsMax else { return fail(.malformed, completion) }
        let begun = NIODeadline.now()
        let stage = state.withLock { locked -> Stage in
            let stage = locked.value.stage
            locked.value.messages += 1
            if locked.value.messages > AuthenticationLimits.messagesMax { return .ended }
            if case .ended = stage { return stage }
            locked.value.stage = .waiting
            return stage
        }
        switch stage {
        case .fresh: first(response, begun, completion)
        case .library: next(begun, completion) { $0.step(response) }
        case .refusedToken(let answer): finish(answer, completion)
        case .waiting, .ended: fail(.malformed, completion)
        }
    }

    /// The client sent no initial response.
    func open(_ completion: @escaping @Sendable (SASLAnswer) -> Void) {
        guard !mechanism.isClientFirst else { return completion(.challenge([])) }
        state.withLock { $0.value.stage = .waiting }
        first(nil, .now(), completion)
    }

    // MARK: The first message

    private func first(
        _ response: [UInt8]?, _ begun: NIODeadline, _ completion: @escaping @Sendable (SASLAnswer) -> Void
    ) {
        if mechanism.isToken { return judge(response ?? [], begun, completion) }
        guard let conversation = makeConversation() else { return later(completion) }
        if mechanism.isSCRAM {
            guard let flag = ScramBindingFlag(of: response ?? []) else { return fail(.malformed, completion) }
            guard accepts(flag, conversation) else { return finish(deny("", begun), completion) }
        }
        if mechanism == .external {
            guard let name = certificateName(wanted: response ?? []), conversation.setExternal(name) else {
                return finish(deny("", begun), completion)
            }
        }
        state.withLock { $0.value.conversation = conversation }
        next(begun, completion) { [mechanism] in $0.start(mechanism, response) }
    }

    private func makeConversation() -> SASLConversation? {
        let (authenticator, scope, mechanism) = (server.authenticator, context.scope, mechanism)
        return SASLConversation(service: context.scope.serviceName, host: server.hostName) { [unowned self] name in
            // Only SCRAM wants verifiers.
            guard mechanism.isSCRAM else { return [] }
            let subject = (try? authenticator.subject(name, scope)) ?? LoginSubject()
            found.withLock { $0 = LookUp(name: name, subject: subject) }
            return authenticator.scramLines(subject, name)
        }
    }

    /// RFC 5802 section 6: the mechanism with -PLUS binds, the one without does not, and a client that believes we
    /// could not bind though we offered to has been lied to.
    private func accepts(_ flag: ScramBindingFlag, _ conversation: SASLConversation) -> Bool {
        switch flag {
        case .unsupported: return !mechanism.isPlus
        case .serverCannot: return !mechanism.isPlus && !server.offersBinding(context)
        case .named(let name):
            guard mechanism.isPlus, let data = context.channel?.binding(named: name) else { return false }
            return conversation.bind(name, data)
        }
    }

    /// The address of the client's certificate that leads to an account: the one of the account it wants, if it says.
    private func certificateName(wanted: [UInt8]) -> String? {
        let authenticator = server.authenticator
        let wanted = String(validating: wanted, as: UTF8.self) ?? ""
        for address in (context.channel?.certificateAddresses ?? []).prefix(AuthenticationLimits.certificateNamesMax) {
            guard let account = try? authenticator.subject(address, context.scope).account,
                (try? authenticator.isSelf(wanted, account)) == true
            else { continue }
            return address
        }
        return nil
    }

    // MARK: libsasl2

    /// Lets the library take a message, and goes on from what it says.
    private func next(
        _ begun: NIODeadline, _ completion: @escaping @Sendable (SASLAnswer) -> Void,
        _ body: (SASLConversation) -> SASLConversation.Outcome
    ) {
        let outcome = state.withLock { locked -> SASLConversation.Outcome in
            guard let conversation = locked.value.conversation else { return .failed }
            let outcome = body(conversation)
            if case .challenge = outcome { locked.value.stage = .library }
            return outcome
        }
        switch outcome {
        case .challenge(let octets):
            if mechanism.isSCRAM, let answer = refusal() { return finish(answer, completion) }
            completion(.challenge(octets))
        case .failed: finish(deny(found.withLock { $0.name }, begun), completion)
        case .password(let name, let password, let authorization):
            server.authenticator.logIn(
                name, password: password, authorization: authorization, scope: context.scope, from: context.source
            ) { [self] answer in finish(answer, completion) }
        case .proved(let name, let authorization):
            if mechanism == .external,
                case .answered(let answer) = server.authenticator.stand(name, from: context.source)
            {
                return finish(answer, completion)
            }
            finish(proved(name, authorization, begun), completion)
        }
    }

    /// The answer to a name that may not be tried now. It comes in the place of the first challenge, when the name is
    /// known; the one after a proof passes here too and finds that it may.
    private func refusal() -> LoginAnswer? {
        guard !state.withLock({ $0.value.hasStood }) else { return nil }
        switch server.authenticator.stand(found.withLock { $0.name }, from: context.source) {
        case .answered(let answer): return answer
        case .heard(let delay):
            state.withLock {
                $0.value.delay = delay
                $0.value.hasStood = true
            }
            return nil
        }
    }

    /// The library has seen a proof. What it proves holds for an account as it is now.
    private func proved(_ name: String, _ authorization: String, _ begun: NIODeadline) -> LoginAnswer {
        let authenticator = server.authenticator
        let delay = state.withLock { $0.value.delay }
        do {
            let subject = try authenticator.subject(name, context.scope)
            guard let account = subject.account, subject.isActive, try authenticator.isSelf(authorization, account)
            else { return deny(name, begun) }
            var credential: CredentialRow?
            if mechanism.isSCRAM {
                let offered = found.withLock { $0.subject }
                guard let row = offered.scramCandidate, offered.account == account,
                    let now = subject.usable.first(where: { $0.isUnchanged(since: row) })
                else { return deny(name, begun) }
                credential = now
            }
            return authenticator.success(
                of: name, from: context.source, account, credential, delay: delay, attempted: begun)
        } catch {
            return LoginAnswer(verdict: .tryLater, delay: delay, attempted: begun)
        }
    }

    // MARK: Tokens

    private func judge(
        _ message: [UInt8], _ begun: NIODeadline, _ completion: @escaping @Sendable (SASLAnswer) -> Void
    ) {
        guard let tokens = server.tokens, let message = TokenMessage(message, mechanism) else {
            return fail(.malformed, completion)
        }
        switch server.authenticator.stand(message.authorization, from: context.source) {
        case .answered(let answer): return finish(answer, completion)
        case .heard(let delay): state.withLock { $0.value.delay = delay }
        }
        tokens.judge(message.token) { [self] verdict in
            switch verdict {
            case .unavailable: later(completion)
            case .inactive: refuseToken(deny(message.authorization, begun), completion)
            case .active(let name):
                let answer = proved(name, message.authorization, begun)
                if answer.verdict == .denied { refuseToken(answer, completion) } else { finish(answer, completion) }
            }
        }
    }

    /// Tells what is wrong with the token, as a challenge (RFC 7628 section 3.2.2).
    private func refuseToken(_ answer: LoginAnswer, _ completion: @escaping @Sendable (SASLAnswer) -> Void) {
        let goesOn = state.withLock { locked -> Bool in
            guard case .waiting = locked.value.stage else { return false }
            locked.value.stage = .refusedToken(answer)
            return true
        }
        guard goesOn else { return finish(answer, completion) }
        let text =
            mechanism == .oauthBearer
            ? #"{"status":"invalid_token"}"# : #"{"status":"401","schemes":"bearer","scope":"mail"}"#
        completion(.challenge(Array(text.utf8)))
    }

    // MARK: The end

    private func deny(_ name: String, _ begun: NIODeadline) -> LoginAnswer {
        server.authenticator.failure(of: name, from: context.source, attempted: begun)
    }

    private func finish(_ answer: LoginAnswer, _ completion: @Sendable (SASLAnswer) -> Void) {
        end()
        completion(.finished(answer))
    }

    private func later(_ completion: @Sendable (SASLAnswer) -> Void) {
        finish(LoginAnswer(verdict: .tryLater, delay: .zero), completion)
    }

    private func fail(_ failure: SASLFailure, _ completion: @Sendable (SASLAnswer) -> Void) {
        end()
        completion(.failed(failure))
    }

    private func end() {
        let (isFirst, conversation) = state.withLock { locked -> (Bool, SASLConversation?) in
            if case .ended = locked.value.stage { return (false, nil) }
            locked.value.stage = .ended
            let conversation = locked.value.conversation
            locked.value.conversation = nil
            return (true, conversation)
        }
        // Disposed of outside the lock.
        _ = conversation
        if isFirst { server.exchangeEnded() }
    }
}

extension PasswordAuthenticator {
    /// What libsasl2 is given for a name, one line for each digest: real where there is one, else made up.
    func scramLines(_ subject: LoginSubject, _ name: String) -> [String] {
        let real = subject.scramCandidate.map { ScramCredential.verifiers($0.verifier) } ?? []
        return DigestAlgorithm.allCases.map { algorithm in
            ScramCredential.text(real.first { $0.algorithm == algorithm } ?? decoys.verifier(algorithm, for: name))
        }
    }
}

extension CredentialScopes {
    /// The service name that the protocol registered for SASL.
    var serviceName: String {
        switch self {
        case .imap: "imap"
        case .pop3: "pop"
        default: "smtp"
        }
    }
}
