// FETCH and UID FETCH (RFC 9051 section 6.4.5, RFC 7162 section 3.1.4).
//
// With CHANGEDSINCE only what the change rows name is looked at, so its cost is what changed and not the mailbox. The
// implicit `\Seen` is queued behind the reply; the next command that reads flags waits for it (engine.md correction C12).
import EventStore
import IMAP
import Logging
import MailCore
import MailEngine
import MailTypes
import NIOCore

extension IMAPSession {
    func fetch(_ request: FetchRequest) {
        guard let mailbox = selected else { return finish(.bad("No mailbox is selected")) }
        guard let uids = mailbox.resolve(request.set, isUID: request.isUID) else {
            return finish(.bad("There is no such message"))
        }
        guard let since = request.changedSince else { return fetch(request, uids) }
        narrow(request, uids, mailbox, since: ModSeq(since))
    }

    /// CHANGEDSINCE and VANISHED.
    private func narrow(_ request: FetchRequest, _ uids: UIDSet, _ mailbox: SelectedMailbox, since: ModSeq) {
        let view = mailbox.view
        let named = request.isUID ? request.set.uids(last: view.uids.last) : uids
        let find: @Sendable () throws -> (vanished: UIDSet, changed: UIDSet) = { [engine] in
            try engine.read { state in
                guard let head = try state.head(view.account), let row = try state.mailbox(view.account, view.mailbox)
                else { return (UIDSet(), UIDSet()) }
                let client = ResyncParameters(
                    uidValidity: view.uidValidity, modSeq: since.rawValue, knownUIDs: request.vanished ? named : nil)
                let resync = try Resync(state, view, head, row, client)
                // What this session still has in its numbers goes by its sync point.
                return (resync.vanished.subtracting(view.uids.uids), resync.changed.intersection(uids))
            }
        }
        let answer = connection.answering { [self] (result: Result<(vanished: UIDSet, changed: UIDSet), any Error>) in
            guard !isOver else { return }
            switch result {
            case .failure(let error): fail(error, "the changes cannot be read")
            case .success(let found):
                if request.vanished, !found.vanished.isEmpty {
                    respond { $0.vanished(found.vanished, isEarlier: true) }
                }
                fetch(request, found.changed)
            }
        }
        // Few changes are read here: what is waited for is a commit, not a scan.
        if view.position.rawValue <= since.rawValue &+ UInt64(GatewayLimits.imapInlineRowsMax) {
            return answer(Result(catching: find))
        }
        connection.gateway.readThreads.submit { _ in answer(Result(catching: find)) }
    }

    private func fetch(_ request: FetchRequest, _ uids: UIDSet) {
        guard !uids.isEmpty, let mailbox = selected else { return finish(.ok("Done")) }
        // Once is enough: an item can be long.
        var attributes = request.attributes.reduce(into: [FetchAttribute]()) { if !$0.contains($1) { $0.append($1) } }
        if machine.enabled.contains(.qresync), !attributes.contains(.uid) { attributes.insert(.uid, at: 0) }
        let work = FetchWork(
            self, mailbox, uids: uids, attributes: attributes, changedSince: request.changedSince.map { ModSeq($0) },
            setsSeen: request.setsSeen)
        read(work, isSmall: work.isSmall(engine), tellsProgress: true) { [self] error in
            markSeen(work.unseen)
            toldFlags = work.told
            if let error { return fail(error, "a message cannot be read") }
            guard work.lost.isEmpty else {
                return finish(.no("Some messages are gone", code: .expungeIssued))
            }
            guard !work.isOverLimit else {
                return finish(.no("Too much of a header is asked for at once", code: .limit))
            }
            guard !work.hasUnknownEncoding else {
                return finish(.no("A transfer encoding is not known", code: .unknownCTE))
            }
            finish(.ok("Done"))
        }
    }

    /// Nobody waits for it but what reads flags afterwards.
    private func markSeen(_ uids: UIDSet) {
        guard !uids.isEmpty, let mailbox = selected, let account else { return }
        seenPending += 1
        let command = ChangeFlags(mailbox: mailbox.view.mailbox, uids: uids, operation: .add, flags: .seen)
        let answer = connection.answering { [self] (outcomes: [CommandOutcome]) in
            seenPending -= 1
            if case .failed(let failure) = outcomes[0] {
                connection.log.warning("messages are not marked as seen", metadata: ["why": "\(failure)"])
            }
            guard seenPending == 0, let command = held, !isOver else { return }
            held = nil
            begin(command)
        }
        recordSession()
        let origin = Origin(actor: account, session: connection.id, gateway: .imap)
        engine.submit(Request([Request.Item(account, .changeFlags(command))], origin: origin), completion: answer)
    }
}

extension IMAPCommand {
    /// Whether what it answers depends on flags.
    var readsFlags: Bool {
        switch self {
        case .fetch(let request):
            request.changedSince != nil || request.attributes.contains(.flags) || request.attributes.contains(.modSeq)
        default: true
        }
    }
}
