extension POP3Command {
    /// RETR msg (RFC 1939 section 5).
    static let retr = POP3Command("RETR", in: .transaction) { machine, arguments, actions in
        guard let numbers = arguments.numbers(atMost: 1), let number = numbers.first else {
            return machine.refuse(.error("RETR needs a message number"), into: &actions)
        }
        machine.retrieve(number, lines: nil, into: &actions)
    }
}

extension POP3ServerMachine {
    /// RETR and TOP alike.
    mutating func retrieve(_ number: Int, lines: Int?, into actions: inout [POP3Action]) {
        guard let view else { return }
        switch index(number) {
        case .success(let index):
            let message = view.maildrop.messages[index]
            let retrieval = POP3Retrieval(uid: message.uid, octets: message.octets, lines: lines)
            phase = .awaitingBody(retrieval)
            actions.append(.openBody(retrieval))
        case .failure(let refusal): actions.append(.reply(refusal.reply))
        }
    }
}
