import EventStore
import MailCore
import MailEngine

/// How a command ended, as a process says it.
package enum ExitStatus: Int32, Codable, Sendable {
    case done = 0
    /// The thing asked failed.
    case failed = 1
    /// Wrong usage.
    case usage = 2
    /// Nothing is wrong with what was asked; try again later (EX_TEMPFAIL of sysexits.h).
    case tryAgain = 75
}

/// Why an administrative command was not done: one line for a person, and the code of the process.
package struct AdministrationFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package var status: ExitStatus
    package var text: String
    package var description: String { text }

    package init(_ text: String, _ status: ExitStatus = .failed) {
        self.text = text
        self.status = status
    }

    /// The one place where errors of the rooms below become words and codes.
    package init(_ error: any Error) {
        switch error {
        case let error as AdministrationFailure: self = error
        case let error as StoreError: self.init(store: error)
        case let error as EngineFailure: self.init(engine: error)
        case let error as StateFault: self.init(state: error)
        case let error as Refusal: self.init(error.text)
        default: self.init("\(error)")
        }
    }

    private init(store error: StoreError) {
        switch error {
        case .owned(let text): self.init("the store is in use: \(text)", .tryAgain)
        case .incompatible(let text): self.init("the store cannot be opened: \(text)")
        case .damaged(let text): self.init("the store is damaged: \(text)")
        case .full: self.init("the disk is full", .tryAgain)
        case .failed(let text): self.init("the store failed: \(text)")
        case .unusable(let text): self.init(text)
        }
    }

    private init(engine failure: EngineFailure) {
        switch failure {
        case .busy: self.init("the queue of changes is full", .tryAgain)
        case .full: self.init("the disk is full, or nearly", .tryAgain)
        case .stopped(let text): self.init("no changes are taken: \(text)")
        case .fault(let text): self.init("a defect: the change contradicts the state: \(text)")
        case .tooLarge(let limit): self.init("the message is larger than \(limit) octets")
        }
    }

    private init(state fault: StateFault) {
        switch fault {
        case .corrupt(let text), .inconsistent(let text): self.init("the store is damaged: \(text)")
        case .storage(let text): self.init("the store could not be read: \(text)")
        case .full: self.init("the disk is full", .tryAgain)
        }
    }
}

extension Refusal {
    /// The refusal in words for an administrator.
    package var text: String {
        switch self {
        case .noSuchAccount: "there is no such account"
        case .accountDisabled: "the account is disabled"
        case .accountRemoved: "the account has been removed"
        case .addressTaken(let address): "\(address) belongs to an account already"
        case .noSuchAddress: "the account has no such address"
        case .primaryAddress: "that is the account's own address, which stays with it"
        case .noSuchCredential: "there is no such credential"
        case .noSuchMailbox: "there is no such mailbox"
        case .mailboxExists: "the mailbox exists already"
        case .invalidName(let rule): "not a name for a mailbox: \(rule)"
        case .hasChildren: "the mailbox has others under it; delete or rename those first"
        case .inbox: "INBOX cannot be deleted or renamed"
        case .specialUseTaken: "another mailbox of the account has that special use"
        case .overQuota: "the account is over its quota"
        case .tooManyKeywords: "more keywords than a message or an account may have"
        case .uidNotAscending: "the UID is not above those in use"
        case .uidValidityNotAscending: "the UIDVALIDITY is not above those in use"
        case .uidsExhausted: "the mailbox has no UIDs left"
        case .limit(let text): text
        case .noSuchQueueEntry: "there is no such entry in the queue"
        case .noSuchMessage: "no such message"
        case .notRestorable(let uids): "cannot be restored: UID \(uids)"
        }
    }
}
