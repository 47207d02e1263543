// Who vouches for a message that comes from elsewhere: SPF while its body still arrives, DKIM and DMARC when it is whole.
//
// Nothing here runs on an event loop, and nothing waits for longer than the site says: a check that is over answers
// "temporary error", which refuses nothing, and asks no more. What a slow name server still owes holds one question of one
// task, and tasks have a limit (`checksMax`), above which a message is not checked but taken all the same.
import EventStore
import MailTypes
import MessageAuthentication
import NIOCore
import Synchronization

/// What becomes of the checks.
package enum CheckPolicy: String, CaseIterable, Sendable {
    /// Nothing is asked and nothing recorded; headers stay as they come.
    case off
    /// Results go into Authentication-Results.
    case record
    /// And a message is refused when its author's domain asks for that (DMARC with p=reject).
    case enforce
}

/// How mail from elsewhere is checked.
package struct InboundCheckOptions: Sendable {
    package var policy = CheckPolicy.off
    /// The DNS; without it nothing is checked.
    package var names: (any MailNames)?
    /// How long the answer to a message may wait for the DNS after its last octet.
    package var waitMax = TimeAmount.seconds(20)
    /// Whose mail is not checked: relays of this site. This machine's is not either.
    package var trusted = TrustedPeers()

    package init() {}
}

/// The checks of one message.
final class InboundCheck: Sendable {
    private let names: EndingNames
    private let spf: Task<SPFVerdict, Never>
    private let question: SPFQuestion
    private let known: SPFBox

    /// Begins with SPF.
    ///
    /// - Parameter open: counts checks whose tasks have not ended.
    init(_ question: SPFQuestion, _ names: any MailNames, open: Counter) {
        let names = EndingNames(names, open)
        if open.current > GatewayLimits.checksMax { names.end() }
        let known = SPFBox()
        self.names = names
        self.question = question
        self.known = known
        spf = Task {
            let verdict = await question.verdict(names)
            known.set(verdict)
            return verdict
        }
    }

    /// Hands the verdict to `done`, once, from any thread.
    ///
    /// - Parameter timer: calls what it is given when no more time is left, unless it is cancelled.
    func judge(
        _ message: InspectedMessage, timer: (@escaping @Sendable () -> Void) -> Scheduled<Void>,
        _ done: @escaping @Sendable (MessageVerdict) -> Void
    ) {
        let isDone = Flag()
        let timeout = timer { [self] in
            guard isDone.set() else { return }
            names.end()
            let spf = known.verdict ?? question.unanswered(.temperror, reason: MessageVerdict.timeout)
            done(MessageVerdict.timedOut(message, spf: spf))
        }
        Task { [names, spf] in
            let verdict = await message.verdict(spf: await spf.value, names)
            guard isDone.set() else { return }
            timeout.cancel()
            done(verdict)
        }
    }

    /// The message is not wanted any more.
    func abandon() { names.end() }
}

private final class SPFBox: Sendable {
    private let value = Mutex<SPFVerdict?>(nil)
    var verdict: SPFVerdict? { value.withLock { $0 } }
    func set(_ verdict: SPFVerdict) { value.withLock { $0 = verdict } }
}

/// Names until the end is called; after it every question fails at once.
private final class EndingNames: MailNames {
    private let names: any MailNames
    private let isOver = Atomic<Bool>(false)
    private let open: Counter

    init(_ names: any MailNames, _ open: Counter) {
        self.names = names
        self.open = open
        open.add()
    }

    // The last task that may ask has gone.
    deinit { open.add(-1) }

    func end() { isOver.store(true, ordering: .relaxed) }

    private var isOpen: Bool { !isOver.load(ordering: .relaxed) }

    func texts(of name: String) async -> NameAnswer<[UInt8]> { isOpen ? await names.texts(of: name) : .failed }
    func addresses(of name: String, isV6: Bool) async -> NameAnswer<IPAddress> {
        isOpen ? await names.addresses(of: name, isV6: isV6) : .failed
    }
    func exchangers(of name: String) async -> NameAnswer<String> {
        isOpen ? await names.exchangers(of: name) : .failed
    }
    func pointers(of address: IPAddress) async -> NameAnswer<String> {
        isOpen ? await names.pointers(of: address) : .failed
    }
}
