// OBJECTID (RFC 8474): names that stay with a mailbox through RENAME and with a message through COPY and MOVE. The
// account is part of them, so they stay right when accounts share mail.
import MailTypes

enum ObjectName {
    static func mailbox(_ account: AccountID, _ mailbox: MailboxID) -> String {
        "m" + String(account.rawValue, radix: 32) + "-" + String(mailbox.rawValue, radix: 32)
    }

    static func email(_ account: AccountID, _ email: EmailID) -> String {
        "e" + String(account.rawValue, radix: 32) + "-" + String(email.rawValue, radix: 32)
    }

    /// The message a client means; nil when it can be none of this account.
    static func email(_ name: String, in account: AccountID) -> EmailID? {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == "e" + String(account.rawValue, radix: 32),
            let number = UInt64(parts[1], radix: 32), Self.email(account, EmailID(number)) == name
        else { return nil }
        return EmailID(number)
    }
}
