import Digests
import MailCore
import MailTypes
import NIOCore

/// Good logins of the last minute, so that a client that comes again and again is not derived anew each time.
///
/// What is kept is an HMAC of the password under a key that lives and dies with the process. An entry holds only while
/// the credential that it was good for is there unchanged: the caller reads the credentials before every login.
struct LoginCache: Sendable {
    private struct Entry {
        var code: [UInt8]
        var credential: CredentialRow
        var expires: NIODeadline
    }

    private let key: [UInt8]
    private let lifetime: TimeAmount
    private var entries: [AccountID: Entry] = [:]

    init(key: [UInt8], lifetime: TimeAmount) {
        self.key = key
        self.lifetime = lifetime
    }

    /// What stands for `password` here.
    func code(_ account: AccountID, _ password: [UInt8]) -> [UInt8] {
        let account = (0..<4).map { UInt8(truncatingIfNeeded: account.rawValue >> ($0 * 8)) }
        return HMACDigest.code(.sha256, key: key, message: account + password)
    }

    /// The one of `credentials` for which that password was good a moment ago.
    func accepts(
        _ account: AccountID, code: [UInt8], credentials: [CredentialRow], at now: NIODeadline
    ) -> CredentialRow? {
        guard let entry = entries[account], entry.expires > now,
            let credential = credentials.first(where: { $0.isUnchanged(since: entry.credential) }),
            constantTimeEquals(entry.code, code)
        else { return nil }
        return credential
    }

    mutating func note(_ account: AccountID, code: [UInt8], credential: CredentialRow, at now: NIODeadline) {
        if entries.count >= AuthenticationLimits.cacheEntriesMax, entries[account] == nil {
            entries = entries.filter { $0.value.expires > now }
            if entries.count >= AuthenticationLimits.cacheEntriesMax { entries = [:] }
        }
        entries[account] = Entry(code: code, credential: credential, expires: now + lifetime)
    }
}

extension CredentialRow {
    /// The same but for its last use.
    func isUnchanged(since other: CredentialRow) -> Bool {
        var (left, right) = (self, other)
        left.lastUsed = nil
        right.lastUsed = nil
        return left == right
    }
}
