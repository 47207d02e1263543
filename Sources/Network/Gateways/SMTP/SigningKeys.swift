// Keys that sign for domains, as the store has them now: read for each message, taken apart again only when they changed.
import Digests
import MailCore
import MailEngine
import MessageAuthentication
import Octets
import Synchronization

final class SigningKeys: Sendable {
    private struct Known {
        let setting: String
        let signers: [DKIMSigner]
    }

    private let engine: MailEngine
    /// As many as there are domains with keys.
    private let known = Mutex<[String: Known]>([:])

    init(_ engine: MailEngine) { self.engine = engine }

    /// Whether any domain signs: a look of some microseconds.
    var areThere: Bool { get throws { try engine.read { try $0.setting(.system, DKIMSetting.domainsKey) } != nil } }

    /// Those of a domain, in the order in which they were added; not on an event loop, which a new key holds up.
    func signers(_ domain: String) throws -> [DKIMSigner] {
        guard let setting = try engine.read({ try $0.setting(.system, DKIMSetting.key(domain)) }) else {
            known.withLock { $0[domain] = nil }
            return []
        }
        return known.withLock { known in
            if let found = known[domain], found.setting == setting { return found.signers }
            let signers = DKIMSetting.keys(setting).compactMap { key in
                Base64.decode(key.secret.octets).flatMap { SigningKey(secret: $0) }.map {
                    DKIMSigner(domain: domain, selector: key.selector, key: $0)
                }
            }
            known[domain] = Known(setting: setting, signers: signers)
            return signers
        }
    }
}
