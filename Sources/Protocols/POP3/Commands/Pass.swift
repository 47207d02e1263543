extension POP3Command {
    /// PASS string (RFC 1939 section 7): everything behind the space belongs to the password, spaces included.
    static let pass = POP3Command("PASS", in: .authorization, lineOctetsMax: POP3Limits.passwordLineOctetsMax) {
        machine, arguments, actions in
        guard let user = machine.user else { return machine.refuse(.error("USER comes first"), into: &actions) }
        machine.user = nil
        guard !arguments.raw.isEmpty else { return machine.refuse(.error("PASS needs a password"), into: &actions) }
        machine.phase = .awaitingLogin
        actions.append(.login(POP3Credentials(user: user, password: Array(arguments.raw))))
    }
}
