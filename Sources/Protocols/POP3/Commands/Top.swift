extension POP3Command {
    /// TOP msg n (RFC 1939 section 7).
    static let top = POP3Command("TOP", in: .transaction) { machine, arguments, actions in
        guard let numbers = arguments.numbers(atMost: 2), numbers.count == 2 else {
            return machine.refuse(.error("TOP needs a message number and a number of lines"), into: &actions)
        }
        machine.retrieve(numbers[0], lines: numbers[1], into: &actions)
    }
}
