// STORE and UID STORE (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3).
//
// The sync point after it tells the flags of all that was named, or only MODSEQ where the client asked for silence, and
// others' changes whole: its own positions are left out of those (engine.md correction C8).
import IMAP
import MailCore
import MailEngine
import MailTypes

extension IMAPSession {
    func store(_ request: StoreRequest) {
        guard let mailbox = selected else { return finish(.bad("No mailbox is selected")) }
        guard !mailbox.isReadOnly else { return finish(.no("The mailbox is open for reading", code: .readOnly)) }
        guard let uids = mailbox.resolve(request.set, isUID: request.isUID) else {
            return finish(.bad("There is no such message"))
        }
        let command = ChangeFlags(
            mailbox: mailbox.view.mailbox, uids: uids, operation: request.operation.operation,
            flags: request.flags.system, keywords: request.flags.keywords,
            unchangedSince: request.unchangedSince.map { ModSeq($0) })
        guard !uids.isEmpty else { return finish(.ok("Done")) }
        change(.changeFlags(command)) { [self] outcome in
            guard case .done(.flags(_, let modified), _) = outcome else { return finish(refusal(outcome)) }
            let named = uids.subtracting(modified)
            stored = StoredFlags(uids: named, isSilent: request.isSilent)
            guard request.unchangedSince != nil, !modified.isEmpty, let mailbox = selected else {
                // RFC 2180 section 4.2.1: some are gone, and the client has not heard yet.
                let gone = mailbox.view.pendingGone.intersection(uids)
                return finish(gone.isEmpty ? .ok("Done") : .no("Some messages are gone", code: .expungeIssued))
            }
            let numbers =
                request.isUID ? modified.ranges : mailbox.view.uids.sequenceNumbers(of: modified)
            finish(.ok("Some were changed meanwhile", code: .modified(numbers)))
        }
    }
}

/// What the sync point after STORE tells of the messages that were named.
struct StoredFlags {
    var uids: UIDSet
    /// Only MODSEQ, and only to those who asked for it.
    var isSilent: Bool
}

extension StoreRequest.Operation {
    var operation: FlagOperation {
        switch self {
        case .replace: .replace
        case .add: .add
        case .remove: .remove
        }
    }
}

extension UIDSet {
    var ranges: [ClosedRange<UInt32>] { runs }
}
