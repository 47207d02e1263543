import Foundation
import ProgramSupport
import Testing

/// Runs the scripts of this folder, each against the `letterlog` that was built with the tests. A script says in its
/// docstring what it promises; it prints the first promise that was not kept, with the end of the node's log, and ends
/// with 1. A client program that is not installed fails its script, which names the Debian package.
///
/// With `LETTERLOG_SOAK_SEED` the messages of corpus.py and the changes of imap_soak.py are others; with
/// `LETTERLOG_SOAK_SECONDS` the latter goes on for as long, but for ten minutes at most, and 10,000 messages go through
/// sending_kill.py each way.
@Suite("clients that are not ours, against a node", .serialized)
struct ScriptTests {
    @Test(
        "every promise of the script holds",
        arguments: [
            "corpus.py", "pasted.py", "dovecot_maildir.py", "mutt.py", "maildir_two_way.py", "maildir_together.py",
            "clients.py",
            "badinput.py", "listeners.py", "logins.py", "mechanisms.py", "storm.py", "secrets.py", "repeats.py",
            "tls_clients.py", "sending.py", "sending_kill.py", "requiretls.py", "import_imap.py", "import_maildir.py",
            "import_mbox.py",
            "import_pop3.py", "export_mail.py", "migrate.py",
            "checks.py", "milters.py",
            "imap_python.py", "imap_sync.py", "imap_fetch.py", "imap_screen.py", "imap_thunderbird.py",
            "tls_thunderbird.py", "imap_badinput.py", "imap_soak.py",
        ])
    func script(name: String) throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
        var arguments = [BuiltProgram.path(of: "letterlog")]
        let environment = ProcessInfo.processInfo.environment
        if name == "imap_soak.py", let seconds = environment["LETTERLOG_SOAK_SECONDS"].flatMap(Int.init) {
            arguments.append("\(min(seconds, 600))")
            environment["LETTERLOG_SOAK_SEED"].map { arguments.append($0) }
        }
        if name == "corpus.py", let seed = environment["LETTERLOG_SOAK_SEED"] {
            arguments.append(seed)
        }
        if name == "sending_kill.py", environment["LETTERLOG_SOAK_SECONDS"] != nil { arguments.append("10000") }
        let script = try PythonScript(running: folder.appending(path: name).path, arguments)
        #expect(script.status == 0, "\(name) ended with \(script.status):\n\(script.said)")
    }
}
