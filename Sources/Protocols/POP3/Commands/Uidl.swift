extension POP3Command {
    /// UIDL [msg] (RFC 1939 section 7).
    static let uidl = POP3Command("UIDL", in: .transaction) { machine, arguments, actions in
        machine.list(.uniqueIDs, arguments, into: &actions) { $0.maildrop.uniqueID(at: $1) }
    }
}
