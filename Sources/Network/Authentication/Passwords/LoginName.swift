import MailTypes

/// What a client calls itself: an address, perhaps followed by the label of one of its credentials.
///
///     alice    alice@example.test    alice@example.test/phone
///
/// A label picks the credential, which SCRAM needs: the server must name the salt before it has seen a proof. No domain
/// has a slash, so that it cannot be mistaken; a plus would be one of an address with detail.
struct LoginName: Hashable, Sendable {
    let address: Address
    /// Nil leaves the choice to us.
    let label: String?

    /// Nil when it can be nobody's name.
    init?(_ text: String, defaultDomain: String) {
        guard text.utf8.count <= AuthenticationLimits.loginOctetsMax else { return nil }
        var name = text[...]
        var label: String?
        if let at = text.lastIndex(of: "@") {
            if let slash = text[at...].firstIndex(of: "/") {
                name = text[..<slash]
                label = String(text[text.index(after: slash)...])
            }
        } else {
            name = text + "@" + defaultDomain
        }
        // `*` is how the directory writes a catch-all, and no name.
        guard let address = Address(String(name)), address.localPart != "*" else { return nil }
        self.address = address
        self.label = label
    }
}
