import MailCore

package struct AccountSetQuota: AdministrationCommand {
    package static let words = "account quota"

    package var address: String
    /// Octets of mail; 0 means no limit, nil leaves it as it is.
    package var octets: UInt64?
    /// Messages; 0 means no limit, nil leaves it as it is.
    package var messages: UInt64?

    package init(address: String, octets: UInt64?, messages: UInt64?) {
        self.address = address
        self.octets = octets
        self.messages = messages
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        guard let head = try session.engine.read({ try $0.head(account.id) }) else { throw Refusal.noSuchAccount }
        var quota = head.quota
        quota.bytes = octets ?? quota.bytes
        quota.messages = messages ?? quota.messages
        if quota != head.quota { _ = try session.perform(account.id, .setQuota(quota)) }
        func text(_ used: UInt64, _ limit: UInt64, _ unit: String) -> String {
            "\(used) of \(limit == 0 ? "any number of" : "\(limit)") \(unit)"
        }
        return AdministrationResult(
            "\(account.address): \(text(head.used.messages, quota.messages, "messages")), "
                + text(head.used.bytes, quota.bytes, "octets"),
            [
                "address": .string(account.address), "messages": .count(head.used.messages),
                "octets": .count(head.used.bytes), "quota_messages": .count(quota.messages),
                "quota_octets": .count(quota.bytes),
            ], isAnswer: octets == nil && messages == nil)
    }
}
