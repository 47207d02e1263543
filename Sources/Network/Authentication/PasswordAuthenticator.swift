// Checks a name and a password given in the clear (POP3 PASS now, SASL PLAIN later) against the SCRAM verifiers of the
// log.
//
// Invariants
// - Nothing distinguishes an unknown name, a wrong password, a disabled account, an expired credential and one of
//   another scope: same verdict, and keys are derived once in each case. An account with several credentials takes a
//   derivation for each when its password is wrong.
// - Deriving keys takes milliseconds and happens on threads of this room, a bounded number of logins waiting for them.
// - A password is held no longer than its check, and no description shows it.
//
// The delays after failures are given to the caller, which owns a clock that can wait. They hold for every answer to a
// place with failures, so that a client cannot tell a wrong password by its delay and hang up. FailureLedger has the rules.
import Digests
import MailCore
import MailEngine
import MailTypes
import NIOCore
import NIOPosix
import Synchronization

/// The answer to a login.
package struct LoginAnswer: Equatable, Sendable {
    package enum Verdict: Equatable, Sendable {
        case accepted(AccountID)
        /// Wrong in some way that the client does not learn.
        case denied
        /// The store cannot be read, or too many logins wait.
        case tryLater
    }

    package let verdict: Verdict
    /// To be held back this long.
    package let delay: TimeAmount
    /// The credential that was good; the session ends when it is revoked.
    package var credential: UInt32?
    /// Refused for its failures before, without a look at the password. The client hears what it hears for a wrong one.
    package var isUnheard = false

    package init(verdict: Verdict, delay: TimeAmount, credential: UInt32? = nil, isUnheard: Bool = false) {
        self.verdict = verdict
        self.delay = delay
        self.credential = credential
        self.isUnheard = isUnheard
    }
}

package final class PasswordAuthenticator: Sendable {
    private let engine: MailEngine
    private let defaultDomain: String
    private let options: AuthenticationOptions
    private let key: [UInt8]
    private let threads: NIOThreadPool
    private let pending = Atomic<Int>(0)
    private let ledger: Mutex<FailureLedger>
    private let cache: Mutex<LoginCache>

    /// - Parameters:
    ///   - defaultDomain: belongs to login names without `@`.
    ///   - key: 32 random octets that no one else knows.
    package init(
        engine: MailEngine, defaultDomain: String, options: AuthenticationOptions = AuthenticationOptions(),
        key: [UInt8] = randomBytes(count: 32)
    ) {
        self.engine = engine
        self.defaultDomain = defaultDomain
        self.options = options
        self.key = key
        ledger = Mutex(FailureLedger(options))
        cache = Mutex(LoginCache(key: key, lifetime: options.cacheLifetime))
        threads = NIOThreadPool(numberOfThreads: options.threads)
        threads.start()
    }

    /// Checks a login for `scope`. `completion` is called once, on this thread or another.
    ///
    /// - Parameter source: where the client comes from, for the slow-down.
    package func logIn(
        _ name: String, password: [UInt8], scope: CredentialScopes, from source: LoginSource,
        completion: @escaping @Sendable (LoginAnswer) -> Void
    ) {
        let name = name.contains("@") ? name : name + "@" + defaultDomain
        let delay: TimeAmount
        switch ledger.withLock({ $0.stand(name, from: source, at: .now()) }) {
        case .heard(let held): delay = held
        case .refused(let held): return completion(LoginAnswer(verdict: .denied, delay: held, isUnheard: true))
        case .tryLater:
            return completion(LoginAnswer(verdict: .tryLater, delay: options.knownDelayMax, isUnheard: true))
        }
        let attempt: Attempt
        do {
            attempt = try self.attempt(name, password, scope)
        } catch {
            return completion(LoginAnswer(verdict: .tryLater, delay: delay))
        }
        if let account = attempt.account, let code = attempt.code,
            let credential = cache.withLock({
                $0.accepts(account, code: code, credentials: attempt.credentials, at: .now())
            })
        {
            ledger.withLock { $0.note(successOf: name, from: source, at: .now()) }
            return completion(LoginAnswer(verdict: .accepted(account), delay: delay, credential: credential.id))
        }
        guard pending.add(1, ordering: .relaxed).newValue <= options.pendingMax else {
            pending.subtract(1, ordering: .relaxed)
            return completion(LoginAnswer(verdict: .tryLater, delay: delay))
        }
        threads.submit { [self] state in
            defer { pending.subtract(1, ordering: .relaxed) }
            guard state == .active else { return completion(LoginAnswer(verdict: .tryLater, delay: .zero)) }
            completion(verify(attempt, name, from: source, delay: delay))
        }
    }

    /// Lets the threads end. Logins after it are told to try later.
    package func shutDown() {
        threads.shutdownGracefully { _ in }
    }
}

/// One login on its way.
private struct Attempt: Sendable {
    /// Nil when nobody of that name may log in for that scope.
    let account: AccountID?
    let credentials: [CredentialRow]
    /// Prepared by SASLprep; nil when it cannot be anybody's.
    let password: [UInt8]?
    let code: [UInt8]?
    /// Stands in where there is no credential.
    let decoy: ScramVerifier
}

extension PasswordAuthenticator {
    /// Reads what is known of the name: some microseconds.
    private func attempt(_ name: String, _ password: [UInt8], _ scope: CredentialScopes) throws -> Attempt {
        let prepared = password.count <= AuthenticationLimits.passwordOctetsMax ? try? SASLprep.prepare(password) : nil
        let address =
            name.utf8.count <= AuthenticationLimits.loginOctetsMax
            ? Address(name) : nil
        var account: AccountID?
        var credentials: [CredentialRow] = []
        // `*` is how the directory writes a catch-all, and no name.
        if let address, address.localPart != "*" {
            let now = engine.clock()
            (account, credentials) = try engine.read { state in
                guard let owner = try state.owner(ofAddress: address.directoryKey),
                    let head = try state.head(owner), head.status == .active
                else { return (nil, []) }
                let usable = try state.credentials(owner).filter {
                    $0.scheme == .scram && $0.scopes.isSuperset(of: scope) && ($0.expires.map { $0 > now } ?? true)
                }
                return (usable.isEmpty ? nil : owner, usable)
            }
        }
        var code: [UInt8]?
        if let account, let prepared { code = cache.withLock { $0.code(account, prepared) } }
        return Attempt(
            account: account, credentials: credentials, password: prepared, code: code, decoy: decoy(for: name))
    }

    /// The verifier of a password that nobody knows: the same for a name as long as the process lives.
    private func decoy(for name: String) -> ScramVerifier {
        let seed = HMACDigest.code(.sha256, key: key, message: Array(name.lowercased().utf8))
        let verifier = ScramVerifier(
            algorithm: .sha256, iterations: AuthenticationLimits.iterationsDefault,
            salt: Array(seed.prefix(AuthenticationLimits.saltOctets)), storedKey: seed, serverKey: seed)
        guard let verifier else { preconditionFailure("the limits of this room make a valid verifier") }
        return verifier
    }

    private func verify(
        _ attempt: Attempt, _ name: String, from source: LoginSource, delay: TimeAmount
    ) -> LoginAnswer {
        let password = attempt.password ?? [0]
        var good: CredentialRow?
        var verified = 0
        for credential in attempt.credentials where verified < AuthenticationLimits.verifiersPerLoginMax && good == nil
        {
            let verifiers = ScramCredential.verifiers(credential.verifier)
            guard let verifier = verifiers.first(where: { $0.algorithm == .sha256 }) ?? verifiers.first else {
                continue
            }
            verified += 1
            if verifier.verify(password: password) { good = credential }
        }
        if verified == 0 { _ = attempt.decoy.verify(password: password) }
        guard let good, let account = attempt.account, let code = attempt.code else {
            let held = ledger.withLock { $0.note(failureOf: name, from: source, at: .now()) }
            return LoginAnswer(verdict: .denied, delay: held)
        }
        cache.withLock { $0.note(account, code: code, credential: good, at: .now()) }
        ledger.withLock { $0.note(successOf: name, from: source, at: .now()) }
        return LoginAnswer(verdict: .accepted(account), delay: delay, credential: good.id)
    }
}
