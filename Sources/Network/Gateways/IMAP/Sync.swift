// The sync point: what others did to the selected mailbox is told, as far as the command that just ran allows it
// (RFC 9051 section 7.5.1, engine.md section 9.4).
//
// Order: what went, then EXISTS, then new keywords, then flags. What went is held back while a client's message numbers
// are in the air, and HIGHESTMODSEQ with it.
import EventStore
import IMAP
import Logging
import MailCore
import MailEngine
import MailTypes
import NIOCore

extension IMAPSession {
    /// Tells what is to be told, then calls `then`; not when the session ends over it.
    func sync(_ rule: IMAPSyncRule, _ then: @escaping () -> Void) {
        guard rule != .none, let mailbox = selected else {
            stored = nil
            toldFlags = [:]
            return then()
        }
        let tellsGone = rule == .full
        let isDirty = mailbox.wake.takeDirty()
        guard isDirty || stored != nil || tellsGone && !mailbox.view.pendingGone.isEmpty else { return then() }
        let (view, silenced, indexes) = (mailbox.view, ownPositions, engine.indexes)
        // What another session of the mailbox has found at this commit.
        let isShared = tellsGone && stored == nil && silenced.isEmpty
        if isShared, let (next, report) = engine.steps.next(view, since: mailbox.wake.lastCommit) {
            return synced(.success(Synced(view: next, report: report)), then)
        }
        let near: Synced?
        do {
            near = try engine.read { [engine] state in
                var moved = view
                let report = try moved.sync(
                    state, tellsGone: tellsGone, silenced: silenced, sharing: indexes,
                    messagesMax: GatewayLimits.imapInlineRowsMax)
                guard let report else { return nil }
                if isShared { engine.steps.keep(from: view, to: moved, report, head: state.head) }
                return Synced(view: moved, report: report)
            }
        } catch {
            return synced(.failure(error), then)
        }
        if let near { return synced(.success(near), then) }
        let answer = connection.answering { [self] (result: Result<Synced, any Error>) in
            if !isOver { synced(result, then) }
        }
        connection.gateway.readThreads.submit { [engine] _ in
            answer(
                Result {
                    try engine.read { state in
                        var moved = view
                        let report = try moved.sync(state, tellsGone: tellsGone, silenced: silenced, sharing: indexes)
                        return Synced(view: moved, report: report)
                    }
                })
        }
    }

    private func synced(_ result: Result<Synced, any Error>, _ then: @escaping () -> Void) {
        let synced: Synced
        switch result {
        case .success(let value): synced = value
        case .failure(let error):
            // Nothing is lost: the next sync point reads it again.
            connection.log.error("the mailbox cannot be read", metadata: ["error": "\(error)"])
            selected?.wake.setDirty()
            stored = nil
            return then()
        }
        if let end = synced.report.end { return mailboxEnded(end, then) }
        selected?.view = synced.view
        tell(synced.report)
        let silent = stored.flatMap { $0.isSilent ? $0.uids : nil } ?? UIDSet()
        let named = stored.flatMap { $0.isSilent ? nil : $0.uids } ?? UIDSet()
        stored = nil
        let whole = synced.report.changed.union(named)
        let modSeqOnly = machine.enabled.contains(.condstore) ? silent.subtracting(whole) : UIDSet()
        let known = toldFlags
        toldFlags = [:]
        tellFlags(of: whole, known: known) { [self] in
            tellFlags(of: modSeqOnly, modSeqOnly: true, then)
        }
    }

    private func tell(_ report: SyncReport) {
        guard let mailbox = selected else { return }
        let usesVanished = machine.enabled.contains(.qresync)
        if !report.gone.isEmpty {
            let uids = UIDSet(report.gone.map(\.uid))
            selected?.saved.subtract(uids)
            selected?.recent.subtract(uids)
            respond { out in
                if usesVanished {
                    out.vanished(uids, isEarlier: false)
                } else {
                    for gone in report.gone { out.expunge(gone.sequenceNumber) }
                }
            }
        }
        if let exists = report.exists {
            claimRecent(report.arrived)
            respond { out in
                out.exists(Int(exists))
                if !machine.enabled.contains(.rev2) { out.recent(selected?.recent.count ?? 0) }
            }
        }
        let fresh = mailbox.view.keywordBits & ~mailbox.toldKeywords
        guard fresh != 0 else { return }
        selected?.toldKeywords |= fresh
        learnKeywords(mailbox.view.account)
        let names = keywordNames(mailbox.view.keywordBits)
        respond { $0.flags(applicable: names) }
        if !mailbox.isReadOnly {
            write(.untagged(.ok("Flags that are kept", code: .permanentFlags(.all, names, allowsNew: true))))
        }
    }

    private func claimRecent(_ arrived: UIDSet) {
        guard let mailbox = selected, let last = arrived.last else { return }
        let (account, id) = (mailbox.view.account, mailbox.view.mailbox)
        let floor =
            mailbox.isReadOnly
            ? engine.recents.floor(account, id, stored: 1)
            : engine.recents.claim(account, id, stored: 1, uidNext: last.rawValue + 1)
        guard floor <= last.rawValue else { return }
        selected?.recent.formUnion(arrived.intersection(UIDSet(UID(floor)...last)))
    }

    /// FETCH responses that nobody asked for: UID, FLAGS and, after CONDSTORE, MODSEQ (RFC 9051 section 7.5.2).
    func tellFlags(
        of uids: UIDSet, modSeqOnly: Bool = false, known: [UID: ModSeq] = [:], _ then: @escaping () -> Void
    ) {
        guard !uids.isEmpty, let mailbox = selected else { return then() }
        var attributes: [FetchAttribute] = modSeqOnly ? [.uid] : [.uid, .flags]
        if machine.enabled.contains(.condstore) { attributes.append(.modSeq) }
        let work = FetchWork(self, mailbox, uids: uids, attributes: attributes, known: known)
        read(work, isSmall: uids.count <= GatewayLimits.imapInlineRowsMax) { [self] error in
            if let error { connection.log.error("flags cannot be read", metadata: ["error": "\(error)"]) }
            then()
        }
    }

    /// The mailbox or the account is gone under the session: it cannot go on with its numbers. IMAP4rev2 has a word for a
    /// mailbox that is closed without being asked (RFC 9051 section 3, transition 6); to others RFC 2180 section 3.3
    /// leaves BYE, after which they connect anew.
    private func mailboxEnded(_ end: SyncReport.End, _ then: () -> Void) {
        let text: String
        switch end {
        case .mailboxDeleted: text = "The mailbox was deleted"
        case .uidValidityChanged: text = "The mailbox was numbered anew"
        case .accountClosed: return endSession("The account is closed")
        }
        guard machine.enabled.contains(.rev2) else { return endSession(text) }
        stored = nil
        toldFlags = [:]
        leaveMailbox()
        act { machine.mailboxClosed(text, into: &actions) }
        then()
    }

    /// Reads the keywords that the account has got since.
    func learnKeywords(_ account: AccountID) {
        let known = keywords.count
        let more = try? engine.read { state -> [Keyword] in
            guard let head = try state.head(account) else { return [] }
            return try state.keywords(account, from: known, head: head)
        }
        keywords.append(contentsOf: more ?? [])
    }

    /// The names behind the bits of `MessageRow.keywordBits`; when one is spilled, all that have no bit.
    func keywordNames(_ bits: UInt64) -> [Keyword] {
        var names: [Keyword] = []
        for (id, keyword) in keywords.enumerated() {
            let bit = min(id, Int(MessageRow.inlineKeywordsMax))
            if bits >> UInt64(bit) & 1 == 1 { names.append(keyword) }
        }
        return names
    }

    /// Ends EXPUNGE and MOVE: with what is told, the client's new HIGHESTMODSEQ (RFC 7162 section 3.2.10).
    func finishTellingModSeq(_ text: String) {
        guard machine.enabled.contains(.condstore), let command = current else { return finish(.ok(text)) }
        sync(command.syncRule) { [self] in
            guard let view = selected?.view else { return finish(.ok(text)) }
            current = nil
            let outcome = IMAPOutcome.ok(text, code: .highestModSeq(view.lastFullModSeq.rawValue))
            act { machine.commandFinished(outcome, into: &actions) }
        }
    }
}

/// A view moved forward on one snapshot.
private struct Synced: Sendable {
    let view: MailboxView
    let report: SyncReport
}
