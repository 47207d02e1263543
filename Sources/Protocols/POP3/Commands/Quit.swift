extension POP3Command {
    /// QUIT (RFC 1939 sections 4 and 6): removes what DELE marked, or just ends a session that never logged in.
    static let quit = POP3Command("QUIT", in: .any) { machine, arguments, actions in
        guard arguments.isEmpty else { return machine.refuse(.error("QUIT takes no argument"), into: &actions) }
        guard let view = machine.view, view.hasDeleted else {
            return machine.close(.quit, .ok("Closing"), into: &actions)
        }
        machine.phase = .awaitingDeletes
        actions.append(.commitDeletes(view.deletedUIDs))
    }
}
