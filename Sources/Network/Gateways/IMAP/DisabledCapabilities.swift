import IMAP

/// Capabilities of IMAP that one account is not offered, for clients that cannot cope with them. Kept as a setting of the
/// account: their names, separated by spaces.
package enum DisabledCapabilities {
    package static let settingKey = "imap.disable"

    /// The name as CAPABILITY has it; nil when it is not known, or is what no session can do without.
    package static func name(_ text: String) -> String? {
        guard let capability = IMAPCapabilities.named(text), capability != .imap4rev1 else { return nil }
        return capability.name
    }

    /// What a setting takes away, with what cannot be without it.
    static func capabilities(_ setting: String?) -> IMAPCapabilities {
        var hidden: IMAPCapabilities = []
        for name in (setting ?? "").split(whereSeparator: { $0 == " " || $0 == "," }) {
            guard let capability = IMAPCapabilities.named(String(name)), capability != .imap4rev1 else { continue }
            hidden.insert(capability)
            switch capability {
            case .condstore: hidden.insert(.qresync)
            case .sort: for dependent in [IMAPCapability.sortDisplay, .esort] { hidden.insert(dependent) }
            case .listExtended: hidden.insert(.listStatus)
            case .specialUse: hidden.insert(.createSpecialUse)
            case .quota: for dependent in [IMAPCapability.quotaStorage, .quotaMessage] { hidden.insert(dependent) }
            case .esearch: hidden.insert(.searchRes)
            default: break
            }
        }
        return hidden
    }
}
