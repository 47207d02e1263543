// SELECT and EXAMINE (RFC 9051 sections 6.3.2 and 6.3.3), with what CONDSTORE and QRESYNC add (RFC 7162).
//
// A view shares the UID map of the other sessions of the mailbox, so only the first SELECT walks over the messages, and
// that is done by the reading threads. What a returning client missed is read from the change rows.
import EventStore
import IMAP
import Logging
import MailCore
import MailEngine
import MailTypes
import NIOCore

/// What opening a mailbox has found.
private struct Opened: Sendable {
    var view: MailboxView
    var id: MailboxID
    var row: MailboxRow
    var keywords: [Keyword]
    var resync: Resync?
}

/// What changed since a client was here last.
struct Resync: Sendable {
    var vanished = UIDSet()
    var changed = UIDSet()
}

extension IMAPSession {
    func select(_ request: SelectRequest) {
        guard let account else { return }
        let known = keywords.count
        let open: @Sendable () throws -> Opened? = { [engine] in
            try engine.read { state in
                try Opened(state, engine, account, request, keywordsFrom: known)
            }
        }
        let isLarge: Bool
        do {
            isLarge = try engine.read { state in
                guard let id = try state.mailboxID(account, named: request.mailbox),
                    let row = try state.mailbox(account, id)
                else { return false }
                return Int(row.exists) > GatewayLimits.imapInlineRowsMax
                    && !engine.indexes.isNear(account, id, row, rowsMax: GatewayLimits.imapInlineRowsMax)
                    || request.qresync != nil
            }
        } catch {
            return fail(error, "the mailbox cannot be opened")
        }
        guard isLarge else { return opened(Result(catching: open), request) }
        let answer = connection.answering { [self] (result: Result<Opened?, any Error>) in
            if !isOver { opened(result, request) }
        }
        connection.gateway.readThreads.submit { _ in answer(Result(catching: open)) }
    }

    private func opened(_ result: Result<Opened?, any Error>, _ request: SelectRequest) {
        switch result {
        case .failure(let error): fail(error, "the mailbox cannot be opened")
        case .success(nil): finish(.no("There is no such mailbox", code: .nonExistent))
        case .success(let opened?):
            keywords.append(contentsOf: opened.keywords)
            enter(opened, request)
        }
    }

    private func enter(_ opened: Opened, _ request: SelectRequest) {
        guard let account else { return }
        let view = opened.view
        let wake = Wake(connection.signalling { [self] in idleWoken() })
        var mailbox = SelectedMailbox(
            view: view, isReadOnly: request.isReadOnly, wake: wake,
            subscription: engine.subscribe(account) { wake.note($0) })
        let floor =
            request.isReadOnly
            ? engine.recents.floor(account, opened.id, stored: opened.row.recentFloor)
            : engine.recents.claim(
                account, opened.id, stored: opened.row.recentFloor, uidNext: opened.row.uidNext)
        if floor < opened.row.uidNext {
            mailbox.recent = view.uids.intersection(UIDSet(UID(floor)...UID(opened.row.uidNext - 1)))
        }
        mailbox.toldKeywords = view.keywordBits
        selected = mailbox
        respond { out in
            out.flags(applicable: keywordNames(view.keywordBits))
            out.exists(view.uids.count)
            if !machine.enabled.contains(.rev2) { out.recent(mailbox.recent.count) }
        }
        let names = keywordNames(view.keywordBits)
        write(
            .untagged(
                .ok(
                    "Flags that are kept",
                    code: request.isReadOnly
                        ? .permanentFlags([], [], allowsNew: false) : .permanentFlags(.all, names, allowsNew: true))))
        if !machine.enabled.contains(.rev2), let uid = view.uids.firstUnseen,
            let number = view.uids.sequenceNumber(of: uid)
        {
            write(.untagged(.ok("First unseen", code: .unseen(number))))
        }
        write(.untagged(.ok("UIDs are valid", code: .uidValidity(view.uidValidity))))
        write(.untagged(.ok("Next UID", code: .uidNext(UInt64(opened.row.uidNext)))))
        write(.untagged(.ok("Highest", code: .highestModSeq(view.lastFullModSeq.rawValue))))
        write(.untagged(.ok("Mailbox", code: .mailboxID(ObjectName.mailbox(account, opened.id)))))
        if machine.enabled.contains(.rev2) {
            // RFC 9051 section 6.3.2: the name as it is, which for INBOX may differ from what was asked.
            respond { $0.list(request.mailbox.description, attributes: []) }
        }
        tell(opened.resync) { [self] in
            current = nil
            act { machine.mailboxSelected(isReadOnly: request.isReadOnly, into: &actions) }
        }
    }

    /// RFC 7162 section 3.2.5.1: VANISHED (EARLIER) first, then what has other flags.
    private func tell(_ resync: Resync?, _ then: @escaping () -> Void) {
        guard let resync else { return then() }
        if !resync.vanished.isEmpty { respond { $0.vanished(resync.vanished, isEarlier: true) } }
        guard !resync.changed.isEmpty else { return then() }
        tellFlags(of: resync.changed, then)
    }

    /// CLOSE: what is `\Deleted` goes without a word, unless the mailbox is open for reading only.
    func close() {
        guard let mailbox = selected else { return finish(.bad("No mailbox is selected")) }
        guard !mailbox.isReadOnly else { return leave() }
        let deleted = deletedNow(in: mailbox)
        guard !deleted.isEmpty else { return leave() }
        let expunge = Expunge(mailbox: mailbox.view.mailbox, uids: deleted, onlyDeleted: true, reason: .expunge)
        change(.expunge(expunge)) { [self] outcome in
            switch outcome {
            case .done, .duplicate, .refused(.noSuchMailbox): leave()
            case .refused, .failed:
                // `deletedNow` looked at what had come, and told nobody.
                mailbox.wake.setDirty()
                finish(refusal(outcome))
            }
        }
    }

    /// What may be `\Deleted` by now: the view can be behind, and what others have marked goes too (RFC 9051 section
    /// 6.4.1). All messages where that cannot be told at a glance: the engine looks then.
    private func deletedNow(in mailbox: SelectedMailbox) -> UIDSet {
        guard mailbox.wake.takeDirty() else { return mailbox.view.uids.deleted }
        var view = mailbox.view
        let isNear = try? engine.read { [engine] state in
            try view.sync(
                state, tellsGone: false, silenced: [], sharing: engine.indexes,
                messagesMax: GatewayLimits.imapInlineRowsMax) != nil
        }
        return isNear == true ? view.uids.deleted : mailbox.view.uids.uids
    }

    func unselect() { leave() }

    private func leave() {
        leaveMailbox()
        finish(.ok("Closed"))
    }

    /// Lets the selected mailbox go, and writes down which messages this session was the first to see.
    func leaveMailbox() {
        guard let mailbox = selected, let account else { return }
        selected = nil
        mailbox.subscription.cancel()
        guard !mailbox.isReadOnly, let last = mailbox.recent.last else { return }
        let origin = Origin(actor: account, session: connection.id, gateway: .imap)
        let (engine, id) = (engine, mailbox.view.mailbox)
        engine.submit(Request([Request.Item(account, .claimRecent(id, upTo: last))], origin: origin)) { outcomes in
            if case .done = outcomes[0] { engine.recents.forget(account, id, stored: last.rawValue + 1) }
        }
    }

    /// The first CONDSTORE enabling command of a session that has a mailbox open (RFC 7162 section 3.1).
    func tellHighestModSeq() {
        guard let view = selected?.view else { return }
        write(.untagged(.ok("Highest", code: .highestModSeq(view.lastFullModSeq.rawValue))))
    }
}

extension Opened {
    fileprivate init?(
        _ state: any ShardReader, _ engine: MailEngine, _ account: AccountID, _ request: SelectRequest,
        keywordsFrom known: Int
    ) throws {
        guard let head = try state.head(account), let id = try state.mailboxID(account, named: request.mailbox),
            let row = try state.mailbox(account, id),
            let view = try MailboxView(state, account, id, sharing: engine.indexes)
        else { return nil }
        self.view = view
        self.id = id
        self.row = row
        keywords = try state.keywords(account, from: known, head: head)
        if let client = request.qresync, client.uidValidity == view.uidValidity {
            resync = try Resync(state, view, head, row, client)
        }
    }
}

extension Resync {
    /// What a client that stood at `client.modSeq` has to learn: O(changes), or O(messages) when the history no longer
    /// reaches back so far (engine.md correction C7).
    init(
        _ state: any ShardReader, _ view: MailboxView, _ head: AccountHead, _ row: MailboxRow,
        _ client: ResyncParameters
    ) throws {
        let since = ModSeq(client.modSeq)
        if since >= head.historyFloor,
            let changes = try state.changes(
                view.account, view.mailbox, since: since, now: head.aseq, rowsMax: max(1024, Int(row.exists)))
        {
            // Those that came and went since: the client may know them, though its position is below their coming.
            vanished = changes.gone.union(changes.passed)
            changed = changes.changed.union(changes.arrived)
        } else {
            let known = client.knownUIDs ?? UIDSet(UID(1)...UID(max(1, row.uidNext - 1)))
            vanished = known.intersection(UIDSet(UID(1)...UID(max(1, row.uidNext - 1)))).subtracting(view.uids.uids)
            try state.messages(view.account, view.mailbox, from: UID(1)) { uid, message in
                if message.modSeq > since { changed.insertAtEnd(uid) }
                return true
            }
        }
        // RFC 7162 section 3.2.5.1: only what the client named, or all that there ever was.
        if let known = client.knownUIDs {
            vanished = vanished.intersection(known)
            changed = changed.intersection(known)
        }
    }
}
