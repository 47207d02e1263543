extension SMTPCommand {
    /// XFORWARD 1*(SP attribute=value): before MAIL, perhaps in several lines.
    static let xforward = SMTPCommand(
        "XFORWARD", stages: [.greeted], isOffered: { $0.configuration.trustsPeer }
    ) { machine, line, actions in
        machine.xforward(&line, into: &actions)
    }
}

extension SMTPServerMachine {
    fileprivate mutating func xforward(_ line: inout ArgumentCursor, into actions: inout [SMTPAction]) {
        var message = forwarded
        guard attributes(&line, taken: { message.take($0) }) else {
            return refuse(
                .syntaxError("XFORWARD takes " + SMTPForwardedMessage.names.joined(separator: "=, ") + "="),
                into: &actions)
        }
        forwarded = message
        actions.append(.reply(SMTPReply(250, .init(2, 0, 0), "OK")))
    }
}
