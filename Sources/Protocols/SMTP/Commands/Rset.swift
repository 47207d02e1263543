extension SMTPCommand {
    /// RSET (RFC 5321 section 4.1.1.5).
    static let rset = SMTPCommand("RSET", stages: .any) { machine, line, actions in
        guard line.hasNoMore() else { return machine.refuse(.syntaxError("RSET takes no argument"), into: &actions) }
        machine.resetTransaction(into: &actions)
        actions.append(.reply(SMTPReply(250, .init(2, 0, 0), "Transaction reset")))
    }
}
