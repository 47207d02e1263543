// A mailbox as POP3 sees it: a snapshot at login, and the exclusive lease that goes with it (RFC 1939 section 4).
import EventStore
import MailCore
import MailTypes
import Synchronization

/// INBOX as it stood at one moment, in UID order.
package struct Maildrop: Sendable {
    package var mailbox: MailboxID
    package var uidValidity: UIDValidity
    package var uids: [UInt32]
    /// Octets of the stored form.
    package var sizes: [UInt32]
    package var blobs: [UInt64]
    /// UIDLs that messages came with; some of them may have been expunged since.
    package var uidls: [UID: String]
}

/// One maildrop is open to one session at a time. Released with the object or before.
package final class MaildropLease: Sendable {
    private let end: Mutex<(@Sendable () -> Void)?>
    init(_ end: @escaping @Sendable () -> Void) { self.end = Mutex(end) }

    package func release() {
        let end = end.withLock { end in
            defer { end = nil }
            return end
        }
        end?()
    }

    deinit { release() }
}

extension MailEngine {
    /// Nil when another session holds it.
    package func leaseMaildrop(_ account: AccountID) -> MaildropLease? {
        guard leases.withLock({ $0.insert(account).inserted }) else { return nil }
        return MaildropLease { [weak self] in _ = self?.leases.withLock { $0.remove(account) } }
    }

    /// Nil when the account has no INBOX.
    package func maildrop(_ account: AccountID) throws -> Maildrop? {
        try read { state in
            guard let inbox = try state.mailboxID(account, named: .inbox), let row = try state.mailbox(account, inbox)
            else { return nil }
            var drop = Maildrop(
                mailbox: inbox, uidValidity: row.uidValidity, uids: [], sizes: [], blobs: [], uidls: [:])
            drop.uids.reserveCapacity(Int(row.exists))
            drop.sizes.reserveCapacity(Int(row.exists))
            drop.blobs.reserveCapacity(Int(row.exists))
            try state.messages(account, inbox, from: UID(1)) { uid, message in
                drop.uids.append(uid.rawValue)
                drop.sizes.append(message.size)
                drop.blobs.append(message.blob.rawValue)
                return true
            }
            drop.uidls = try state.uidls(account, inbox)
            return drop
        }
    }
}
