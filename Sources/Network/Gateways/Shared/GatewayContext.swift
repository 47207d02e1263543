import Authentication
import Logging
import MailEngine
import MailTypes
import NIOCore
import NIOPosix
import Synchronization

/// What every session of every protocol uses.
final class GatewayContext: Sendable {
    let engine: MailEngine
    let options: GatewayOptions
    let log: Logger
    let authenticator: PasswordAuthenticator
    let sasl: SASLServer
    let counters = GatewayCounters()
    let registry: ConnectionRegistry
    let notices: Notices
    let rates = SendingRates()
    private let sendingNow: Mutex<SendingOptions>
    private let miltersNow: Mutex<[MilterOptions]>
    /// The domains of our accounts' addresses.
    let domains: LocalDomains
    /// Read and write the files of large messages, and large maildrops.
    let fileThreads: NIOThreadPool
    /// Read what IMAP sessions ask for, in slices. They are others than those for files, so that a slow disk under large
    /// messages does not hold up listings.
    let readThreads: NIOThreadPool
    /// Takes the steps of SORT and THREAD that go over everything at once: one large one after the other.
    let orderThreads: NIOThreadPool
    let signingKeys: SigningKeys
    /// Checks of messages from elsewhere that have not ended.
    let openChecks = Counter()
    /// Connections to filters.
    let openMilters = Counter()
    /// Questions to the engine or a thread that are not answered yet.
    let unanswered = Counter()
    private let hops: [ObjectIdentifier: CompletionHop]
    private let admission = Mutex(AdmissionCache())
    /// Of the engine's news about accounts, while sessions can be here.
    private let watch = Mutex<Subscription?>(nil)

    init(engine: MailEngine, options: GatewayOptions, log: Logger, group: any EventLoopGroup) {
        self.engine = engine
        self.options = options
        sendingNow = Mutex(options.sending)
        miltersNow = Mutex(options.milters)
        self.log = log
        notices = Notices(log)
        domains = LocalDomains(engine)
        signingKeys = SigningKeys(engine)
        authenticator = PasswordAuthenticator(
            engine: engine, defaultDomain: options.defaultDomain, options: options.authentication,
            key: options.loginKey, external: options.externalPasswords)
        sasl = SASLServer(authenticator: authenticator, hostName: options.hostName, tokens: options.tokens)
        registry = ConnectionRegistry(
            ConnectionRegistry.Limits(
                connectionsMax: options.connectionsMax, perNeighbourhoodMax: options.connectionsPerAddressMax,
                perDistrictMax: options.connectionsPerNetworkMax, perAccountMax: options.sessionsPerAccountMax))
        fileThreads = NIOThreadPool(numberOfThreads: options.fileThreads)
        fileThreads.start()
        readThreads = NIOThreadPool(numberOfThreads: options.readThreads)
        readThreads.start()
        orderThreads = NIOThreadPool(numberOfThreads: 1)
        orderThreads.start()
        hops = Dictionary(
            uniqueKeysWithValues: group.makeIterator().map { (ObjectIdentifier($0), CompletionHop($0)) })
    }

    /// Follows changes of accounts from now on: ends sessions when what let them in is gone, and keeps the domains.
    func watchAccounts() {
        let subscription = engine.subscribeStandings { [weak self] changes in
            self?.fileThreads.submit { [weak self] state in
                guard state == .active, let self else { return }
                let accounts = changes.filter { $0.kinds.contains(.access) }.map(\.account)
                endSessions(of: accounts)
                forget(accounts)
                do {
                    try domains.follow(changes)
                } catch {
                    log.error("the domains cannot be read", metadata: ["error": "\(error)"])
                }
            }
        }
        watch.withLock { $0 = subscription }
    }

    /// What people who have logged in may send, as it is now; the options have how it began.
    var sending: SendingOptions { sendingNow.withLock { $0 } }

    /// From the next command on; what a queue makes possible is offered, or no longer, to sessions that begin.
    func replace(_ sending: SendingOptions) { sendingNow.withLock { $0 = sending } }

    /// The filters of sessions that begin now; the options have those of the start.
    var milters: [MilterOptions] { miltersNow.withLock { $0 } }

    /// For the sessions that begin from now on.
    func replace(_ milters: [MilterOptions]) { miltersNow.withLock { $0 = milters } }

    /// Who receives for an address.
    var directory: RecipientDirectory {
        RecipientDirectory(
            engine: engine, defaultDomain: options.defaultDomain,
            isLocalDomain: { [options, domains] in options.isLocalDomain($0) || domains.contains($0) },
            detail: options.detail)
    }

    /// What the parse cache knows of mail whose account is removed goes with it.
    private func forget(_ accounts: [AccountID]) {
        do {
            let removed = try engine.read { state in
                try accounts.filter { try state.head($0)?.status == .removed }
            }
            for account in removed { options.cache.remove(account) }
        } catch {
            log.error("the accounts cannot be read", metadata: ["error": "\(error)"])
        }
    }

    func stopWatching() { watch.withLock { $0 = nil } }

    /// - Precondition: the loop is of the group that this was made with.
    func hop(to eventLoop: any EventLoop) -> CompletionHop {
        guard let hop = hops[ObjectIdentifier(eventLoop)] else { preconditionFailure("a loop of another group") }
        return hop
    }

    /// Whether the engine can take a message now.
    func admits() -> Admission {
        admission.withLock { $0.look(engine) }
    }
}

/// Whether mail can be taken.
enum Admission: Sendable {
    case open, queueFull, stopped
}

/// The engine's figures, read anew when they are old: a look costs several locks, and a message needs only a hint.
private struct AdmissionCache {
    private var looked: NIODeadline?
    private var admission = Admission.open

    mutating func look(_ engine: MailEngine) -> Admission {
        let now = NIODeadline.now()
        if let looked, now - looked < GatewayLimits.admissionAgeMax { return admission }
        looked = now
        let statistics = engine.statistics
        if statistics.stopped != nil {
            admission = .stopped
        } else if statistics.queueRequests >= engine.options.queueRequestsMax
            || statistics.queueOctets >= engine.options.queueOctetsMax
        {
            admission = .queueFull
        } else {
            admission = .open
        }
        return admission
    }
}
