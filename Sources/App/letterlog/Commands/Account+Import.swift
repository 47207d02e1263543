import ArgumentParser
import Foundation
import Server

extension Account {
    struct ImportAccounts: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "import", abstract: "Add the accounts of a CSV file: address,password on each line.",
            discussion: """
                A field may stand in double quotes, a double quote in it is written twice (RFC 4180). A first line
                `address,password` is passed over. In the place of a password a hash of crypt(5) may stand with its
                scheme in front: {CRYPT}$y$..., also {SHA512-CRYPT}, {SHA256-CRYPT} and {BLF-CRYPT}; {SASL} leaves the
                password to saslauthd. What cannot be added is listed, the rest is added.
                """)

        @OptionGroup var options: StoreOptions

        @Argument(help: "The CSV file.")
        var file: String

        func run() throws {
            let records = try AccountFile.read(path: file)
            let (store, configuration) = try options.resolve()
            let client = try AdministrationClient(
                store: store, configuration: configuration, form: options.output.json ? .json : .text)
            defer { client.close() }
            let printer = Printer(options.output)
            defer { printer.finish() }
            var added = 0
            var seen = 0
            for start in stride(from: 0, to: records.count, by: ServerLimits.accountsPerRequestMax) {
                let chunk = records[start..<min(start + ServerLimits.accountsPerRequestMax, records.count)]
                var entries: [AccountAdd.Entry] = []
                for record in chunk {
                    seen += 1
                    try printer.print(AnswerLine(.progress, done: seen, total: records.count))
                    do {
                        let verifier = try PasswordVerifier.makeImported(record.password)
                        entries.append(AccountAdd.Entry(address: record.address, verifier: verifier))
                    } catch {
                        try printer.print(
                            "\(record.address): \(error.text)",
                            ["address": .string(record.address), "error": .string(error.text)], isAnswer: true)
                    }
                }
                guard !entries.isEmpty else { continue }
                try client.run(AccountAdd(entries: entries, continues: true)) { line in
                    // The sum is told once, at the end.
                    if line.kind == .done { added += line.done ?? 0 } else { try printer.print(line) }
                }
            }
            let failed = records.count - added
            try printer.print(
                "added \(added) accounts" + (failed > 0 ? ", \(failed) could not be added" : ""),
                ["added": .count(added), "failed": .count(failed)])
            if failed > 0 { throw AdministrationFailure("\(failed) of \(records.count) accounts could not be added") }
        }
    }
}
