extension POP3Command {
    /// STAT (RFC 1939 section 5): marked messages do not count.
    static let stat = POP3Command("STAT", in: .transaction) { machine, arguments, actions in
        guard arguments.isEmpty, let view = machine.view else {
            return machine.refuse(.error("STAT takes no argument"), into: &actions)
        }
        actions.append(.reply(.ok("\(view.count) \(view.octets)")))
    }
}
