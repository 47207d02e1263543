// What both sides settle before anything else: which version is spoken, what the filter may do, and what it wants to hear.
// The numbers are those of mfdef.h in Debian's libmilter-dev.

/// What a filter may ask for (SMFIF_...).
package struct MilterActions: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let addField = Self(rawValue: 1 << 0)
    package static let replaceBody = Self(rawValue: 1 << 1)
    package static let addRecipient = Self(rawValue: 1 << 2)
    package static let removeRecipient = Self(rawValue: 1 << 3)
    package static let changeField = Self(rawValue: 1 << 4)
    package static let quarantine = Self(rawValue: 1 << 5)
    package static let changeSender = Self(rawValue: 1 << 6)
    /// With parameters of RCPT.
    package static let addRecipientWithParameters = Self(rawValue: 1 << 7)
    /// Naming the macros that it needs.
    package static let chooseMacros = Self(rawValue: 1 << 8)

    /// All there are.
    package static let all = Self(rawValue: 0x1FF)
}

/// What a filter does not want to hear, or not to answer, and other habits of the protocol (SMFIP_...).
package struct MilterSteps: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let noConnect = Self(rawValue: 1 << 0)
    package static let noHelo = Self(rawValue: 1 << 1)
    package static let noSender = Self(rawValue: 1 << 2)
    package static let noRecipient = Self(rawValue: 1 << 3)
    package static let noBody = Self(rawValue: 1 << 4)
    package static let noFields = Self(rawValue: 1 << 5)
    package static let noEndOfHeader = Self(rawValue: 1 << 6)
    package static let noAnswerToField = Self(rawValue: 1 << 7)
    package static let noUnknown = Self(rawValue: 1 << 8)
    package static let noData = Self(rawValue: 1 << 9)
    /// It may say that it has seen enough of the body.
    package static let skip = Self(rawValue: 1 << 10)
    package static let refusedRecipients = Self(rawValue: 1 << 11)
    package static let noAnswerToConnect = Self(rawValue: 1 << 12)
    package static let noAnswerToHelo = Self(rawValue: 1 << 13)
    package static let noAnswerToSender = Self(rawValue: 1 << 14)
    package static let noAnswerToRecipient = Self(rawValue: 1 << 15)
    package static let noAnswerToData = Self(rawValue: 1 << 16)
    package static let noAnswerToUnknown = Self(rawValue: 1 << 17)
    package static let noAnswerToEndOfHeader = Self(rawValue: 1 << 18)
    package static let noAnswerToBody = Self(rawValue: 1 << 19)
    /// Values of fields keep the space behind the colon, both ways.
    package static let leadingSpace = Self(rawValue: 1 << 20)

    /// What we can do: all but telling of recipients that were refused. Commands that are unknown are not told either, which
    /// needs no agreement.
    package static let offered = Self(rawValue: 0x1F_FFFF).subtracting(.refusedRecipients)
}

/// What the filter has settled for.
package struct MilterAgreement: Hashable, Sendable {
    package static let version: UInt32 = 6
    /// The oldest that is spoken here.
    package static let versionMin: UInt32 = 2
    /// The first with DATA.
    static let versionWithData: UInt32 = 4

    package var version: UInt32
    package var actions: MilterActions
    package var steps: MilterSteps
    /// Of the stages for which it has chosen.
    package var macros: [MilterStage: [String]] = [:]

    /// Whether it holds what was offered.
    var isSound: Bool {
        (Self.versionMin...Self.version).contains(version) && actions.isSubset(of: .all)
            && steps.isSubset(of: .offered.union(.refusedRecipients))
    }
}

/// The moments at which macros are told (SMFIM_... of mfapi.h).
package enum MilterStage: UInt32, CaseIterable, Sendable {
    case connect, helo, sender, recipient, data, endOfMessage, endOfHeader

    /// Those told to a filter that has not chosen. Names of one letter stand alone, longer ones in braces.
    package var usualMacros: [String] {
        switch self {
        case .connect:
            [
                "j", "_", "v", "{daemon_name}", "{daemon_addr}", "{daemon_port}", "{client_addr}", "{client_name}",
                "{client_ptr}", "{client_port}",
            ]
        case .helo: ["{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}"]
        case .sender:
            [
                "i", "{auth_type}", "{auth_authen}", "{auth_author}", "{client_addr}", "{client_name}", "{mail_addr}",
                "{mail_host}", "{mail_mailer}",
            ]
        case .recipient: ["i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"]
        case .data, .endOfHeader: ["i"]
        case .endOfMessage: ["i", "j", "{auth_authen}", "{mail_addr}"]
        }
    }
}
