extension POP3Command {
    /// RSET (RFC 1939 section 5): takes back every DELE.
    static let rset = POP3Command("RSET", in: .transaction) { machine, arguments, actions in
        guard arguments.isEmpty, var view = machine.view else {
            return machine.refuse(.error("RSET takes no argument"), into: &actions)
        }
        view.undeleteAll()
        machine.view = view
        actions.append(.reply(.ok("Maildrop has \(view.count) messages (\(view.octets) octets)")))
    }
}
