import ArgumentParser
import Server

extension Account {
    struct Passwd: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Set the password.")

        @OptionGroup var options: StoreOptions

        @Argument var address: String

        @Flag(help: "Read the password from the first line of standard input.")
        var passwordStdin = false

        func run() throws {
            let verifier = try PasswordVerifier.make(PasswordInput.read(fromInput: passwordStdin))
            try options.run(AccountSetPassword(address: address, verifier: verifier))
        }
    }
}
