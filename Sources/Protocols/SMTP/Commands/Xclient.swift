extension SMTPCommand {
    /// XCLIENT 1*(SP attribute=value): not within a transaction.
    static let xclient = SMTPCommand(
        "XCLIENT", stages: [.connected, .greeted], isOffered: { $0.configuration.trustsPeer }
    ) { machine, line, actions in
        machine.xclient(&line, into: &actions)
    }
}

extension SMTPServerMachine {
    fileprivate mutating func xclient(_ line: inout ArgumentCursor, into actions: inout [SMTPAction]) {
        var client = replacedClient ?? SMTPClientIdentity()
        guard attributes(&line, taken: { client.take($0) }) else {
            return refuse(
                .syntaxError("XCLIENT takes " + SMTPClientIdentity.names.joined(separator: "=, ") + "="), into: &actions
            )
        }
        // Who has logged in was another.
        guard !isAuthenticated else { return actions.append(.reply(.badSequence("XCLIENT comes before AUTH"))) }
        replacedClient = client
        phase = .awaitingClient
        actions.append(.replaceClient(client))
    }

    /// Reads attributes to the end of the line: at least one, each offered, its value of the form that it has.
    func attributes(_ line: inout ArgumentCursor, taken: (ClientAttribute) -> Bool) -> Bool {
        var count = 0
        while !line.hasNoMore() {
            guard let attribute = ClientAttribute(&line), taken(attribute),
                line.isAtEnd || line.current == Ascii.space || line.current == Ascii.tab
            else { return false }
            count += 1
        }
        return count > 0
    }
}
