// A search as work in slices: which messages of the view meet a key.
//
// - What the UID map knows (all, UIDs and numbers, seen, deleted, recent) is set algebra over the whole mailbox: SEARCH
//   UNSEEN reads no row.
// - What is left is asked of each message, the cheap keys before the dear ones: rows, then headers, then bodies. Rows are
//   read a batch at a time; a message's octets only when a key gets that far.
// - Substrings are found as RFC 9051 section 6.4.4 says: in decoded text, without regard to case.
import EventStore
import IMAP
import MIME
import MailCore
import MailEngine
import MailTypes
import NIOCore
import Projections

final class SearchWork: SlicedWork {
    struct Found {
        var uids = UIDSet()
        /// The highest MODSEQ of what was found, where a key asked for it; and that of the first and the last.
        var highestModSeq: ModSeq?
        var firstModSeq: ModSeq?
        var lastModSeq: ModSeq?
    }

    private let account: AccountID
    private let mailbox: MailboxID
    private let condition: SearchCondition
    private let all: UIDSet
    private let now: Timestamp
    private let cache: MessageCache
    private let usesModSeq: Bool
    private let dearness: Int
    private let keywordIDs: [Keyword: KeywordID]

    private var rest = UIDSet()
    private var isNarrowed = false
    private var done = 0
    private var total = 0
    private(set) var found = Found()

    /// Nil when the charset is not known.
    init?(_ session: IMAPSession, _ mailbox: SelectedMailbox, _ key: SearchKey, charset: String?) {
        if let charset, !Charset.isKnown(Array(charset.utf8)) { return nil }
        guard let condition = SearchCondition(key.cheapFirst, mailbox, charset: charset ?? "UTF-8") else { return nil }
        account = mailbox.view.account
        self.mailbox = mailbox.view.mailbox
        self.condition = condition
        all = mailbox.view.uids.uids
        now = session.engine.clock()
        cache = session.cache
        usesModSeq = key.usesModSeq
        dearness = key.dearness
        keywordIDs = Dictionary(
            session.keywords.enumerated().map { ($1, KeywordID(UInt16($0))) }, uniquingKeysWith: { first, _ in first })
    }

    var progress: (done: Int, goal: Int)? { (done, total) }
    /// It reads at most rows.
    var isCheap: Bool { dearness <= SearchKey.rowDearness }

    func slice(_ context: inout SliceContext) throws -> Bool {
        if !isNarrowed {
            isNarrowed = true
            let (superset, isExact) = condition.narrow(all)
            if isExact, !usesModSeq {
                found.uids = superset
                return false
            }
            rest = superset
            total = superset.count
        }
        while let first = rest.first {
            let batch = try readBatch(context.engine, from: first)
            let known =
                dearness > SearchKey.rowDearness
                ? cache.known(account, batch.map(\.row.email)) : [PackedSummary?](repeating: nil, count: batch.count)
            for (index, item) in batch.enumerated() {
                let message = SearchedMessage(
                    account, item.uid, item.row, item.spilled, context.engine, cache, known: known[index])
                if try matches(condition, message) { take(item) }
                done += 1
                let isLast = index == batch.count - 1
                if dearness > 2 || dearness == 2 && done & 15 == 0 || done & 255 == 0 || isLast, context.isOver {
                    rest = rest.after(item.uid)
                    return !rest.isEmpty
                }
            }
            rest = batch.last.map { rest.after($0.uid) } ?? UIDSet()
        }
        return false
    }

    private func take(_ item: (uid: UID, row: MessageRow, spilled: [KeywordID])) {
        found.uids.insertAtEnd(item.uid)
        guard usesModSeq else { return }
        found.highestModSeq = max(found.highestModSeq ?? .zero, item.row.modSeq)
        found.firstModSeq = found.firstModSeq ?? item.row.modSeq
        found.lastModSeq = item.row.modSeq
    }

    private func readBatch(
        _ engine: MailEngine, from first: UID
    ) throws -> [(uid: UID, row: MessageRow, spilled: [KeywordID])] {
        let limit =
            switch dearness {
            case ...SearchKey.rowDearness: GatewayLimits.imapRowBatchMessages
            case 2: GatewayLimits.imapSortBatchMessages
            default: GatewayLimits.imapBodyBatchMessages
            }
        var batch: [(uid: UID, row: MessageRow, spilled: [KeywordID])] = []
        batch.reserveCapacity(limit)
        try engine.read { state in
            try state.messages(account, mailbox, in: rest, from: first) { uid, row in
                batch.append((uid, row, []))
                return batch.count < limit
            }
            for index in batch.indices where batch[index].row.keywordBits & MessageRow.spillBit != 0 {
                batch[index].spilled = try state.spilledKeywords(account, mailbox, batch[index].uid)
            }
        }
        return batch
    }

    // MARK: One message

    private func matches(_ condition: SearchCondition, _ message: SearchedMessage) throws -> Bool {
        switch condition {
        case .set(let uids): return uids.contains(message.uid)
        case .and(let conditions):
            for condition in conditions where try !matches(condition, message) { return false }
            return true
        case .or(let a, let b): return try matches(a, message) || matches(b, message)
        case .not(let condition): return try !matches(condition, message)
        case .row(let key): return matches(key, message)
        case .text(let text): return try text.matches(message)
        }
    }

    /// A key that the row answers.
    private func matches(_ key: SearchKey, _ message: SearchedMessage) -> Bool {
        let row = message.row
        switch key {
        case .flag(let flags): return row.flags.isSuperset(of: flags)
        case .keyword(let keyword): return message.has(keywordIDs[keyword])
        case .before(let day): return row.internalDate.day < day
        case .on(let day): return row.internalDate.day == day
        case .since(let day): return row.internalDate.day >= day
        case .larger(let octets): return UInt64(row.size) > octets
        case .smaller(let octets): return UInt64(row.size) < octets
        case .modSeq(let modSeq): return row.modSeq.rawValue >= modSeq
        case .older(let seconds): return row.internalDate.time.rawValue <= now.rawValue - Int64(seconds) * 1000
        case .younger(let seconds): return row.internalDate.time.rawValue >= now.rawValue - Int64(seconds) * 1000
        case .savedBefore(let day): return message.savedDay < day
        case .savedOn(let day): return message.savedDay == day
        case .savedSince(let day): return message.savedDay >= day
        case .saveDateSupported: return row.saved != nil
        case .emailID(let name): return ObjectName.email(name, in: account) == row.email
        default: return false
        }
    }
}

/// A message that is searched, read no further than the keys need.
final class SearchedMessage {
    let account: AccountID
    let uid: UID
    let row: MessageRow
    private let spilled: [KeywordID]
    private let engine: MailEngine
    private let cache: MessageCache
    private var opened: (any BodyHandle)??
    private var known: PackedSummary?

    init(
        _ account: AccountID, _ uid: UID, _ row: MessageRow, _ spilled: [KeywordID], _ engine: MailEngine,
        _ cache: MessageCache, known: PackedSummary?
    ) {
        self.account = account
        self.uid = uid
        self.row = row
        self.spilled = spilled
        self.engine = engine
        self.cache = cache
        self.known = known
    }

    func has(_ keyword: KeywordID?) -> Bool {
        guard let keyword else { return false }
        guard keyword.rawValue >= MessageRow.inlineKeywordsMax else {
            return row.keywordBits >> UInt64(keyword.rawValue) & 1 == 1
        }
        return spilled.contains(keyword)
    }

    /// Nil when it has been erased.
    var body: (any BodyHandle)? {
        get throws {
            if let opened { return opened }
            let handle: (any BodyHandle)?
            do {
                handle = try engine.openKnownBody(row.blob)
            } catch is BodyGone {
                handle = nil
            }
            opened = .some(handle)
            return handle
        }
    }

    var summary: PackedSummary? {
        get throws {
            if let known { return known }
            guard let body = try body else { return nil }
            known = try cache.read(account, row.email, body)
            return known
        }
    }

    /// RFC 8514 section 4.3: the internal date stands in for a save date that is not known.
    var savedDay: CalendarDay { (row.saved.map { InternalDate(time: $0, zoneMinutes: 0) } ?? row.internalDate).day }
}

/// A key with what the view answers resolved to sets.
private indirect enum SearchCondition {
    case set(UIDSet)
    case and([SearchCondition])
    case or(SearchCondition, SearchCondition)
    case not(SearchCondition)
    case row(SearchKey)
    case text(TextCondition)

    init?(_ key: SearchKey, _ mailbox: SelectedMailbox, charset: String) {
        switch key {
        case .all: self = .set(mailbox.view.uids.uids)
        case .sequence(let set): self = .set(mailbox.resolveLeniently(set))
        case .uid(let set): self = .set(mailbox.resolve(set, isUID: true) ?? UIDSet())
        case .recent: self = .set(mailbox.recent)
        case .flag(.seen): self = .set(mailbox.view.uids.seen)
        case .flag(.deleted): self = .set(mailbox.view.uids.deleted)
        case .and(let keys):
            var conditions: [SearchCondition] = []
            for key in keys {
                guard let condition = SearchCondition(key, mailbox, charset: charset) else { return nil }
                conditions.append(condition)
            }
            self = .and(conditions)
        case .or(let a, let b):
            guard let a = SearchCondition(a, mailbox, charset: charset),
                let b = SearchCondition(b, mailbox, charset: charset)
            else { return nil }
            self = .or(a, b)
        case .not(let key):
            guard let condition = SearchCondition(key, mailbox, charset: charset) else { return nil }
            self = .not(condition)
        case _ where key.dearness > SearchKey.rowDearness:
            guard let text = TextCondition(key, charset: charset) else { return nil }
            self = .text(text)
        default: self = .row(key)
        }
    }

    /// Messages among which all that meet it are, and whether they are just those.
    func narrow(_ among: UIDSet) -> (UIDSet, isExact: Bool) {
        switch self {
        case .set(let set): return (among.intersection(set), true)
        case .and(let conditions):
            var result = (among, isExact: true)
            for condition in conditions {
                let (set, isExact) = condition.narrow(result.0)
                result = (set, result.isExact && isExact)
            }
            return result
        case .or(let a, let b):
            let (left, isLeftExact) = a.narrow(among)
            let (right, isRightExact) = b.narrow(among)
            return (left.union(right), isLeftExact && isRightExact)
        case .not(let condition):
            let (set, isExact) = condition.narrow(among)
            return isExact ? (among.subtracting(set), true) : (among, false)
        case .row, .text: return (among, false)
        }
    }
}

extension SearchKey {
    /// What a row answers.
    static let rowDearness = 1

    /// How much a message must be read to answer it: 0 nothing, 1 its row, 2 its header, 3 all of it.
    var dearness: Int {
        switch self {
        case .all, .sequence, .uid, .recent: 0
        case .and(let keys): keys.map(\.dearness).max() ?? 0
        case .or(let a, let b): Swift.max(a.dearness, b.dearness)
        case .not(let key): key.dearness
        case .header, .sentBefore, .sentOn, .sentSince: 2
        case .body, .text: 3
        default: Self.rowDearness
        }
    }

    /// The same key, with cheap conditions before dear ones.
    var cheapFirst: SearchKey {
        switch self {
        case .and(let keys):
            .and(
                keys.map(\.cheapFirst).enumerated().sorted { a, b in
                    (a.element.dearness, a.offset) < (b.element.dearness, b.offset)
                }.map(\.element))
        case .or(let a, let b):
            a.dearness <= b.dearness ? .or(a.cheapFirst, b.cheapFirst) : .or(b.cheapFirst, a.cheapFirst)
        case .not(let key): .not(key.cheapFirst)
        default: self
        }
    }
}

extension InternalDate {
    /// The day in the zone it was given in (RFC 9051 section 6.4.4 disregards time and zone).
    var day: CalendarDay {
        let seconds = time.seconds + Int64(zoneMinutes) * 60
        return CalendarDay(
            daysSince1970: Int32(clamping: seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400))
    }
}

extension UIDSet {
    /// What is above a UID.
    func after(_ uid: UID) -> UIDSet {
        uid.rawValue == .max ? UIDSet() : intersection(UIDSet(UID(uid.rawValue + 1)...UID(.max)))
    }
}
