extension POP3Command {
    /// LIST [msg] (RFC 1939 section 5).
    static let list = POP3Command("LIST", in: .transaction) { machine, arguments, actions in
        machine.list(.sizes, arguments, into: &actions) { "\($0.maildrop.messages[$1].octets)" }
    }
}

extension POP3ServerMachine {
    /// LIST and UIDL alike: one line for the message named, or a listing of those that are not marked.
    mutating func list(
        _ kind: POP3Listing.Kind, _ arguments: POP3Arguments, into actions: inout [POP3Action],
        describe: (MaildropView, Int) -> String
    ) {
        guard let view, let numbers = arguments.numbers(atMost: 1) else {
            return refuse(.error("The argument is a message number"), into: &actions)
        }
        guard let number = numbers.first else {
            actions.append(.reply(.ok("\(view.count) messages (\(view.octets) octets)")))
            actions.append(.list(POP3Listing(kind, view)))
            phase = .awaitingTransfer
            return
        }
        switch index(number) {
        case .success(let index): actions.append(.reply(.ok("\(number) \(describe(view, index))")))
        case .failure(let refusal): actions.append(.reply(refusal.reply))
        }
    }
}
