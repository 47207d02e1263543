// The trace that a receiver puts before a message (RFC 5321 section 4.4), as octets.
import MailTypes

/// What is known of how a message came here.
package struct SMTPTrace: Sendable {
    /// The reverse-path, for final delivery; nil for the null path `<>`.
    package var returnPath: Address?
    /// As the client called itself.
    package var clientName: String
    /// The client's IP address as text (`192.0.2.1`, `2001:db8::1`); nil over a Unix socket.
    package var clientAddress: String?
    package var hostName: String
    /// Such as `ESMTP`; see `SMTPServerMachine.transmissionType`.
    package var transmissionType: String
    /// Names the message in our logs: a dot-string of RFC 5321, such as hexadecimal digits.
    package var id: String
    /// See `MailDate`.
    package var date: String

    package init(
        returnPath: Address?, clientName: String, clientAddress: String?, hostName: String, transmissionType: String,
        id: String, date: String
    ) {
        self.returnPath = returnPath
        self.clientName = clientName
        self.clientAddress = clientAddress
        self.hostName = hostName
        self.transmissionType = transmissionType
        self.id = id
        self.date = date
    }
}

/// `Return-Path` and `Received`, each ended by CRLF, folded at `SMTPLimits.traceLineOctetsMax` where words allow.
///
/// There is no `for` clause: all recipients of a transaction share the stored octets, and none may learn of another
/// from them (RFC 5321 section 7.2).
///
/// - Parameter results: what stands above `Received`, such as Authentication-Results.
package func traceHeaders(_ trace: SMTPTrace, results: [UInt8] = []) -> [UInt8] {
    let path = trace.returnPath.map { "<\($0)>" } ?? "<>"
    var source = ["from", trace.clientName]
    if let address = trace.clientAddress {
        source.append(address.utf8.contains(Ascii.colon) ? "([IPv6:\(address)])" : "([\(address)])")
    }
    let words = source + ["by", trace.hostName, "with", trace.transmissionType, "id", trace.id + ";"]
    return Array(folded("Return-Path:", [path]).utf8) + results
        + Array(folded("Received:", words + [trace.date]).utf8)
}

/// A header field of `words` separated by single spaces, or by a line break and a tab where the line would be too long.
private func folded(_ name: String, _ words: [String]) -> String {
    var text = name
    var column = name.utf8.count
    for word in words {
        if column + 1 + word.utf8.count > SMTPLimits.traceLineOctetsMax, column > 1, text != name {
            text += "\r\n\t"
            column = 1
        } else {
            text += " "
            column += 1
        }
        text += word
        column += word.utf8.count
    }
    return text + "\r\n"
}

extension SMTPServerMachine {
    /// The keyword behind `with` in `Received` (RFC 5321 section 4.4, RFC 3848, RFC 6531 section 4.3), for the
    /// transaction that is open.
    ///
    /// - Parameters:
    ///   - isEncrypted: TLS is on.
    ///   - isAuthenticated: the client has logged in.
    package func transmissionType(isEncrypted: Bool = false, isAuthenticated: Bool = false) -> String {
        let isUTF8 = envelope?.isUTF8 ?? false
        let base: String
        switch (configuration.dialect, isUTF8) {
        case (.lmtp, true): base = "UTF8LMTP"
        case (.lmtp, false): base = "LMTP"
        case (_, true): base = "UTF8SMTP"
        case (_, false):
            guard isExtended else { return "SMTP" }
            base = "ESMTP"
        }
        return base + (isEncrypted ? "S" : "") + (isAuthenticated ? "A" : "")
    }
}
