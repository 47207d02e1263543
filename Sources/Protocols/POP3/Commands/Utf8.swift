extension POP3Command {
    /// UTF8 (RFC 6856 section 2.1): before login; messages then come as they are.
    static let utf8 = POP3Command("UTF8", in: .authorization) { machine, arguments, actions in
        guard arguments.isEmpty else { return machine.refuse(.error("UTF8 takes no argument"), into: &actions) }
        machine.isUTF8 = true
        actions.append(.reply(.ok("UTF-8 from now on")))
    }
}
