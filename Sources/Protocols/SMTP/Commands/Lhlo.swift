extension SMTPCommand {
    /// LHLO, in the place of HELO and EHLO (RFC 2033 section 4.1).
    static let lhlo = SMTPCommand("LHLO", in: [.lmtp], stages: .any) { machine, line, actions in
        machine.greet(&line, isExtended: true, into: &actions)
    }
}
