// CATENATE (RFC 4469): a message made of text and of parts of stored messages. A part is copied from the store by the
// thread that writes the new message, a piece at a time, and never held.
import EventStore
import IMAP
import MIME
import MailCore
import MailEngine
import MailTypes
import Projections

/// A stored message, found when its URL was read; its octets stay readable when it goes meanwhile.
private struct FoundMessage: Sendable {
    let account: AccountID
    let row: MessageRow
    let handle: any BodyHandle
    let section: BodySection
    let cache: MessageCache

    /// Nil when the message has no such part.
    func range() throws -> OctetRange? {
        let whole: OctetRange?
        if section.part.isEmpty, section.text == .all {
            whole = OctetRange(offset: 0, count: handle.size)
        } else {
            let structure = try cache.summary(account, row.email, handle).structure
            whole = structure?.section(section.part.map { Int($0) }, section.text.specifier)
        }
        guard let whole, let partial = section.partial else { return whole }
        let clamped = partial.clamped(to: whole.count)
        return OctetRange(offset: whole.offset + clamped.lowerBound, count: clamped.count)
    }
}

extension IMAPSession {
    func appendURL(_ text: String) {
        guard let append, append.failure == nil else { return }
        guard let found = find(text) else {
            return append.fail(.no("There is nothing behind the URL", code: .badURL(text)))
        }
        let bad = append.isBadURL
        append.add { write throws(EngineFailure) in
            do {
                guard let range = try found.range() else {
                    bad.note(text)
                    return
                }
                var failure: EngineFailure?
                try found.handle.pieces(of: range) { piece in
                    do throws(EngineFailure) { try write(piece) } catch { failure = error }
                    return failure == nil
                }
                if let failure { throw failure }
            } catch let error as EngineFailure {
                throw error
            } catch {
                throw .fault("a part cannot be read: \(error)")
            }
        }
    }

    private func find(_ text: String) -> FoundMessage? {
        guard let account, let url = MessageURL(text), url.host == nil || isHere(url) else { return nil }
        do {
            let row = try engine.read { state -> MessageRow? in
                let id = try url.mailbox.map { try state.mailboxID(account, named: $0) } ?? selected?.view.mailbox
                guard let id, let mailbox = try state.mailbox(account, id),
                    url.uidValidity == nil || url.uidValidity == mailbox.uidValidity
                else { return nil }
                return try state.message(account, id, url.uid)
            }
            guard let row else { return nil }
            return FoundMessage(
                account: account, row: row, handle: try engine.openBody(row.blob), section: url.section,
                cache: cache)
        } catch {
            connection.log.error("a URL cannot be followed", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// Whether a URL with a server means this one and this account.
    private func isHere(_ url: MessageURL) -> Bool {
        guard url.host?.lowercased() == connection.gateway.options.hostName.lowercased() else { return false }
        guard let user = url.user else { return true }
        let name = user.contains("@") ? user : user + "@" + connection.gateway.options.defaultDomain
        guard let address = Address(name) else { return false }
        return (try? engine.read { try $0.owner(of: address) }) == account
    }
}
