extension POP3Command {
    /// STLS (RFC 2595 section 4).
    static let stls = POP3Command("STLS", in: .authorization) { machine, arguments, actions in
        guard !machine.isSecure else { return machine.refuse(.error("TLS is on already"), into: &actions) }
        guard machine.configuration.offersTLS else {
            return machine.refuse(.error("Command not known here"), into: &actions)
        }
        // RFC 6856 section 2.1
        guard !machine.isUTF8 else { return machine.refuse(.error("STLS comes before UTF8"), into: &actions) }
        guard arguments.isEmpty else { return machine.refuse(.error("STLS takes no argument"), into: &actions) }
        machine.phase = .awaitingTLS
        actions.append(.reply(.ok("Begin TLS")))
        actions.append(.startTLS)
    }
}
