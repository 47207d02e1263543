/// What is bounded in checks of messages, by name. A message, or the DNS of whoever sent it, chooses all of these.
package enum CheckLimits {
    /// Header of a message that is checked; one that is longer is not.
    package static let headerOctetsMax = 512 * 1_024
    /// Fields of a header that is checked.
    package static let headerFieldsMax = 2_000
    /// Signatures that are verified, from the top; the rest is passed over (RFC 6376 section 6.1 allows that).
    package static let signaturesMax = 8
    /// One DKIM-Signature field.
    package static let signatureOctetsMax = 16 * 1_024
    /// Names in `h=`.
    package static let signedFieldsMax = 200
    /// Tags of one list.
    package static let tagsMax = 50
    /// A shorter key can be broken (RFC 8301 section 3.2).
    package static let rsaBitsMin = 1_024
    /// A larger key costs more to verify than it is worth.
    package static let rsaBitsMax = 4_096
    /// A DKIM key record, an SPF record, a DMARC record.
    package static let recordOctetsMax = 8 * 1_024
    /// Records of one answer that are looked at.
    package static let recordsMax = 100
    /// Clocks differ: a signature may be this much younger than now.
    package static let clockSkewSecondsMax: Int64 = 300

    /// Terms of SPF that ask the DNS (RFC 7208 section 4.6.4).
    package static let spfLookupsMax = 10
    /// Of those, lookups that found nothing (the same section).
    package static let spfVoidLookupsMax = 2
    /// Hosts of one `mx` (the same section).
    package static let spfExchangersMax = 10
    /// Names of one `ptr` or `%{p}` (the same section).
    package static let spfPointersMax = 10
    /// Terms of one record.
    package static let spfTermsMax = 500
    /// What a macro may grow to before it is cut down to a name.
    package static let spfExpansionOctetsMax = 2_048
    /// Of an explanation that goes into a reply.
    package static let spfExplanationOctetsMax = 400
    package static let nameOctetsMax = 253
    package static let labelOctetsMax = 63

    /// Names of one tree walk (RFC 9989 section 4.10).
    package static let dmarcWalkQueriesMax = 8
    /// Addresses in From that have domains of their own.
    package static let authorDomainsMax = 4
    /// A field of results that is read for its name; a longer one is taken out.
    package static let resultsOctetsMax = 8 * 1_024
}
