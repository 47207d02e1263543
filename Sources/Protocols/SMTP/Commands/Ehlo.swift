import MailTypes

extension SMTPCommand {
    /// EHLO (RFC 5321 section 4.1.1.1).
    static let ehlo = SMTPCommand("EHLO", in: [.smtp, .submission], stages: .any) { machine, line, actions in
        machine.greet(&line, isExtended: true, into: &actions)
    }
}

extension SMTPServerMachine {
    /// HELO, EHLO and LHLO alike: notes the client's name and ends any transaction.
    mutating func greet(_ line: inout ArgumentCursor, isExtended: Bool, into actions: inout [SMTPAction]) {
        let name = line.rest()
        guard Self.isClientName(name) else {
            return refuse(.syntaxError("Give a domain name or an address literal"), into: &actions)
        }
        clientName = String(decoding: name, as: UTF8.self)
        self.isExtended = isExtended
        resetTransaction(into: &actions)
        var lines = [configuration.hostName]
        if isExtended { lines += SMTPExtension.table.compactMap { $0.line(self) } }
        actions.append(.reply(SMTPReply(250, nil, lines: lines)))
    }

    /// More lenient than the grammar, since clients call themselves many things; what is let through is safe in a
    /// `Received` field: letters, digits and `-._:[]`.
    static func isClientName(_ name: some Collection<UInt8>) -> Bool {
        (1...SMTPLimits.clientNameOctetsMax).contains(name.count)
            && name.allSatisfy { Ascii.isLetterOrDigit($0) || "-._:[]".utf8.contains($0) }
    }
}
