extension POP3Command {
    /// LANG [range] (RFC 6856 section 3.2): texts are English, whoever asks.
    static let lang = POP3Command("LANG", in: .any) { machine, arguments, actions in
        guard let range = arguments.text else {
            guard arguments.isEmpty else { return machine.refuse(.error("LANG takes a language"), into: &actions) }
            return actions.append(.reply(.ok("Languages follow", lines: ["en English"])))
        }
        // A range that `en` is in, or any.
        guard range == "*" || range.lowercased() == "en" else {
            return actions.append(.reply(.error("No such language here, texts stay English")))
        }
        actions.append(.reply(.ok("en Texts are English")))
    }
}
