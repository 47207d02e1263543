extension SMTPCommand {
    /// NOOP, with or without a string (RFC 5321 section 4.1.1.9).
    static let noop = SMTPCommand("NOOP", stages: .any) { _, _, actions in
        actions.append(.reply(SMTPReply(250, .init(2, 0, 0), "OK")))
    }
}
