import ArgumentParser
import Foundation
import Server

extension Domain {
    struct DKIM: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "dkim", abstract: "Keys that sign mail of a domain.",
            subcommands: [Add.self, List.self, Show.self, Remove.self])

        func run() throws { throw ValidationError("dkim needs one of add, list, show, remove") }

        struct Add: ParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Make a key and print the record to publish; mail is signed with it from now on.")
            @OptionGroup var options: StoreOptions
            @Argument var domain: String
            @Argument(help: "Names the key in the DNS, such as 2026a.")
            var selector: String
            @Option(help: "rsa or ed25519; not every receiver knows ed25519 yet.")
            var algorithm = "rsa"
            @Option(help: "Of an RSA key, 1024 to 4096.")
            var bits = 2048
            @Option(help: ArgumentHelp("Take this key, in PEM, instead of making one.", valueName: "file"))
            var key: String?

            func run() throws {
                let file = try key.map { path in
                    let octets = try InputFile.open(absolute(path)).read(upToCount: ServerLimits.keyFileOctetsMax)
                    return (octets ?? Data()).base64EncodedString()
                }
                try options.run(
                    DomainKeyAdd(domain: domain, selector: selector, algorithm: algorithm, bits: bits, key: file))
            }
        }

        struct List: ParsableCommand {
            static let configuration = CommandConfiguration(abstract: "List the keys, which are not shown.")
            @OptionGroup var options: StoreOptions
            @Argument(help: "Without it, of every domain.")
            var domain: String?
            func run() throws { try options.run(DomainKeyList(domain: domain)) }
        }

        struct Show: ParsableCommand {
            static let configuration = CommandConfiguration(abstract: "Print the record to publish.")
            @OptionGroup var options: StoreOptions
            @Argument var domain: String
            @Argument var selector: String
            func run() throws { try options.run(DomainKeyShow(domain: domain, selector: selector)) }
        }

        struct Remove: ParsableCommand {
            static let configuration = CommandConfiguration(abstract: "Forget a key.")
            @OptionGroup var options: StoreOptions
            @Argument var domain: String
            @Argument var selector: String
            func run() throws { try options.run(DomainKeyRemove(domain: domain, selector: selector)) }
        }
    }
}
