extension SMTPCommand {
    /// VRFY (RFC 5321 section 4.1.1.6): never tells whether an address exists (section 7.3), with or without SMTPUTF8.
    static let vrfy = SMTPCommand("VRFY", stages: .any) { machine, line, actions in
        guard !line.hasNoMore() else { return machine.refuse(.syntaxError("VRFY needs an address"), into: &actions) }
        actions.append(.reply(SMTPReply(252, .init(2, 0, 0), "Not verified here; RCPT will tell")))
    }
}
