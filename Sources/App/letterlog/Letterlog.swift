// The command line: flags, exit codes, progress. Everything else is in Server.
import ArgumentParser
import Foundation
import Server

struct Letterlog: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "letterlog",
        abstract: "A mail store that keeps a history.",
        discussion: """
            Exit codes: 0 done, 1 the thing asked failed, 2 wrong usage, 75 try again later.
            A command goes to the node that serves the store, or, when none does, opens the store itself.
            """,
        subcommands: [
            Init.self, ServeCommand.self, CheckConfig.self, Account.self, Domain.self, Mailbox.self, Import.self,
            Export.self,
            Log.self, QueueCommand.self,
            Rebuild.self, Verify.self, Stats.self, MaildirCommand.self, WhoCommand.self, KickCommand.self, Bench.self,
        ])

    func run() throws { throw ValidationError("a command is missing") }
}

// Not async: an asynchronous main would start on the main actor, and every hop away from it costs 15 microseconds.
@main
enum Main {
    static func main() {
        do {
            var command = try Letterlog.parseAsRoot()
            try command.run()
        } catch {
            exit(error)
        }
    }

    private static func exit(_ error: any Error) -> Never {
        if let failure = error as? AdministrationFailure { fail(failure.text, failure.status.rawValue) }
        if let code = error as? ExitCode { Foundation.exit(code.rawValue) }
        switch Letterlog.exitCode(for: error) {
        case .success:
            print(Letterlog.fullMessage(for: error))
            Foundation.exit(0)
        case .validationFailure:
            fail(Letterlog.message(for: error) + " (see --help)", ExitStatus.usage.rawValue)
        default:
            let failure = AdministrationFailure(error)
            fail(failure.text, failure.status.rawValue)
        }
    }

    private static func fail(_ text: String, _ code: Int32) -> Never {
        // One line, whatever the text holds.
        let line = text.replacing("\n", with: " ")
        FileHandle.standardError.write(Data("letterlog: \(line)\n".utf8))
        Foundation.exit(code)
    }
}
