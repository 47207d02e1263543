import MailTypes

/// What BODY= says of a message (RFC 6152 section 3); without it, 7BIT.
package enum SMTPBodyType: Equatable, Sendable {
    case sevenBit
    case eightBit
    /// Any octets in any lines; comes by BDAT only (RFC 3030 section 3).
    case binary
}

/// A recipient as RCPT named it (RFC 5321 section 4.1.1.3).
package struct SMTPRecipient: Equatable, Sendable {
    package let address: Address
    /// Said as `<postmaster>` without a domain (RFC 5321 section 4.1.1.3); `address` then carries this host's name,
    /// and the handler is to look up whoever is postmaster here.
    package let isBarePostmaster: Bool
    /// NOTIFY=; nil where the sender has not said.
    package var notify: SMTPNotify?
    /// ORCPT=
    package var originalRecipient: SMTPOriginalRecipient?

    package init(_ address: Address, isBarePostmaster: Bool = false) {
        self.address = address
        self.isBarePostmaster = isBarePostmaster
    }
}

/// The envelope of one mail transaction, as far as the client has spelled it out.
package struct SMTPEnvelope: Equatable, Sendable {
    /// Nil is the null reverse-path `<>` of bounces.
    package var reversePath: Address?
    /// From SIZE= (RFC 1870), in octets: a claim, not a measurement.
    package var declaredOctets: Int?
    package var bodyType = SMTPBodyType.sevenBit
    /// SMTPUTF8 was asked for at MAIL (RFC 6531 section 3.4).
    package var isUTF8 = false
    /// REQUIRETLS: every hop uses TLS, or the message goes back (RFC 8689 section 4).
    package var requiresTLS = false
    /// RET=
    package var returnedContent: SMTPReturnedContent?
    /// ENVID=
    package var envelopeID: SMTPXtext?
    /// HOLDFOR= or HOLDUNTIL=
    package var hold: SMTPHold?
    /// BY=
    package var deliverBy: SMTPDeliverBy?
    /// When MAIL came, in seconds since 1970, as the handler said (`SMTPServerMachine.now`).
    package var began = 0
    /// The accepted ones, in the order of their RCPT commands, repeats included (LMTP answers each, RFC 2033
    /// section 4.2).
    package var recipients: [SMTPRecipient] = []

    package init(reversePath: Address?) { self.reversePath = reversePath }
}

extension SMTPEnvelope {
    /// What the client has asked for, as the parameters of MAIL: for a filter to read. AUTH is not believed, and is not here.
    package var parameters: [String] {
        var parameters: [String] = []
        if let declaredOctets { parameters.append("SIZE=\(declaredOctets)") }
        switch bodyType {
        case .sevenBit: break
        case .eightBit: parameters.append("BODY=8BITMIME")
        case .binary: parameters.append("BODY=BINARYMIME")
        }
        if isUTF8 { parameters.append("SMTPUTF8") }
        if requiresTLS { parameters.append("REQUIRETLS") }
        if let returnedContent { parameters.append("RET=\(returnedContent.rawValue)") }
        if let envelopeID { parameters.append("ENVID=\(envelopeID.encoded)") }
        switch hold {
        case .seconds(let seconds): parameters.append("HOLDFOR=\(seconds)")
        case .until(let time): parameters.append("HOLDUNTIL=\(InternetTime.text(time))")
        case nil: break
        }
        if let deliverBy { parameters.append("BY=\(deliverBy.parameter)") }
        return parameters
    }
}

extension SMTPRecipient {
    /// The same of RCPT.
    package var parameters: [String] {
        var parameters: [String] = []
        if let notify { parameters.append("NOTIFY=\(notify.parameter)") }
        if let originalRecipient { parameters.append("ORCPT=\(originalRecipient.parameter)") }
        return parameters
    }
}
