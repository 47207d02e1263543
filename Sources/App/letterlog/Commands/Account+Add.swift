import ArgumentParser
import Server

extension Account {
    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Add an account.")

        @OptionGroup var options: StoreOptions

        @Argument(help: "The full address; without @ it gets the store's domain.")
        var address: String

        @Flag(help: "Read the password from the first line of standard input.")
        var passwordStdin = false

        @Flag(help: "Make an account without a password, which nobody can log in to.")
        var noPassword = false

        @Flag(help: "saslauthd keeps the password (`logins.saslauthd.socket`).")
        var saslauthd = false

        @Option(help: "The owner's name.")
        var name = ""

        func validate() throws {
            if [passwordStdin, noPassword, saslauthd].filter(\.self).count > 1 {
                throw ValidationError("--password-stdin, --no-password and --saslauthd exclude each other")
            }
        }

        func run() throws {
            let verifier: String? =
                saslauthd
                ? PasswordVerifier.external
                : noPassword ? nil : try PasswordVerifier.make(PasswordInput.read(fromInput: passwordStdin))
            try options.run(
                AccountAdd(entries: [AccountAdd.Entry(address: address, verifier: verifier, displayName: name)]))
        }
    }
}
