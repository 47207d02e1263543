/// What another server offers in its reply to EHLO (RFC 5321 section 4.1.1.1). Lines that are not of a known form are
/// passed over.
package struct SMTPServerFeatures: Equatable, Sendable {
    package var hasPipelining = false
    package var hasStartTLS = false
    package var has8BitMIME = false
    package var hasSMTPUTF8 = false
    package var hasDSN = false
    package var hasChunking = false
    package var hasRequireTLS = false
    package var hasBinaryMIME = false
    package var hasDeliverBy = false
    /// The least BY with a return that it takes, in seconds (RFC 2852 section 2); 0 when it has none.
    package var deliverBySecondsMin = 0
    /// Octets of the largest message it takes (RFC 1870); 0 when it has none or does not tell.
    package var messageOctetsMax = 0
    package var hasSize = false
    /// RCPT commands it takes in a transaction (RFC 9422); nil when it does not tell.
    package var recipientsMax: Int?
    /// SASL mechanisms, in upper case (RFC 4954).
    package var mechanisms: [String] = []

    package init() {}

    /// - Parameter lines: those of the reply, the greeting first.
    init(_ lines: [String]) {
        for line in lines.dropFirst() {
            let words = line.uppercased().split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard let keyword = words.first else { continue }
            let arguments = words.dropFirst()
            switch keyword {
            case "PIPELINING": hasPipelining = true
            case "STARTTLS": hasStartTLS = true
            case "8BITMIME": has8BitMIME = true
            case "SMTPUTF8": hasSMTPUTF8 = true
            case "DSN": hasDSN = true
            case "CHUNKING": hasChunking = true
            case "REQUIRETLS": hasRequireTLS = true
            case "BINARYMIME": hasBinaryMIME = true
            case "DELIVERBY":
                hasDeliverBy = true
                deliverBySecondsMin = arguments.first.flatMap { Int($0) }.map { max(0, $0) } ?? 0
            case "SIZE":
                hasSize = true
                messageOctetsMax = arguments.first.flatMap { Int($0) }.map { max(0, $0) } ?? 0
            case "AUTH": mechanisms = arguments.map(String.init)
            case "LIMITS": readLimits(arguments)
            default: break
            }
        }
    }

    /// What this host goes on with when it takes the message.
    package func duties(of message: SMTPClientMessage) -> SMTPRelayedDuties {
        var duties: SMTPRelayedDuties = []
        if hasDSN { duties.insert(.reports) }
        if hasDeliverBy, message.deliverBy != nil { duties.insert(.deliverBy) }
        return duties
    }

    /// RFC 9422 section 4: 1 to 6 digits, the first not 0; a limit that is not of this form is passed over.
    private mutating func readLimits(_ arguments: ArraySlice<Substring>) {
        for argument in arguments {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0] == "RCPTMAX", (1...6).contains(parts[1].utf8.count),
                parts[1].utf8.first != Ascii.zero, parts[1].utf8.allSatisfy(Ascii.isDigit)
            else { continue }
            recipientsMax = Int(parts[1])
        }
    }
}
