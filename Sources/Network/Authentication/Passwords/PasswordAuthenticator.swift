// Checks a name and a password given in the clear (POP3 PASS, IMAP LOGIN, SASL PLAIN and LOGIN) against the credentials
// of the log, and lends SASL's other mechanisms the same names, delays and verdicts.
//
// Invariants
// - Nothing distinguishes an unknown name, a wrong password, a disabled account, an expired credential and one of
//   another scope: same verdict, keys are derived in each case, and an answer after a failure is held back for a time
//   that counts from the attempt's beginning, within which the differences in work vanish.
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
    /// To be held back this long, counted from the attempt.
    package let delay: TimeAmount
    /// The credential that was good; the session ends when it is revoked.
    package var credential: UInt32?
    /// Refused for its failures before, without a look at the password. The client hears what it hears for a wrong one.
    package var isUnheard = false
    /// When the attempt was made; no part of equality.
    private let attempted: NIODeadline

    package init(
        verdict: Verdict, delay: TimeAmount, credential: UInt32? = nil, isUnheard: Bool = false,
        attempted: NIODeadline = .now()
    ) {
        self.verdict = verdict
        self.delay = delay
        self.credential = credential
        self.isUnheard = isUnheard
        self.attempted = attempted
    }

    /// What is left of the delay.
    package var wait: TimeAmount { max(.zero, delay - (NIODeadline.now() - attempted)) }

    package static func == (left: LoginAnswer, right: LoginAnswer) -> Bool {
        left.verdict == right.verdict && left.delay == right.delay && left.credential == right.credential
            && left.isUnheard == right.isUnheard
    }
}

package final class PasswordAuthenticator: Sendable {
    let engine: MailEngine
    let defaultDomain: String
    let options: AuthenticationOptions
    let decoys: DecoyVerifiers
    private let queue: DerivationQueue
    private let ledger: Mutex<FailureLedger>
    private let cache: Mutex<LoginCache>

    /// - Parameters:
    ///   - defaultDomain: belongs to login names without `@`.
    ///   - key: 32 random octets that no one else knows. The same ones after a restart, or the salts of names that
    ///     nobody has would change with it and give them away.
    package init(
        engine: MailEngine, defaultDomain: String, options: AuthenticationOptions = AuthenticationOptions(),
        key: [UInt8] = randomBytes(count: 32)
    ) {
        self.engine = engine
        self.defaultDomain = defaultDomain
        self.options = options
        decoys = DecoyVerifiers(key: key, iterations: AuthenticationLimits.iterationsDefault)
        ledger = Mutex(FailureLedger(options))
        cache = Mutex(LoginCache(key: randomBytes(count: 32), lifetime: options.cacheLifetime))
        queue = DerivationQueue(threads: options.threads, pendingMax: options.pendingMax)
    }

    /// Checks a login for `scope`. `completion` is called once, on this thread or another.
    ///
    /// - Parameters:
    ///   - source: where the client comes from, for the slow-down.
    ///   - authorization: whom the client wants to act for; empty is itself, and nobody may act for another.
    package func logIn(
        _ name: String, password: [UInt8], authorization: String = "", scope: CredentialScopes,
        from source: LoginSource, completion: @escaping @Sendable (LoginAnswer) -> Void
    ) {
        let begun = NIODeadline.now()
        let delay: TimeAmount
        switch stand(name, from: source) {
        case .answered(let answer): return completion(answer)
        case .heard(let held): delay = held
        }
        let attempt: Attempt
        do {
            attempt = try self.attempt(name, password, authorization, scope)
        } catch {
            return completion(LoginAnswer(verdict: .tryLater, delay: delay, attempted: begun))
        }
        if let account = attempt.account, let code = attempt.code,
            let credential = cache.withLock({
                $0.accepts(account, code: code, credentials: attempt.credentials, at: .now())
            })
        {
            return completion(
                success(of: name, from: source, account, credential, delay: delay, attempted: begun))
        }
        let rank = ledger.withLock { $0.rank(ledgerName(name), from: source, at: begun) }
        let isTaken = queue.submit(rank) { [self] isActive in
            guard isActive else { return completion(LoginAnswer(verdict: .tryLater, delay: .zero)) }
            guard let good = verify(attempt), let account = attempt.account, let code = attempt.code else {
                return completion(failure(of: name, from: source, attempted: begun))
            }
            cache.withLock { $0.note(account, code: code, credential: good, at: .now()) }
            completion(success(of: name, from: source, account, good, delay: delay, attempted: begun))
        }
        if !isTaken { completion(LoginAnswer(verdict: .tryLater, delay: delay, attempted: begun)) }
    }

    /// Lets the threads end. Logins after it are told to try later.
    package func shutDown() {
        queue.shutDown()
    }
}

// MARK: For every mechanism

extension PasswordAuthenticator {
    enum Standing {
        /// Without a look at what the client proves.
        case answered(LoginAnswer)
        /// A good answer waits this long.
        case heard(TimeAmount)
    }

    /// Whether the client may try that name now.
    func stand(_ name: String, from source: LoginSource) -> Standing {
        let name = ledgerName(name)
        switch ledger.withLock({ $0.stand(name, from: source, at: .now()) }) {
        case .heard(let delay): return .heard(delay)
        case .refused(let delay):
            return .answered(LoginAnswer(verdict: .denied, delay: delay, isUnheard: true))
        case .tryLater:
            return .answered(LoginAnswer(verdict: .tryLater, delay: options.knownDelayMax, isUnheard: true))
        }
    }

    /// Counts a failure and says how its answer is held back.
    func failure(of name: String, from source: LoginSource, attempted: NIODeadline) -> LoginAnswer {
        let name = ledgerName(name)
        let delay = ledger.withLock { $0.note(failureOf: name, from: source, at: .now()) }
        return LoginAnswer(verdict: .denied, delay: delay, attempted: attempted)
    }

    /// - Parameter credential: nil where none of the account's was used.
    func success(
        of name: String, from source: LoginSource, _ account: AccountID, _ credential: CredentialRow?,
        delay: TimeAmount, attempted: NIODeadline
    ) -> LoginAnswer {
        let name = ledgerName(name)
        ledger.withLock { $0.note(successOf: name, from: source, at: .now()) }
        return LoginAnswer(
            verdict: .accepted(account), delay: delay, credential: credential?.id, attempted: attempted)
    }

    /// Labels are no further names to guess with.
    private func ledgerName(_ name: String) -> String {
        LoginName(name, defaultDomain: defaultDomain)?.address.description ?? name
    }

    func subject(_ name: String, _ scope: CredentialScopes) throws -> LoginSubject {
        try engine.loginSubject(LoginName(name, defaultDomain: defaultDomain), scope)
    }

    /// Whether a client may act for `authorization`: only for itself, by any of its names.
    func isSelf(_ authorization: String, _ account: AccountID) throws -> Bool {
        if authorization.isEmpty { return true }
        guard let name = LoginName(authorization, defaultDomain: defaultDomain) else { return false }
        return try engine.read { try $0.owner(ofAddress: name.address.directoryKey) } == account
    }
}

// MARK: Passwords

/// One login on its way.
private struct Attempt: Sendable {
    /// Nil when nobody of that name may log in for that scope.
    let account: AccountID?
    /// Usable ones.
    let credentials: [CredentialRow]
    /// Prepared by SASLprep; nil when it cannot be anybody's.
    let password: [UInt8]?
    let code: [UInt8]?
    /// Stands in where there is no credential.
    let decoy: ScramVerifier
}

extension PasswordAuthenticator {
    private func attempt(
        _ name: String, _ password: [UInt8], _ authorization: String, _ scope: CredentialScopes
    ) throws -> Attempt {
        let prepared = password.count <= AuthenticationLimits.passwordOctetsMax ? try? SASLprep.prepare(password) : nil
        let subject = try subject(name, scope)
        var account: AccountID?
        if let owner = subject.account, subject.isActive, !subject.usable.isEmpty,
            try isSelf(authorization, owner)
        {
            account = owner
        }
        var code: [UInt8]?
        if let account, let prepared { code = cache.withLock { $0.code(account, prepared) } }
        return Attempt(
            account: account, credentials: subject.usable, password: prepared, code: code,
            decoy: decoys.verifier(.sha256, for: name))
    }

    /// The credential that the password is good for. Derives at least once.
    private func verify(_ attempt: Attempt) -> CredentialRow? {
        let password = attempt.password ?? [0]
        var good: CredentialRow?
        var verified = 0
        for credential in attempt.credentials where verified < AuthenticationLimits.verifiersPerLoginMax && good == nil
        {
            let verifiers = ScramCredential.verifiers(credential.verifier)
            guard credential.scheme == .scram,
                let verifier = verifiers.first(where: { $0.algorithm == .sha256 }) ?? verifiers.first
            else { continue }
            verified += 1
            if verifier.verify(password: password) { good = credential }
        }
        if verified == 0 { _ = attempt.decoy.verify(password: password) }
        return attempt.account == nil ? nil : good
    }
}
