// The built `letterlog` as a person or a script runs it: exit codes, what is printed where, a node from its start to
// its end. Each test makes a store of its own; ports are given by the system.
import Foundation
import Testing

@testable import letterlog

@Suite(.serialized)
struct CommandLineTests {
    @Test(arguments: [
        [], ["nonsense"], ["account"], ["account", "add"], ["account", "list"], ["account", "list", "--nonsense"],
        ["mailbox"], ["log"], ["import"], ["log", "why", "--store", "x"], ["rebuild", "--projection", "soup"],
        ["verify", "--blobs", "101"], ["bench", "nothing"], ["bench", "deliver", "--messages", "0"],
        ["serve", "--listen", "smtp", "--store", "x"], ["init"], ["kick"], ["domain"], ["account", "password"],
        ["account", "password", "add", "a", "phone", "--expires", "soon"],
    ])
    func wrongUsageIsTwoAndOneLine(_ arguments: [String]) throws {
        let process = Program.process(arguments)
        let error = Pipe()
        process.standardError = error
        process.standardOutput = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: error.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 2)
        #expect(text.hasPrefix("letterlog: ") && text.count(where: { $0 == "\n" }) == 1)
    }

    @Test func helpIsNoFailure() throws {
        let help = try Program.run("--help")
        #expect(help.status == 0 && help.output.contains("account") && help.error.isEmpty)
    }

    @Test func aStoreFromInitToTheLog() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = scratch.path + "/mail"
        let first = try Program.run("init", "--store", store, "--domain", "example.test")
        #expect(first.status == 0)
        let again = try Program.run("init", "--store", store)
        #expect(again.status == 1 && again.error.contains("holds a store already"))
        let added = try Program.run(
            "account", "add", "alice", "--password-stdin", "--store", store, input: "pass word\n")
        #expect(added.status == 0)
        #expect(
            added.output == "added alice@example.test; it also receives for postmaster@example.test, "
                + "abuse@example.test\n")
        let twice = try Program.run("account", "add", "alice", "--no-password", "--store", store)
        #expect(twice.status == 1)
        #expect(twice.error == "letterlog: alice@example.test belongs to an account already\n")
        let shown = try Program.run("account", "show", "alice", "--store", store, "--json")
        let value = try JSONSerialization.jsonObject(with: Data(shown.output.utf8)) as? [String: Any]
        #expect(value?["address"] as? String == "alice@example.test")
        #expect(value?["mailboxes"] as? Int == 6)
        let passwd = try Program.run("account", "passwd", "alice", "--password-stdin", "--store", store, input: "other")
        #expect(passwd.status == 0)
        let empty = try Program.run("account", "passwd", "alice", "--password-stdin", "--store", store)
        #expect(empty.status == 2 && empty.error.contains("empty"))
        let quiet = try Program.run("account", "disable", "alice", "--store", store, "--quiet")
        #expect(quiet.status == 0 && quiet.output.isEmpty)
        let list = try Program.run("account", "list", "--quiet", environment: ["LETTERLOG_STORE": store])
        #expect(list.lines.count == 1 && list.output.contains("disabled"))
        let log = try Program.run("log", "show", "--store", store)
        #expect(log.output.contains("AccountStatusSet status=disabled"))
        #expect(!log.output.contains("pass word") && !log.output.contains("SCRAM"))
        let stats = try Program.run("stats", "--store", store, "--json")
        #expect(stats.output.contains(#""accounts":1,"#))
    }

    @Test func accountsOfAFile() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = scratch.path + "/mail"
        try Program.run("init", "--store", store, "--domain", "example.test")
        let file = scratch.path + "/people.csv"
        try "address,password\na@example.test,one\n\"b@example.test\",\"t\"\"wo, too\"\na@example.test,three\nc,\n"
            .write(toFile: file, atomically: true, encoding: .utf8)
        let run = try Program.run("account", "import", file, "--store", store)
        #expect(run.status == 1)
        #expect(run.output.contains("a@example.test: a@example.test belongs to an account already"))
        #expect(run.output.contains("c: the password is empty"))
        #expect(run.output.contains("added 2 accounts, 2 could not be added"))
        #expect(!run.output.contains("three") && !run.error.contains("three"))
    }

    @Test(
        arguments: [
            ("a,b\n", ["a", "b"]), ("\"a\",\"b,c\"\n", ["a", "b,c"]), ("\"a\"\"\",b", ["a\"", "b"]),
            ("a,\r\n", ["a", ""]),
            ("a\n", nil), ("a,b,c\n", nil), ("\"a,b\n", nil), ("a\"b,c\n", nil), ("\"a\"x,c\n", nil),
        ] as [(String, [String]?)])
    func linesOfAFile(_ text: String, _ fields: [String]?) {
        let record = try? AccountFile.parse(text, path: "f").first
        #expect((record ?? nil).map { [$0.address, $0.password] } == fields)
    }

    /// The head is the first line that names the columns, and nothing that only looks like it.
    @Test(
        arguments: [
            ("account,user,password\na,b,c\n", true, ["a b c"]),
            ("\u{FEFF}account,user,password\na,b,c\n", true, ["a b c"]),
            ("\nAccount,User,Password\r\na,b,c\r\n", true, ["a b c"]), ("account,user\na\n", false, ["a a "]),
            ("account,boss,secret\na,b,c\n", true, ["account boss secret", "a b c"]),
            ("account\n", false, ["account account "]),
            ("a,b,c\naccount,user,password\n", true, ["a b c", "account user password"]), ("a,,c\n", true, ["a a c"]),
            ("a,b\n", true, nil), ("a,b,c,d\n", false, nil), (",b,c\n", true, nil), ("a,b\"x,c\n", true, nil),
        ] as [(String, Bool, [String]?)])
    func accountsOfASource(_ text: String, _ needsPasswords: Bool, _ wanted: [String]?) throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let path = scratch.path + "/accounts.csv"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        let found = try? SourceAccountFile.read(path: path, needsPasswords: needsPasswords)
        #expect(found.map { $0.map { "\($0.address) \($0.user) \($0.password)" } } == wanted)
    }

    @Test func oneUserIsNotThatOfManyAccounts() throws {
        let run = try Program.run(
            "import", arguments: ["imap", "--accounts", "none.csv", "--user", "bob", "--host", "localhost"])
        #expect(run.status == 2)
        #expect(run.error.contains("--user"), "\(run.error)")
    }

    @Test func aNodeAndItsStoreAnswerTheSame() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = scratch.path + "/mail"
        try Program.run("init", "--store", store, "--domain", "example.test")
        let node = try ServedStore(store, "--listen", "smtp=127.0.0.1:0", "--listen", "http=127.0.0.1:0")
        #expect(node.ready.contains(#/^ready smtp=127\.0\.0\.1:\d+ http=127\.0\.0\.1:\d+$/#))
        #expect(try Program.run("account", "add", "bob", "--no-password", "--store", store).status == 0)
        let commands = [
            ["account", "list"], ["account", "show", "bob"], ["mailbox", "list", "bob"],
            ["mailbox", "status", "bob", "Sent"], ["log", "show"], ["log", "tail", "--no-follow"],
            ["rebuild", "--projection", "state", "--check"], ["account", "show", "nobody"],
        ]
        func answers() throws -> [String] {
            try commands.map { command in
                let run = try Program.run(command[0], arguments: command.dropFirst() + ["--store", store])
                return "\(run.status) \(run.output) \(run.error)"
            }
        }
        let served = try answers()
        let refused = try Program.run("rebuild", "--projection", "state", "--store", store)
        #expect(refused.status == 1 && refused.error.contains("stop the node first"))
        let second = try Program.run("serve", "--store", store, "--listen", "http=127.0.0.1:0")
        #expect(second.status == 75 && second.error.contains("in use"))
        node.signal(SIGHUP)
        #expect(node.stop() == 0)
        #expect(try answers() == served)
        #expect(!FileManager.default.fileExists(atPath: store + "/admin.sock"))
    }

    @Test func aStoreThatAnotherProcessOwnsIsTriedLater() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = scratch.path + "/mail"
        try Program.run("init", "--store", store)
        let node = try ServedStore(store, "--listen", "http=127.0.0.1:0")
        // Without its socket the node cannot be asked.
        try FileManager.default.removeItem(atPath: store + "/admin.sock")
        let run = try Program.run("account", "list", "--store", store)
        #expect(run.status == 75)
        #expect(run.error.contains("in use") && run.error.contains("pid"))
        #expect(node.stop(SIGINT) == 0)
    }

    @Test func storesThatAreNoneAreNamed() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let nothing = try Program.run("account", "list", "--store", scratch.path + "/nothing")
        #expect(nothing.status == 1 && nothing.error.contains("holds no store"))
        let store = scratch.path + "/newer"
        try Program.run("init", "--store", store)
        let manifest = try String(contentsOfFile: store + "/STORE", encoding: .utf8)
        try manifest.replacing("\"format\": 4", with: "\"format\": 99")
            .write(toFile: store + "/STORE", atomically: true, encoding: .utf8)
        let newer = try Program.run("account", "list", "--store", store)
        #expect(newer.status == 1 && newer.error.contains("format 99"))
    }

    @Test func aListenerThatCannotBeHadEndsTheNode() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = scratch.path + "/mail"
        try Program.run("init", "--store", store)
        let run = try Program.run("serve", "--store", store, "--listen", "smtp=192.0.2.1:25")
        #expect(run.status == 1 && run.error.contains("smtp=192.0.2.1:25"))
    }

    @Test func mistakesInTheConfiguration() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let file = scratch.path + "/site.yaml"
        try "limits:\n  conections: 5\n".write(toFile: file, atomically: true, encoding: .utf8)
        let check = try Program.run("check-config", "--config", file)
        #expect(check.status == 1)
        #expect(check.output.hasPrefix("\(file):2: `limits.conections` is no key"))
        let serve = try Program.run("serve", "--store", scratch.path, "--config", file)
        #expect(serve.status == 2 && serve.error.contains("\(file):2"))
        let printed = try Program.run("check-config", "--print", "--set", "limits.connections=17")
        #expect(printed.status == 0 && printed.output.contains("limits.connections: 17\n"))
    }
}

extension Program {
    static func run(_ first: String, arguments: [String]) throws -> Run {
        let process = process([first] + arguments)
        let (output, error) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = error
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let out = output.fileHandleForReading.readDataToEndOfFile()
        let err = error.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Run(
            status: process.terminationStatus, output: String(decoding: out, as: UTF8.self),
            error: String(decoding: err, as: UTF8.self))
    }
}
