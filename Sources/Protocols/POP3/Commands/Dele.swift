extension POP3Command {
    /// DELE msg (RFC 1939 section 5): only marks; QUIT removes.
    static let dele = POP3Command("DELE", in: .transaction) { machine, arguments, actions in
        guard let numbers = arguments.numbers(atMost: 1), let number = numbers.first else {
            return machine.refuse(.error("DELE needs a message number"), into: &actions)
        }
        switch machine.index(number) {
        case .success(let index):
            machine.view?.delete(index)
            actions.append(.reply(.ok("Message \(number) marked as deleted")))
        case .failure(let refusal): actions.append(.reply(refusal.reply))
        }
    }
}
