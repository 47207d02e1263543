/// Every bound of this room, in one place.
package enum AuthenticationLimits {
    /// Rounds of HMAC in a new verifier. RFC 7677 section 4 asks for at least 4,096; more costs every login.
    package static let iterationsDefault = 10_000
    /// Salt of a new verifier, in octets.
    package static let saltOctets = 16
    /// A login name, in octets: local part, `@` and domain of RFC 5321 section 4.5.3.1.
    package static let loginOctetsMax = 320
    /// A password, in octets, before and after preparation.
    package static let passwordOctetsMax = 512
    /// Verifiers looked at in one login.
    package static let verifiersPerLoginMax = 16
    /// Entries of each table in which failures are remembered.
    package static let ledgerEntriesMax = 10_000
    /// Networks from which one name is known to have logged in.
    package static let knownPlacesMax = 8
    /// The name of a channel binding, in octets; those registered have up to 20.
    static let bindingNameOctetsMax = 64
    /// A message of a SASL exchange, in octets: what 12,288 octets of base64 hold (RFC 4954 section 4).
    package static let messageOctetsMax = 9_216
    /// The same in base64.
    package static let messageTextOctetsMax = 12_288
    /// Addresses of a client certificate that are looked up.
    static let certificateNamesMax = 16
    /// Messages of a client in one exchange; the longest mechanism takes three.
    static let messagesMax = 8
    /// A string that goes to saslauthd or comes from it, in octets.
    static let saslauthdPartOctetsMax = 1_024
    /// How long saslauthd has for one answer when nobody says otherwise, in seconds.
    package static let saslauthdSecondsMax = 10
    /// Threads that wait for saslauthd, and logins that wait for them.
    static let externalThreads = 4
    static let externalPendingMax = 64
    /// A hash of crypt(5), in octets (CRYPT_OUTPUT_SIZE).
    static let cryptOctetsMax = 384
    /// Notes of a credential's use, and new verifiers, that wait for the engine.
    static let notesMax = 1_024
    /// The body of a token service's answer, in octets.
    static let tokenAnswerOctetsMax = 64 << 10
    /// Everything that a token service may send for one question: interim answers, headers, the body, in octets.
    static let tokenResponseOctetsMax = 128 << 10
    /// Questions to a token service that are not answered yet.
    static let tokenQuestionsMax = 64
    /// Good tokens that are remembered for a while.
    static let tokensRememberedMax = 10_000
    /// Accounts whose last good login is remembered.
    package static let cacheEntriesMax = 10_000
}
