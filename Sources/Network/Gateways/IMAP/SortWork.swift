// SORT and THREAD as work in slices: a search, then what the answer is ordered by, gathered message by message; the
// ordering itself is one step at the end, which no other session waits for (`isUncut`).
//
// What is gathered grows with what was found, so it has a limit (`GatewayLimits.imapSortOctetsMax`): a search that finds more is
// refused, not half sorted.
import EventStore
import IMAP
import MIME
import MailCore
import MailEngine
import MailTypes
import Projections

/// More was found than can be ordered in memory.
struct SortTooLarge: Error {}

/// Reads what was found, one message after the other.
class GatherWork: SlicedWork {
    let search: SearchWork
    private let account: AccountID
    private let mailbox: MailboxID
    private let cache: MessageCache
    private var isSearching = true
    /// All is gathered, and it is much.
    private(set) var isUncut = false
    private var rest = UIDSet()
    private var done = 0
    private var octets = 0
    private let octetsMax: Int

    init(_ session: IMAPSession, _ mailbox: SelectedMailbox, _ search: SearchWork) {
        self.search = search
        account = mailbox.view.account
        self.mailbox = mailbox.view.mailbox
        cache = session.cache
        octetsMax = session.connection.gateway.options.imapSortOctetsMax
    }

    var progress: (done: Int, goal: Int)? {
        isSearching ? search.progress : (done, search.found.uids.count)
    }

    func slice(_ context: inout SliceContext) throws -> Bool {
        if isSearching {
            if try search.slice(&context) { return true }
            isSearching = false
            rest = search.found.uids
        }
        if isUncut {
            order()
            return false
        }
        while let first = rest.first {
            var batch: [(UID, MessageRow)] = []
            try context.engine.read { state in
                try state.messages(account, mailbox, in: rest, from: first) { uid, row in
                    batch.append((uid, row))
                    return batch.count < GatewayLimits.imapSortBatchMessages
                }
            }
            guard let last = batch.last?.0 else { break }
            let known = cache.known(account, batch.map(\.1.email))
            for ((uid, row), known) in zip(batch, known) {
                octets += try gather(SearchedMessage(account, uid, row, [], context.engine, cache, known: known))
                done += 1
            }
            guard octets <= octetsMax else { throw SortTooLarge() }
            rest = rest.after(last)
            if context.isOver, !rest.isEmpty { return true }
        }
        isUncut = done > GatewayLimits.imapInlineOrderMax
        if isUncut { return true }
        order()
        return false
    }

    /// Keeps what is needed of a message; answers how many octets that are.
    func gather(_ message: SearchedMessage) throws -> Int { 0 }
    /// All has been gathered.
    func order() {}
}

/// SORT (RFC 5256 section 3, RFC 5957).
final class SortWork: GatherWork {
    private enum Value {
        case number(Int64)
        case text([UInt8])
    }

    private struct Entry {
        let uid: UID
        let modSeq: ModSeq
        let values: [Value]
    }

    private let criteria: [SortCriterion]
    private let needsSummary: Bool
    private var entries: [Entry] = []
    /// What was found, in its order.
    private(set) var uids: [UID] = []
    private var ends: (first: ModSeq?, last: ModSeq?)

    /// What was found, its first and its last by the order.
    var found: SearchWork.Found {
        var found = search.found
        (found.firstModSeq, found.lastModSeq) = ends
        return found
    }

    init(_ session: IMAPSession, _ mailbox: SelectedMailbox, _ search: SearchWork, _ criteria: [SortCriterion]) {
        self.criteria = criteria
        needsSummary = criteria.contains { $0.key != .arrival && $0.key != .size }
        super.init(session, mailbox, search)
    }

    override func gather(_ message: SearchedMessage) throws -> Int {
        let packed = needsSummary ? try message.summary : nil
        let values = criteria.map { Self.value($0.key, message.row, packed) }
        entries.append(Entry(uid: message.uid, modSeq: message.row.modSeq, values: values))
        return values.reduce(40) { sum, value in
            if case .text(let text) = value { sum + text.count + 48 } else { sum + 16 }
        }
    }

    private static func value(_ key: SortCriterion.Key, _ row: MessageRow, _ packed: PackedSummary?) -> Value {
        func text(_ body: (UnsafeRawBufferPointer) -> [UInt8]) -> Value {
            .text(packed.map { $0.withEnvelope(body) } ?? [])
        }
        switch key {
        case .arrival: return .number(row.internalDate.time.rawValue)
        case .size: return .number(Int64(row.size))
        case .date: return .number((packed?.sentDate ?? row.internalDate).time.rawValue)
        case .subject: return text { SortKeys.subject(of: $0).key }
        case .from: return text { SortKeys.mailbox(.from, of: $0) }
        case .to: return text { SortKeys.mailbox(.to, of: $0) }
        case .cc: return text { SortKeys.mailbox(.cc, of: $0) }
        case .displayFrom: return text { SortKeys.display(.from, of: $0) }
        case .displayTo: return text { SortKeys.display(.to, of: $0) }
        }
    }

    override func order() {
        entries.sort { a, b in
            for (index, criterion) in criteria.enumerated() {
                let (first, second) =
                    criterion.isReverse ? (b.values[index], a.values[index]) : (a.values[index], b.values[index])
                switch (first, second) {
                case (.number(let x), .number(let y)) where x != y: return x < y
                case (.text(let x), .text(let y)) where x != y: return x.precedes(y)
                default: continue
                }
            }
            // RFC 5256 section 3: at last by number, whatever is reversed.
            return a.uid < b.uid
        }
        uids = entries.map(\.uid)
        ends = (entries.first?.modSeq, entries.last?.modSeq)
        entries = []
    }
}

/// THREAD (RFC 5256 section 3).
final class ThreadWork: GatherWork {
    private let algorithm: ThreadRequest.Algorithm
    private let isUID: Bool
    private var ranks: UIDMap.Ranks
    private var messages: [ThreadMessage] = []
    private(set) var forest: ThreadForest?

    init(_ session: IMAPSession, _ mailbox: SelectedMailbox, _ search: SearchWork, _ request: ThreadRequest) {
        algorithm = request.algorithm
        isUID = request.isUID
        ranks = mailbox.view.uids.ranks
        super.init(session, mailbox, search)
    }

    override func gather(_ message: SearchedMessage) throws -> Int {
        guard let number = isUID ? message.uid.rawValue : ranks.sequenceNumber(of: message.uid),
            let packed = try message.summary
        else { return 0 }
        let subject = packed.withEnvelope { SortKeys.subject(of: $0) }
        let date = (packed.sentDate ?? message.row.internalDate).time.rawValue
        guard algorithm == .references else {
            messages.append(ThreadMessage(number: number, date: date, subject: subject))
            return subject.key.count + 96
        }
        let (id, reply) = packed.withEnvelope { envelope in
            (
                Envelope.string(.messageID, in: envelope).map { Array($0) },
                Envelope.string(.inReplyTo, in: envelope).map { Array($0) }
            )
        }
        let references = MessageIDs.references(packed.references, inReplyTo: reply)
        messages.append(
            ThreadMessage(
                number: number, date: date, subject: subject, messageID: MessageIDs.first(in: id),
                references: references))
        return references.reduce(subject.key.count + 160) { $0 + $1.count + 32 }
    }

    override func order() {
        forest =
            algorithm == .references
            ? ThreadForest.byReferences(messages) : ThreadForest.orderedBySubject(messages)
        messages = []
    }
}
