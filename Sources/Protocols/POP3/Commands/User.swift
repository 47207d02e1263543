extension POP3Command {
    /// USER name (RFC 1939 section 7). Never tells whether the name is known.
    static let user = POP3Command("USER", in: .authorization) { machine, arguments, actions in
        machine.user = nil
        guard machine.allowsPlaintextLogin else {
            return machine.refuse(.error("Passwords are not taken over an unencrypted connection"), into: &actions)
        }
        guard let name = arguments.text else { return machine.refuse(.error("USER needs a name"), into: &actions) }
        machine.user = name
        actions.append(.reply(.ok("Send PASS")))
    }
}
