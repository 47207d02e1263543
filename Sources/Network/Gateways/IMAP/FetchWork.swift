// FETCH as work in slices: rows are read a batch at a time, each becomes one FETCH response; what needs the message's
// octets is streamed behind it, a part at a time.
//
// Invariants
// - Messages come in ascending order, each under the sequence number of the session's view.
// - A message that others expunged and the client still has in its numbers is served from what was kept of it; when its
//   body has been erased it is left out, and the reply is NO [EXPUNGEISSUED] (engine.md correction C13).
// - A body is never held whole: a literal's size is known from the structure, its octets are copied range by range.
import EventStore
import IMAP
import MIME
import MailCore
import MailEngine
import MailTypes
import NIOCore
import Projections

final class FetchWork: SlicedWork {
    private struct Message {
        let uid: UID
        let row: MessageRow
        let spilled: [KeywordID]
        /// What the cache has of it.
        var known: PackedSummary?
    }

    private let account: AccountID
    private let mailbox: MailboxID
    private let map: UIDMap
    private let recent: UIDSet
    private let keywords: [Keyword]
    private let showsRecent: Bool
    private let attributes: [FetchAttribute]
    private let changedSince: ModSeq?
    private let needsBody: Bool
    /// Octets of messages are copied, not only what is known of them.
    private let readsOctets: Bool
    private let cache: MessageCache
    private let needsSummary: Bool
    /// What is left to read.
    private var rest: UIDSet
    private var batch: ArraySlice<Message> = []
    private var ranks: UIDMap.Ranks
    private var current: MessageStream?
    private let total: Int
    private var done = 0

    /// Messages that can be served no more.
    private(set) var lost = UIDSet()
    /// Messages whose `\Seen` this FETCH sets.
    private(set) var unseen = UIDSet()
    private let setsSeen: Bool
    /// Positions of flags that are newer than the view and were told: they need not be told again.
    private(set) var told: [UID: ModSeq] = [:]
    private let position: ModSeq
    private let tellsFlags: Bool
    private let known: [UID: ModSeq]
    /// BINARY was asked of a part whose transfer encoding is not known (RFC 3516 section 4.3).
    private(set) var hasUnknownEncoding = false
    /// More of a header was asked for than is read at once.
    private(set) var isOverLimit = false

    /// - Parameter known: messages whose flags are told only if they are not of that position.
    init(
        _ session: IMAPSession, _ mailbox: SelectedMailbox, uids: UIDSet, attributes: [FetchAttribute],
        changedSince: ModSeq? = nil, setsSeen: Bool = false, known: [UID: ModSeq] = [:]
    ) {
        position = mailbox.view.position
        let needsModSeq = session.machine.enabled.contains(.condstore)
        tellsFlags = attributes.contains(.flags) && (!needsModSeq || attributes.contains(.modSeq))
        self.known = known
        account = mailbox.view.account
        self.mailbox = mailbox.view.mailbox
        map = mailbox.view.uids
        recent = mailbox.recent
        keywords = session.keywords
        showsRecent = !session.machine.enabled.contains(.rev2)
        self.attributes = attributes
        self.changedSince = changedSince
        self.setsSeen = setsSeen && !mailbox.isReadOnly
        needsBody = attributes.contains(where: \.needsBody)
        readsOctets = attributes.contains(where: \.readsOctets)
        cache = session.cache
        needsSummary = attributes.contains(where: \.needsSummary)
        rest = uids
        total = uids.count
        ranks = map.ranks
    }

    var progress: (done: Int, goal: Int)? { (done, total) }

    func slice(_ context: inout SliceContext) throws -> Bool {
        while true {
            if let stream = current {
                guard try stream.write(&context) else { return true }
                current = nil
                done += 1
            }
            if batch.isEmpty {
                guard try readBatch(context.engine) else { return false }
                continue
            }
            let message = batch.removeFirst()
            try begin(message, &context)
            if current == nil { done += 1 }
            if context.isFull || done & 63 == 0 && context.isOver { return true }
        }
    }

    /// Reads the rows of the next messages; false when none are left.
    private func readBatch(_ engine: MailEngine) throws -> Bool {
        guard let first = rest.first else { return false }
        let limit =
            readsOctets
            ? GatewayLimits.imapBodyBatchMessages
            : needsSummary ? GatewayLimits.imapSortBatchMessages : GatewayLimits.imapRowBatchMessages
        var found: [Message] = []
        found.reserveCapacity(min(limit, rest.count))
        var next: UID?
        let wanted = rest
        try engine.read { state in
            var missing = wanted.makeIterator()
            var expected = missing.next()
            var failure: (any Error)?
            func lingering(_ uid: UID) throws {
                guard let row = try state.expunged(account, mailbox, uid)?.row else {
                    lost.insert(uid)
                    return
                }
                if isWanted(uid, row) { found.append(try message(uid, row, state)) }
            }
            try state.messages(account, mailbox, in: wanted, from: first) { uid, row in
                do {
                    while let gone = expected, gone < uid {
                        try lingering(gone)
                        expected = missing.next()
                    }
                    if found.count >= limit {
                        next = uid
                        return false
                    }
                    expected = missing.next()
                    if isWanted(uid, row) { found.append(try message(uid, row, state)) }
                } catch {
                    failure = error
                    return false
                }
                return true
            }
            if let failure { throw failure }
            guard next == nil else { return }
            while let gone = expected {
                try lingering(gone)
                expected = missing.next()
            }
        }
        if needsSummary {
            for (index, summary) in cache.known(account, found.map(\.row.email)).enumerated() {
                found[index].known = summary
            }
        }
        batch = found[...]
        rest = next.map { rest.intersection(UIDSet($0...UID(.max))) } ?? UIDSet()
        return !found.isEmpty || !rest.isEmpty
    }

    private func isWanted(_ uid: UID, _ row: MessageRow) -> Bool {
        if let changedSince, row.modSeq <= changedSince { return false }
        return known.isEmpty || known[uid] != row.modSeq
    }

    private func message(_ uid: UID, _ row: MessageRow, _ state: any ShardReader) throws -> Message {
        let isSpilled = row.keywordBits & MessageRow.spillBit != 0
        let spilled = isSpilled ? try state.spilledKeywords(account, mailbox, uid) : []
        return Message(uid: uid, row: row, spilled: spilled)
    }

    /// Whether all of it may be read on the event loop.
    func isSmall(_ engine: MailEngine) -> Bool {
        guard needsBody else { return total <= GatewayLimits.imapInlineRowsMax }
        // The cache is another file.
        guard !needsSummary else { return false }
        // The first rows are read now; they are not read again.
        guard total <= GatewayLimits.imapInlineBodiesMax, (try? readBatch(engine)) != nil else { return false }
        return batch.reduce(0) { $0 + Int($1.row.size) } <= GatewayLimits.inlineBodyOctetsMax
    }

    /// Writes a message's response, or begins to.
    private func begin(_ message: Message, _ context: inout SliceContext) throws {
        guard let number = ranks.sequenceNumber(of: message.uid) else { return }
        if tellsFlags, message.row.modSeq > position, told.count < GatewayLimits.imapInlineRowsMax {
            told[message.uid] = message.row.modSeq
        }
        guard needsBody else {
            context.output.beginFetch(number)
            for attribute in attributes { write(attribute, message, &context.output) }
            return context.output.endFetch()
        }
        let stream = MessageStream(
            account, message.row, context.engine, cache, known: message.known, usesUTF8: context.output.usesUTF8)
        stream.writer.beginFetch(number)
        do {
            for attribute in attributes {
                if attribute.needsBody { try stream.add(attribute) } else { write(attribute, message, &stream.writer) }
            }
        } catch is BodyGone {
            lost.insert(message.uid)
            return
        } catch is HeaderTooLarge {
            isOverLimit = true
            return
        }
        guard !stream.unknownEncoding else {
            hasUnknownEncoding = true
            return
        }
        stream.writer.endFetch()
        stream.end()
        current = stream
        if setsSeen, !message.row.flags.contains(.seen) { unseen.insertAtEnd(message.uid) }
    }

    /// An item that the row answers.
    private func write(_ attribute: FetchAttribute, _ message: Message, _ out: inout IMAPWriter) {
        let row = message.row
        switch attribute {
        case .flags:
            let isRecent = showsRecent && !recent.isEmpty && recent.contains(message.uid)
            if row.keywordBits == 0 {
                out.flags(row.flags, isRecent: isRecent)
            } else {
                out.flags(row.flags, keywords: names(row, message.spilled), isRecent: isRecent)
            }
        case .uid: out.uid(message.uid)
        case .internalDate: out.internalDate(row.internalDate)
        case .rfc822Size: out.rfc822Size(UInt64(row.size))
        case .modSeq: out.modSeq(row.modSeq.rawValue)
        case .emailID: out.emailID(ObjectName.email(account, row.email))
        case .threadID: out.threadID(nil)
        case .saveDate: out.saveDate(row.saved.map { InternalDate(time: $0, zoneMinutes: 0) })
        case .envelope, .bodyStructure, .body, .binary, .binarySize, .preview:
            preconditionFailure("a message stream writes these")
        }
    }

    private func names(_ row: MessageRow, _ spilled: [KeywordID]) -> [Keyword] {
        var names: [Keyword] = []
        var bits = row.keywordBits & ~MessageRow.spillBit
        while bits != 0 {
            let id = bits.trailingZeroBitCount
            if id < keywords.count { names.append(keywords[id]) }
            bits &= bits - 1
        }
        for id in spilled where Int(id.rawValue) < keywords.count { names.append(keywords[Int(id.rawValue)]) }
        return names
    }
}
