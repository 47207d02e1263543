extension SMTPCommand {
    /// QUIT (RFC 5321 section 4.1.1.10).
    static let quit = SMTPCommand("QUIT", stages: .any) { machine, line, actions in
        guard line.hasNoMore() else { return machine.refuse(.syntaxError("QUIT takes no argument"), into: &actions) }
        machine.close(.quit, SMTPReply(221, .init(2, 0, 0), "Closing"), into: &actions)
    }
}
