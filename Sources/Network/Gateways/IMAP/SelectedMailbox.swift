// The mailbox a session has selected: the engine's view of it and what only this session knows.
import EventStore
import IMAP
import MailCore
import MailEngine
import MailTypes
import Synchronization

struct SelectedMailbox {
    var view: MailboxView
    /// EXAMINE.
    let isReadOnly: Bool
    /// Messages that this session was the first to see (RFC 3501 section 2.3.2).
    var recent = UIDSet()
    /// What the last search saved (RFC 5182); messages that go leave it too.
    var saved = UIDSet()
    /// Keywords that FLAGS has told, as in `MessageRow.keywordBits`.
    var toldKeywords: UInt64 = 0
    let wake: Wake
    let subscription: Subscription

    /// The messages of a set that are in the view; nil when a sequence number is outside 1...EXISTS.
    func resolve(_ set: SequenceSet, isUID: Bool) -> UIDSet? {
        var uids = UIDSet()
        if isUID {
            uids = view.uids.intersection(set.uids(last: view.uids.last))
        } else {
            guard let ranges = set.sequenceNumbers(count: UInt32(view.uids.count)) else { return nil }
            for range in ranges { uids.formUnion(view.uids.uids(at: range)) }
        }
        return set.includesSaved ? uids.union(saved) : uids
    }

    /// By sequence numbers in a search, where those that are not there meet nothing.
    func resolveLeniently(_ set: SequenceSet) -> UIDSet {
        let count = UInt32(view.uids.count)
        var uids = set.includesSaved ? saved : UIDSet()
        for element in set.elements {
            let (a, b) = (element.first == 0 ? count : element.first, element.last == 0 ? count : element.last)
            uids.formUnion(view.uids.uids(at: min(a, b)...max(a, b)))
        }
        return uids
    }
}

/// Told by the engine's feed after each commit that touched the account, on the writer's thread and before the commit is
/// acknowledged: so whoever has heard of a change finds `isDirty` set.
final class Wake: Sendable {
    private let dirty = Atomic<Bool>(true)
    private let idling = Atomic<Bool>(false)
    /// None is known yet: above every end, so that nothing found before counts.
    private let head = Atomic<UInt64>(.max)
    private let signal: @Sendable () -> Void

    init(_ signal: @escaping @Sendable () -> Void) { self.signal = signal }

    /// - Parameter end: of the log, behind the commit.
    func note(_ end: Cursor) {
        head.store(end.rawValue, ordering: .sequentiallyConsistent)
        dirty.store(true, ordering: .sequentiallyConsistent)
        if idling.load(ordering: .sequentiallyConsistent) { signal() }
    }

    /// Whether there was a commit since the last call. To be called before the snapshot is taken.
    func takeDirty() -> Bool { dirty.exchange(false, ordering: .sequentiallyConsistent) }
    /// The end of the log behind the last commit that it was told of. To be asked after `takeDirty`.
    var lastCommit: Cursor { Cursor(head.load(ordering: .sequentiallyConsistent)) }
    func setDirty() { dirty.store(true, ordering: .sequentiallyConsistent) }

    /// From now on each commit also signals.
    func setIdling(_ isIdling: Bool) { idling.store(isIdling, ordering: .sequentiallyConsistent) }
}
