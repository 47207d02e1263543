import ArgumentParser
import Server

extension Account {
    struct Password: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Further passwords of an account, one for each device or program.",
            subcommands: [Add.self, List.self, Revoke.self])

        func run() throws { throw ValidationError("password needs one of add, list, revoke") }

        struct Add: ParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Add a password, and show it once when it was generated.")

            @OptionGroup var options: StoreOptions

            @Argument var address: String

            @Argument(help: "What it is for, such as phone.")
            var label: String

            @Option(
                help: ArgumentHelp("imap, pop3, smtp, joined by commas; without it all.", valueName: "protocols"))
            var scope: String?

            @Option(
                help: ArgumentHelp("When it ends: 90d, or a day in UTC such as 2027-01-31.", valueName: "when"))
            var expires: String?

            @Flag(help: "Take the password from the first line of standard input instead of generating one.")
            var passwordStdin = false

            func run() throws {
                let password = passwordStdin ? try PasswordInput.read(fromInput: true) : GeneratedPassword.make()
                let end = try expires.map { text in
                    guard let end = ExpiryText.milliseconds(text) else {
                        throw ValidationError(
                            "--expires takes days such as 90d or a day such as 2027-01-31, not \(text)")
                    }
                    return end
                }
                let scopes = (scope ?? "").split(separator: ",").map(String.init)
                try options.run(
                    AccountPasswordAdd(
                        address: address, label: label, scopes: scopes, expires: end,
                        verifier: PasswordVerifier.make(password)))
                guard !passwordStdin else { return }
                let text = String(decoding: password, as: UTF8.self)
                try Printer(options.output).print(text, ["password": .string(text)], isAnswer: true)
            }
        }

        struct List: ParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "List the passwords of an account, which are not shown.")
            @OptionGroup var options: StoreOptions
            @Argument var address: String
            func run() throws { try options.run(AccountPasswordList(address: address)) }
        }

        struct Revoke: ParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Take a password away; the sessions that came in by it end.")
            @OptionGroup var options: StoreOptions
            @Argument var address: String
            @Argument var label: String
            func run() throws { try options.run(AccountPasswordRevoke(address: address, label: label)) }
        }
    }
}
