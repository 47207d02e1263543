extension SMTPCommand {
    /// STARTTLS (RFC 3207; in LMTP too). It is an extension, so EHLO or LHLO comes first.
    static let startTLS = SMTPCommand(
        "STARTTLS", stages: .any, isOffered: { $0.configuration.offersTLS || $0.isSecure }
    ) {
        machine, line, actions in
        guard !machine.isSecure else {
            return machine.refuse(SMTPReply(503, .init(5, 5, 1), "TLS is on already"), into: &actions)
        }
        guard !machine.isAuthenticated else {
            return machine.refuse(SMTPReply(503, .init(5, 5, 1), "Too late, after AUTH"), into: &actions)
        }
        guard line.hasNoMore() else {
            return machine.refuse(.syntaxError("STARTTLS takes no argument"), into: &actions)
        }
        guard machine.stage == .greeted, machine.isExtended else {
            let name = machine.configuration.dialect == .lmtp ? "LHLO" : "EHLO"
            let hint = machine.stage == .transaction ? "A transaction is open; RSET ends it" : "\(name) comes first"
            return actions.append(.reply(.badSequence(hint)))
        }
        machine.phase = .awaitingTLS
        actions.append(.reply(SMTPReply(220, .init(2, 0, 0), "Ready to start TLS")))
        actions.append(.startTLS)
    }
}
