// Which messages are `\Recent` to whom (RFC 3501 section 2.3.2): to the first session that opened the mailbox for
// writing after they arrived, and to none after it.
//
// The claim is made in memory, so that SELECT needs no flush; its event is written when the session leaves the mailbox
// (engine.md correction C12). A node that dies in between shows the messages as recent once more, which harms nobody.
import MailCore
import MailTypes
import Synchronization

package final class RecentClaims: Sendable {
    private let floors = Mutex<[MailboxKey: UInt32]>([:])

    package init() {}

    /// UIDs from here on are recent to the next session.
    /// - Parameter stored: what the state says.
    package func floor(_ account: AccountID, _ mailbox: MailboxID, stored: UInt32) -> UInt32 {
        floors.withLock { max(stored, $0[MailboxKey(account: account, mailbox: mailbox)] ?? 0) }
    }

    /// Claims what is below `uidNext` for the caller, who gets all from the answer on.
    package func claim(_ account: AccountID, _ mailbox: MailboxID, stored: UInt32, uidNext: UInt32) -> UInt32 {
        floors.withLock { floors in
            let key = MailboxKey(account: account, mailbox: mailbox)
            let floor = max(stored, floors[key] ?? 0)
            if uidNext > floor { floors[key] = uidNext }
            return floor
        }
    }

    /// The state has taken a claim over.
    package func forget(_ account: AccountID, _ mailbox: MailboxID, stored: UInt32) {
        floors.withLock { floors in
            let key = MailboxKey(account: account, mailbox: mailbox)
            if let floor = floors[key], floor <= stored { floors[key] = nil }
        }
    }
}
