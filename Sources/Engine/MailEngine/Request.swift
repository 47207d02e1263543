// What gateways and administration hand to the engine, and what they get back.
import EventStore
import MailCore
import MailTypes

/// Commands decided in order inside one transaction, each with its own outcome, sharing bodies and cause.
package struct Request: Sendable {
    package struct Item: Sendable {
        package var account: AccountID
        package var command: AccountCommand
        /// Only when the item before was done; otherwise it is left out and has that item's outcome. A disk without room
        /// for it refuses the whole request.
        package var needsPrevious: Bool
        /// Only when the item before was tried and refused; otherwise it is left out and has that item's outcome.
        package var standsIn: Bool
        /// Names the command where it may come again, in another request perhaps, and is then not to be done twice.
        package var repeats: CommandID?
        package init(
            _ account: AccountID, _ command: AccountCommand, needsPrevious: Bool = false, standsIn: Bool = false,
            repeats: CommandID? = nil
        ) {
            self.account = account
            self.command = command
            self.needsPrevious = needsPrevious
            self.standsIn = standsIn
            self.repeats = repeats
        }
    }

    package var items: [Item]
    /// Commands name them by index. They become durable before the commit.
    package var bodies: [any BodySource]
    package var origin: Origin
    package var command: CommandID?
    /// The command may come again with the same `command` and is then answered without being done twice.
    package var retryable: Bool

    package init(
        _ items: [Item], bodies: [any BodySource] = [], origin: Origin, command: CommandID? = nil,
        retryable: Bool = false
    ) {
        self.items = items
        self.bodies = bodies
        self.origin = origin
        self.command = command
        self.retryable = retryable
    }

    /// Stands for the identifier that `createAccount` will get.
    package static let newAccount = AccountID(UInt32.max)

    /// Octets of bodies.
    var bodyOctets: Int { bodies.reduce(0) { $0 + $1.count } }
    /// Messages it may touch, for the fairness of batches.
    var touches: Int { items.reduce(0) { $0 + $1.command.touches } }
}

/// Why a request was not done, through no fault of its own but for `fault`.
package enum EngineFailure: Error, Equatable, Sendable {
    /// The queue is full. Try again.
    case busy
    /// The disk is full, or so nearly that only deletions are taken.
    case full
    /// A flush failed; no change is taken until the node is started again.
    case stopped(String)
    /// This command contradicts the state in a way that decide should have refused. It was left out.
    case fault(String)
    /// A body over the limit, in octets.
    case tooLarge(limit: Int)
}

package enum CommandOutcome: Sendable {
    /// Done and on stable storage; the account stands at that position.
    case done(CommandResult, at: ModSeq)
    case refused(Refusal)
    /// The same command was done before; the account stood at that position after it.
    case duplicate(of: ModSeq)
    case failed(EngineFailure)
}

/// Outcomes of a request that was handed in.
package struct PendingOutcomes: Sendable {
    private let answer = Monitor<[CommandOutcome]?>(nil)

    func arrived(_ outcomes: [CommandOutcome]) {
        answer.change {
            $0 = outcomes
            return true
        }
    }

    /// Until the request is done; never on an event loop.
    package func wait() -> [CommandOutcome] { answer.wait { $0 } }
}

extension Request.Item {
    /// Whether what became of the item before leaves this one out.
    func isLeftOut(after previous: CommandOutcome, wasLeftOut: Bool) -> Bool {
        if needsPrevious { return !previous.isDone }
        guard standsIn else { return false }
        if case .refused = previous { return wasLeftOut }
        return true
    }
}

extension AccountCommand {
    var touches: Int {
        switch self {
        case .append(let append): append.messages.count
        case .changeFlags(let change): change.uids.count
        case .expunge(let expunge): expunge.uids.count
        case .copy(let copy), .move(let copy): copy.uids.count
        case .restore(let restore): restore.uids.count
        case .collect(_, let uids): max(1, uids.count)
        default: 1
        }
    }

    /// Brings mail in, so it is refused first when the disk fills.
    var addsMail: Bool {
        switch self {
        case .append, .copy, .restore, .enqueue: true
        default: false
        }
    }

    /// What it changes of its account's standing.
    var standing: StandingChange.Kinds {
        switch self {
        case .createAccount: [.access, .addressAdded]
        case .setStatus, .setCredential, .revokeCredential: .access
        case .removeAccount: [.access, .addressRemoved]
        case .addAddress: .addressAdded
        case .removeAddress: .addressRemoved
        case .setSetting: .setting
        case .retryQueued, .releaseQueued: .retry
        default: []
        }
    }

    /// Leads to freed space, so it is taken to the last.
    var freesSpace: Bool {
        switch self {
        case .expunge, .collect, .deleteMailbox, .removeAccount, .removeFromQueue, .recordAttempt: true
        default: false
        }
    }

    /// The same command over at most `limit` messages at a time, where its protocol allows it to be done in parts:
    /// STORE, EXPUNGE and MOVE (RFC 6851 section 4.3), never COPY or APPEND.
    func parts(of limit: Int) -> [AccountCommand] {
        guard touches > limit else { return [self] }
        switch self {
        case .changeFlags(let change):
            return change.uids.chunks(of: limit).map {
                var part = change
                part.uids = $0
                return .changeFlags(part)
            }
        case .expunge(let expunge):
            return expunge.uids.chunks(of: limit).map {
                var part = expunge
                part.uids = $0
                return .expunge(part)
            }
        case .move(let move):
            return move.uids.chunks(of: limit).map {
                var part = move
                part.uids = $0
                return .move(part)
            }
        default:
            return [self]
        }
    }
}

extension CommandOutcome {
    var isDone: Bool {
        switch self {
        case .done, .duplicate: true
        case .refused, .failed: false
        }
    }

    /// The outcome of two parts of one command, done one after the other.
    func joined(with next: CommandOutcome) -> CommandOutcome {
        guard case .done(let first, _) = self, case .done(let second, let position) = next else {
            if case .done = self { return next }
            return self
        }
        switch (first, second) {
        case (.flags(let a, let b), .flags(let c, let d)):
            return .done(.flags(changed: a.union(c), modified: b.union(d)), at: position)
        case (.expunged(let a), .expunged(let b)):
            return .done(.expunged(a.union(b)), at: position)
        case (.copied(let validity, let a, let b), .copied(_, let c, let d)):
            return .done(.copied(validity, source: a.union(c), destination: b.union(d)), at: position)
        default:
            return next
        }
    }
}
