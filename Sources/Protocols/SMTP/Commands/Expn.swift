extension SMTPCommand {
    /// EXPN (RFC 5321 section 4.1.1.7): lists are nobody's business (section 7.3).
    static let expn = SMTPCommand("EXPN", stages: .any) { _, _, actions in
        actions.append(.reply(SMTPReply(502, .init(5, 5, 1), "EXPN is not offered here")))
    }
}
