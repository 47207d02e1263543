// What the engine refuses, as replies: the one table (RFC 5530, RFC 9051 section 7.1, RFC 9208 section 4.3.1).
import IMAP
import MailCore
import MailEngine
import MailTypes

extension IMAPSession {
    /// The reply to a change that was not done.
    func refusal(_ outcome: CommandOutcome, creatable: Bool = false) -> IMAPOutcome {
        switch outcome {
        case .done, .duplicate: return .ok("Done")
        case .refused(let refusal): return Self.reply(to: refusal, creatable: creatable)
        case .failed(let failure):
            connection.counters.reject(failure == .full ? .storageFull : .temporary)
            connection.log.warning("a change was not done", metadata: ["why": "\(failure)"])
            return Self.reply(to: failure)
        }
    }

    static func reply(to failure: EngineFailure) -> IMAPOutcome {
        switch failure {
        case .busy: .no("Too much is waiting, try again", code: .inUse)
        case .full: .no("The disk is full", code: .limit)
        case .stopped: .no("No changes are taken now", code: .unavailable)
        case .fault: .no("This change could not be made", code: .serverBug)
        case .tooLarge(let limit): .no("The message is over \(limit) octets", code: .tooBig)
        }
    }

    /// - Parameter creatable: the mailbox that is missing is one a client could create (response code TRYCREATE).
    private static func reply(to refusal: Refusal, creatable: Bool) -> IMAPOutcome {
        switch refusal {
        case .noSuchMailbox:
            .no("There is no such mailbox", code: creatable ? .tryCreate : .nonExistent)
        case .mailboxExists: .no("There is a mailbox of that name", code: .alreadyExists)
        case .invalidName(let rule): .no("Not a name for a mailbox: \(rule)", code: .cannot)
        case .hasChildren: .no("There are mailboxes below it", code: .hasChildren)
        case .inbox: .no("INBOX stays", code: .cannot)
        case .specialUseTaken: .no("Another mailbox has that use", code: .useAttr)
        case .overQuota: .no("The quota is used up", code: .overQuota)
        case .tooManyKeywords: .no("Too many keywords", code: .limit)
        case .limit(let which): .no("Over the limit: \(which)", code: .limit)
        case .noSuchMessage: .no("The message is gone", code: .expungeIssued)
        case .uidsExhausted: .no("This mailbox has no numbers left", code: .limit)
        case .accountDisabled, .accountRemoved, .noSuchAccount:
            .no("The account takes no mail", code: .noPerm)
        case .uidNotAscending, .uidValidityNotAscending, .addressTaken, .noSuchAddress, .primaryAddress,
            .noSuchCredential, .noSuchQueueEntry, .notRestorable:
            .no("Not possible", code: .cannot)
        }
    }
}
