// GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208). Every mailbox of an account that has a limit has one quota root, which is
// named "". Without a limit there is none: section 7 has no empty list of resources, and Thunderbird cannot read one.
import IMAP
import MailCore
import MailEngine
import MailTypes

extension IMAPSession {
    func getQuota(_ root: String) {
        guard let resources = quotaResources() else { return }
        guard root.isEmpty, !resources.isEmpty else {
            return finish(.no("There is no such quota root", code: .nonExistent))
        }
        respond { $0.quota(root: root, resources) }
        finish(.ok("Done"))
    }

    func getQuotaRoot(_ name: MailboxName) {
        guard mailboxID(name) != nil, let resources = quotaResources() else { return }
        respond { out in
            out.quotaRoot(name, resources.isEmpty ? [] : [""])
            if !resources.isEmpty { out.quota(root: "", resources) }
        }
        finish(.ok("Done"))
    }

    /// Quotas are the administrator's (`letterlog account quota`).
    func setQuota(_ root: String) { finish(.no("Only the administrator sets quotas", code: .noPerm)) }

    /// RFC 9208 section 5.1: STORAGE counts units of 1,024 octets, rounded up.
    private func quotaResources() -> [(name: String, usage: UInt64, limit: UInt64)]? {
        guard let account, let found = snapshot({ try $0.head(account) }), let head = found else { return nil }
        var resources: [(name: String, usage: UInt64, limit: UInt64)] = []
        if head.quota.bytes > 0 {
            resources.append(
                ("STORAGE", (head.used.bytes + 1023) / 1024, (head.quota.bytes + 1023) / 1024))
        }
        if head.quota.messages > 0 {
            resources.append(("MESSAGE", head.used.messages, head.quota.messages))
        }
        return resources
    }
}
