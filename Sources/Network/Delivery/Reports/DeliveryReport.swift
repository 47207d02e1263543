// Tells a sender that a message was not delivered, or waits: multipart/report of RFC 6522 with message/delivery-status of
// RFC 3464, and the header of the message in question.
//
// A pure function: the octets of a report follow from its input.
import SMTP

/// One recipient of a report.
struct ReportedRecipient: Sendable {
    var address: String
    /// The reply of the next host, or one of ours.
    var reply: SMTPServerReply?
    /// Why, where there is no reply.
    var text: String
    var remoteHost: String
    /// ORCPT as the sender gave it, `rfc822;` and xtext; empty for none.
    var original = ""
    /// In a mailbox here; with a success only, where it tells delivery from relaying.
    var isHere = false
}

struct DeliveryReport: Sendable {
    enum Kind: Sendable { case failure, delay, success }

    var kind: Kind
    var hostName: String
    /// Names the report; unique here.
    var id: String
    /// As in a Date field.
    var date: String
    /// When the message came, as in a Date field.
    var arrival: String
    var sender: String
    var recipients: [ReportedRecipient]
    /// Of the message: whole lines with CRLF, at most `reportHeaderOctetsMax`.
    var header: [UInt8]
    /// Until when it is tried, as in a Date field; with a delay only.
    var triedUntil: String?
    /// ENVID as the sender gave it, in xtext; empty for none.
    var envelopeID = ""
    /// The message goes back whole (RET=FULL), and has octets above 127 or none.
    var whole: Whole?

    struct Whole: Sendable { var is8Bit: Bool }

    private var boundary: String { "report-\(id)" }
    var epilogue: [UInt8] { Array("\r\n--\(boundary)--\r\n".utf8) }

    private var subject: String {
        switch kind {
        case .failure: "Your message could not be delivered"
        case .delay: "Your message is delayed"
        case .success: "Your message was passed on"
        }
    }

    /// What stands before the header, or before the message where it goes back whole; CRLF line ends.
    var prologue: [UInt8] {
        let is8Bit = whole?.is8Bit ?? header.contains { $0 >= 0x80 }
        var text = """
            From: Mail delivery <postmaster@\(hostName)>
            To: <\(clean(sender))>
            Subject: \(subject)
            Date: \(date)
            Message-ID: <\(id)@\(hostName)>
            Auto-Submitted: auto-replied
            MIME-Version: 1.0
            Content-Type: multipart/report; report-type=delivery-status;
            \tboundary="\(boundary)"

            This is a report in the form of RFC 3464.

            --\(boundary)
            Content-Type: text/plain; charset=us-ascii

            \(explanation)
            --\(boundary)
            Content-Type: message/delivery-status

            \(status)
            --\(boundary)
            Content-Type: \(whole == nil ? "text/rfc822-headers" : "message/rfc822")\(is8Bit ? "\nContent-Transfer-Encoding: 8bit" : "")


            """
        text = text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n")
        return Array(text.utf8)
    }

    /// For people.
    private var explanation: String {
        var lines: [String] = []
        switch kind {
        case .failure:
            lines.append("The mail system at \(hostName) could not deliver your message to")
        case .delay:
            lines.append("The mail system at \(hostName) has not yet been able to deliver your message to")
        case .success:
            lines.append("The mail system at \(hostName) has delivered your message, or passed it on, to")
        }
        lines.append("the recipients below. \(kind == .success ? "The answer" : "The reason") follows each address.")
        if kind == .delay {
            lines.append("You need not send it again.")
            if let triedUntil { lines.append("It will be tried until \(triedUntil).") }
        }
        for recipient in recipients {
            lines.append("")
            lines.append("  <\(clean(recipient.address))>")
            lines.append("    \(diagnosis(recipient))")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// RFC 3464 section 2: fields of the message, then a group for each recipient.
    private var status: String {
        // RFC 3464 section 2.2.1: the envelope identifier comes first.
        var lines = envelopeID.isEmpty ? [] : ["Original-Envelope-Id: \(clean(decoded(envelopeID)))"]
        lines += ["Reporting-MTA: dns; \(hostName)", "Arrival-Date: \(arrival)"]
        for recipient in recipients {
            lines.append("")
            if let semicolon = recipient.original.firstIndex(of: ";") {
                let type = recipient.original[..<semicolon]
                let address = String(recipient.original[recipient.original.index(after: semicolon)...])
                lines.append("Original-Recipient: \(clean(String(type))); \(clean(decoded(address)))")
            }
            lines.append("Final-Recipient: rfc822; \(clean(recipient.address))")
            lines.append("Action: \(action(recipient))")
            lines.append("Status: \(statusCode(recipient))")
            if !recipient.remoteHost.isEmpty { lines.append("Remote-MTA: dns; \(clean(recipient.remoteHost))") }
            if let reply = recipient.reply, !recipient.remoteHost.isEmpty {
                let enhanced = reply.enhanced.map { "\($0) " } ?? ""
                lines.append("Diagnostic-Code: smtp; \(reply.code) \(enhanced)\(clean(reply.text))")
            }
            lines.append("Last-Attempt-Date: \(date)")
            if let triedUntil { lines.append("Will-Retry-Until: \(triedUntil)") }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func action(_ recipient: ReportedRecipient) -> String {
        switch kind {
        case .failure: "failed"
        case .delay: "delayed"
        case .success: recipient.isHere ? "delivered" : "relayed"
        }
    }

    /// Xtext as what it stands for; an original recipient in UTF-8 is none, and stays as it is.
    private func decoded(_ text: String) -> String {
        SMTPXtext(encoded: text)?.text ?? text
    }

    private func statusCode(_ recipient: ReportedRecipient) -> String {
        guard kind != .success else { return recipient.reply?.enhanced?.description ?? "2.0.0" }
        let category = kind == .failure ? 5 : 4
        guard let reply = recipient.reply else { return kind == .failure ? "5.4.7" : "4.4.7" }
        if let enhanced = reply.enhanced, enhanced.category == category { return enhanced.description }
        return "\(category).\(reply.enhanced.map { "\($0.subject).\($0.detail)" } ?? "0.0")"
    }

    private func diagnosis(_ recipient: ReportedRecipient) -> String {
        guard let reply = recipient.reply else { return clean(recipient.text) }
        let host = recipient.remoteHost.isEmpty ? "" : "\(clean(recipient.remoteHost)) said: "
        return "\(host)\(reply.code) \(reply.enhanced.map { "\($0) " } ?? "")\(clean(reply.text))"
    }

    /// Text from elsewhere cannot break a line or a boundary: printable ASCII only, cut at a limit.
    private func clean(_ text: String) -> String {
        let octets = text.utf8.prefix(DeliveryLimits.reportFieldOctetsMax).map {
            (0x20...0x7E).contains($0) ? $0 : 0x3F
        }
        return String(decoding: octets, as: UTF8.self)
    }
}
