extension POP3Command {
    /// CAPA (RFC 2449 section 5).
    static let capa = POP3Command("CAPA", in: .any) { machine, arguments, actions in
        guard arguments.isEmpty else { return machine.refuse(.error("CAPA takes no argument"), into: &actions) }
        let lines = POP3Capability.table.compactMap { $0.line(machine) }
        actions.append(.reply(.ok("Capability list follows", lines: lines)))
    }
}
