import NIOCore
import NIOPosix
import Synchronization

/// Passwords that somebody else keeps. Asking takes as long as that somebody likes, so it has threads of its own: those
/// that derive keys do not wait for it.
package final class ExternalPasswords: Sendable {
    /// Whose passwords these are.
    package enum Coverage: String, CaseIterable, Sendable {
        /// Of accounts that have a credential that says so.
        case marked
        /// Of every account beside its own credentials.
        case all
    }

    let coverage: Coverage
    private let client: SaslauthdClient
    private let trouble: TroubleReport
    private let threads: NIOThreadPool
    private let pending = Atomic<Int>(0)

    /// - Parameter report: gets why saslauthd could not be asked, for the log, once a minute at most.
    package init(
        _ client: SaslauthdClient, coverage: Coverage, report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.client = client
        trouble = TroubleReport(report)
        self.coverage = coverage
        threads = NIOThreadPool(numberOfThreads: AuthenticationLimits.externalThreads)
        threads.start()
    }

    /// `completion` is called once, on a thread of this pool or on the caller's.
    func check(
        _ name: LoginName?, password: [UInt8], service: String,
        completion: @escaping @Sendable (SaslauthdClient.Verdict) -> Void
    ) {
        guard pending.add(1, ordering: .relaxed).newValue <= AuthenticationLimits.externalPendingMax else {
            pending.subtract(1, ordering: .relaxed)
            trouble.tell("\(AuthenticationLimits.externalPendingMax) logins wait for it")
            return completion(.unavailable)
        }
        let end = NIODeadline.now() + .seconds(Int64(client.secondsMax))
        threads.submit { [self] state in
            defer { pending.subtract(1, ordering: .relaxed) }
            // All threads hang: who has waited for one as long as for an answer does not wait for both.
            guard NIODeadline.now() < end else { return completion(.unavailable) }
            guard state == .active, let name else { return completion(name == nil ? .bad : .unavailable) }
            let verdict = client.check(
                login: name.address.localPart, password: password, service: service, realm: name.address.domain)
            if verdict == .unavailable {
                trouble.tell("\(client.path) gives no good answer within \(client.secondsMax) s")
            }
            completion(verdict)
        }
    }

    func shutDown() { threads.shutdownGracefully { _ in } }
}
