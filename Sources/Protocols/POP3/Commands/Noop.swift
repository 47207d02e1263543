extension POP3Command {
    /// NOOP (RFC 1939 section 5).
    static let noop = POP3Command("NOOP", in: .transaction) { machine, arguments, actions in
        guard arguments.isEmpty else { return machine.refuse(.error("NOOP takes no argument"), into: &actions) }
        actions.append(.reply(.ok("")))
    }
}
