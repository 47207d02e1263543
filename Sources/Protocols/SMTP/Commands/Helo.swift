extension SMTPCommand {
    /// HELO (RFC 5321 section 4.1.1.1).
    static let helo = SMTPCommand("HELO", in: [.smtp, .submission], stages: .any) { machine, line, actions in
        machine.greet(&line, isExtended: false, into: &actions)
    }
}
