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
    private let external: ExternalPasswords?
    /// Notes of use and new verifiers that are on their way, by account and credential.
    private let notes = Mutex<Set<UInt64>>([])

    /// - Parameters:
    ///   - defaultDomain: belongs to login names without `@`.
    ///   - key: 32 random octets that no one else knows. The same ones after a restart, or the salts of names that
    ///     nobody has would change with it and give them away.
    ///   - external: keeps passwords of accounts too.
    package init(
        engine: MailEngine, defaultDomain: String, options: AuthenticationOptions = AuthenticationOptions(),
        key: [UInt8] = randomBytes(count: 32), external: ExternalPasswords? = nil
    ) {
        self.engine = engine
        self.defaultDomain = defaultDomain
        self.options = options
        self.external = external
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
            if let good = verify(attempt), let account = attempt.account, let code = attempt.code {
                cache.withLock { $0.note(account, code: code, credential: good, at: .now()) }
                completion(success(of: name, from: source, account, good, delay: delay, attempted: begun))
                if good.scheme == .crypt { convert(good, of: account, attempt.given) }
                return
            }
            guard let external, attempt.isExternal else {
                return completion(failure(of: name, from: source, attempted: begun))
            }
            external.check(attempt.name, password: attempt.given, service: scope.serviceName) { [self] verdict in
                switch verdict {
                case .good:
                    guard let account = attempt.account else { fallthrough }
                    completion(
                        success(of: name, from: source, account, attempt.external, delay: delay, attempted: begun))
                case .bad: completion(failure(of: name, from: source, attempted: begun))
                case .unavailable: completion(LoginAnswer(verdict: .tryLater, delay: delay, attempted: begun))
                }
            }
        }
        if !isTaken { completion(LoginAnswer(verdict: .tryLater, delay: delay, attempted: begun)) }
    }

    /// Every account's password may be with somebody else.
    var coversAll: Bool { external?.coverage == .all }

    /// Lets the threads end. Logins after it are told to try later.
    package func shutDown() {
        queue.shutDown()
        external?.shutDown()
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
        if let credential { noteUse(of: credential, account) }
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
        return try engine.read { try $0.owner(of: name.address) } == account
    }
}

// MARK: Passwords

/// One login on its way.
private struct Attempt: Sendable {
    let name: LoginName?
    /// Nil when nobody of that name may log in for that scope.
    let account: AccountID?
    /// Usable ones.
    let credentials: [CredentialRow]
    /// As the client gave it.
    let given: [UInt8]
    /// Prepared by SASLprep; nil when it cannot be anybody's.
    let password: [UInt8]?
    let code: [UInt8]?
    /// Somebody else is asked when none of ours is good.
    let isExternal: Bool
    /// Stands in where there is no credential.
    let decoy: ScramVerifier

    /// The credential that says that somebody else keeps the password.
    var external: CredentialRow? { credentials.first { $0.scheme == .external } }
}

extension PasswordAuthenticator {
    private func attempt(
        _ name: String, _ password: [UInt8], _ authorization: String, _ scope: CredentialScopes
    ) throws -> Attempt {
        let prepared = password.count <= AuthenticationLimits.passwordOctetsMax ? try? SASLprep.prepare(password) : nil
        let login = LoginName(name, defaultDomain: defaultDomain)
        let subject = try engine.loginSubject(login, scope)
        let coversAll = external?.coverage == .all && login?.label == nil
        var account: AccountID?
        if let owner = subject.account, subject.isActive, coversAll || !subject.usable.isEmpty,
            try isSelf(authorization, owner)
        {
            account = owner
        }
        var code: [UInt8]?
        if let account, let prepared { code = cache.withLock { $0.code(account, prepared) } }
        // Where everybody's password may be there, names that nobody has are asked about too: it takes as long.
        let isExternal =
            prepared != nil && (coversAll || account != nil && subject.usable.contains { $0.scheme == .external })
        return Attempt(
            name: login, account: account, credentials: subject.usable, given: password, password: prepared, code: code,
            isExternal: isExternal, decoy: decoys.verifier(.sha256, for: name))
    }

    /// The credential that the password is good for. Derives at least once.
    private func verify(_ attempt: Attempt) -> CredentialRow? {
        let password = attempt.password ?? [0]
        var good: CredentialRow?
        var verified = 0
        for credential in attempt.credentials where verified < AuthenticationLimits.verifiersPerLoginMax && good == nil
        {
            switch credential.scheme {
            case .scram:
                let verifiers = ScramCredential.verifiers(credential.verifier)
                guard let verifier = verifiers.first(where: { $0.algorithm == .sha256 }) ?? verifiers.first else {
                    continue
                }
                verified += 1
                if verifier.verify(password: password) { good = credential }
            case .crypt:
                verified += 1
                // Other systems hash what the client sent.
                if CryptHash.verify(credential.verifier, password: attempt.given) { good = credential }
            case .external: continue
            }
        }
        if verified == 0 { _ = attempt.decoy.verify(password: password) }
        return attempt.account == nil ? nil : good
    }
}

// MARK: What a login leaves behind

extension PasswordAuthenticator {
    /// A hash of crypt(5) was good: the account gets verifiers of the same password, under which SCRAM works too. The
    /// credential stays the same one. Nobody waits for it; when it fails, the next login tries again.
    private func convert(_ row: CredentialRow, of account: AccountID, _ password: [UInt8]) {
        guard let text = String(validating: password, as: UTF8.self),
            let verifier = try? ScramCredential.make(text)
        else { return }
        submit(
            .setCredential(
                NewCredential(
                    label: row.label, scheme: .scram, scopes: row.scopes, expires: row.expires, verifier: verifier,
                    converts: row.id)),
            account, row.id)
    }

    /// At most one event for a credential and day (MailCore decides); what was read says whether there is one today.
    private func noteUse(of row: CredentialRow, _ account: AccountID) {
        if let last = row.lastUsed, last.days >= engine.clock().days { return }
        submit(.noteCredentialUse(id: row.id), account, row.id)
    }

    private func submit(_ command: AccountCommand, _ account: AccountID, _ credential: UInt32) {
        var isUse = false
        if case .noteCredentialUse = command { isUse = true }
        let key = UInt64(account.rawValue) << 33 | UInt64(credential) << 1 | (isUse ? 1 : 0)
        guard notes.withLock({ $0.count < AuthenticationLimits.notesMax && $0.insert(key).inserted }) else { return }
        let request = Request([Request.Item(account, command)], origin: Origin(actor: account))
        engine.submit(request) { [self] _ in _ = notes.withLock { $0.remove(key) } }
    }
}
