import MailTypes

/// A command that the handler performs, its arguments fully read. What the machine answers by itself is not among them:
/// CAPABILITY, LOGOUT, ID, ENABLE, NAMESPACE, STARTTLS and the exchange of AUTHENTICATE.
package enum IMAPCommand: Equatable, Sendable {
    /// Also CHECK (RFC 3501 section 6.4.1).
    case noop
    case select(SelectRequest)
    case create(MailboxName, uses: [SpecialUse])
    case delete(MailboxName)
    case rename(MailboxName, to: MailboxName)
    case subscribe(MailboxName)
    case unsubscribe(MailboxName)
    case list(ListRequest)
    case status(MailboxName, [StatusAttribute])
    case getQuota(root: String)
    case getQuotaRoot(MailboxName)
    case setQuota(root: String, [QuotaLimit])
    /// Leave the account; the session goes on without one (RFC 8437).
    case unauthenticate
    /// Expunge without a word, then leave the mailbox (RFC 9051 section 6.4.1).
    case close
    case unselect
    /// All that is `\Deleted`, or only what the set names (UID EXPUNGE, RFC 4315 section 2.1).
    case expunge(SequenceSet?)
    case search(SearchRequest)
    case sort(SortRequest)
    case thread(ThreadRequest)
    case fetch(FetchRequest)
    case store(StoreRequest)
    case copy(SequenceSet, MailboxName, isUID: Bool)
    case move(SequenceSet, MailboxName, isUID: Bool)
}

/// When a session may learn of others' changes (engine.md section 9.4): after which command the view catches up.
package enum IMAPSyncRule: Equatable, Sendable {
    /// No view, or none after it.
    case none
    /// New messages and flags may be told; EXPUNGE and VANISHED must wait (RFC 9051 section 7.5.1).
    case withoutExpunge
    /// Everything may be told.
    case full
}

extension IMAPCommand {
    /// By RFC 9051 section 7.5.1, RFC 7162 section 3.2.10 and RFC 5256 section 3: nothing goes away while a client's
    /// message numbers are in the air.
    package var syncRule: IMAPSyncRule {
        switch self {
        case .select, .close, .unselect, .unauthenticate: .none
        case .fetch(let request): request.isUID ? .full : .withoutExpunge
        case .store(let request): request.isUID ? .full : .withoutExpunge
        case .search(let request): request.isUID ? .full : .withoutExpunge
        case .sort(let request): request.isUID ? .full : .withoutExpunge
        case .thread(let request): request.isUID ? .full : .withoutExpunge
        default: .full
        }
    }

    /// It names messages by UID, so the view is first extended by what has come, that `n:*` may see it.
    package var isUIDCommand: Bool {
        switch self {
        case .fetch(let request): request.isUID
        case .store(let request): request.isUID
        case .search(let request): request.isUID
        case .sort(let request): request.isUID
        case .thread(let request): request.isUID
        case .copy(_, _, let isUID), .move(_, _, let isUID): isUID
        case .expunge(let set): set != nil
        default: false
        }
    }

    /// It is about the mailbox as it is now, not as the client last heard of it: UID commands (`n:*` means what has just
    /// come too), and EXPUNGE, which removes what anybody has marked.
    package var seesNews: Bool {
        if case .expunge = self { true } else { isUIDCommand }
    }

    /// A CONDSTORE enabling command (RFC 7162 section 3.1).
    package var enablesCondstore: Bool {
        switch self {
        case .select(let request): request.condstore || request.qresync != nil
        case .status(_, let attributes): attributes.contains(.highestModSeq)
        case .list(let request): request.status.contains(.highestModSeq)
        case .fetch(let request): request.changedSince != nil || request.attributes.contains(.modSeq)
        case .store(let request): request.unchangedSince != nil
        case .search(let request): request.key.usesModSeq
        case .sort(let request): request.key.usesModSeq
        case .thread(let request): request.key.usesModSeq
        default: false
        }
    }
}
