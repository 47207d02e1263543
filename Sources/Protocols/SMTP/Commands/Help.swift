extension SMTPCommand {
    /// HELP, with or without a string (RFC 5321 section 4.1.1.8).
    static let help = SMTPCommand("HELP", stages: .any) { machine, _, actions in
        let dialect = machine.configuration.dialect
        let verbs = table.filter { $0.dialects.contains(dialect) && $0.isOffered(machine) }.map(\.verb).joined(
            separator: " ")
        actions.append(.reply(SMTPReply(214, .init(2, 0, 0), lines: ["Commands:", verbs])))
    }
}
