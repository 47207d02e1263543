// App passwords, who and kick as an administrator runs them, against a node that serves.
import Foundation
import Glibc
import MailTypes
import Testing

@testable import Server

@Suite(.serialized)
struct SessionCommandTests {
    /// A POP3 client with just enough to log in.
    private final class Client {
        private let descriptor: Int32
        private var buffer: [UInt8] = []

        init(port: UInt16) throws {
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var patience = timeval(tv_sec: 30, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let code = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            try #require(code == 0)
        }

        deinit { close(descriptor) }

        /// The next line; empty at the end.
        func line() -> String {
            while true {
                if let end = buffer.firstIndex(of: 0x0A) {
                    defer { buffer.removeFirst(end + 1) }
                    return String(decoding: buffer[..<end], as: UTF8.self).trimmingCharacters(in: .newlines)
                }
                var part = [UInt8](repeating: 0, count: 4096)
                let count = recv(descriptor, &part, part.count, 0)
                guard count > 0 else { return "" }
                buffer += part[..<count]
            }
        }

        func command(_ text: String) -> String {
            let octets = Array((text + "\r\n").utf8)
            _ = send(descriptor, octets, octets.count, 0x4000)
            return line()
        }
    }

    private func logIn(_ port: UInt16, _ password: String) throws -> (client: Client, answer: String) {
        let client = try Client(port: port)
        _ = client.line()
        _ = client.command("USER alice")
        return (client, client.command("PASS \(password)"))
    }

    @Test func passwordsAndSessionsOfANode() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = scratch.path + "/mail"
        try Program.run("init", "--store", store, "--domain", "example.test")
        try Program.run("account", "add", "alice", "--password-stdin", "--store", store, input: "main\n")
        let node = try ServedStore(store, "--listen", "pop3=127.0.0.1:0")
        let port = try #require(node.ready.split(separator: ":").last.flatMap { UInt16($0) })

        let added = try Program.run(
            "account", "password", "add", "alice", "phone", "--scope", "pop3", "--expires", "30d", "--store", store)
        #expect(added.status == 0 && added.lines.count == 2)
        #expect(added.lines.first?.hasPrefix("alice@example.test has the password `phone` for pop3, until ") == true)
        let password = String(added.lines.last ?? "")
        #expect(password.wholeMatch(of: #/[a-z0-9]{4}(-[a-z0-9]{4}){4}/#) != nil)
        let imapOnly = try Program.run(
            "account", "password", "add", "alice", "tablet", "--scope", "imap", "--password-stdin", "--store", store,
            input: "on the tablet\n")
        #expect(imapOnly.status == 0 && imapOnly.lines.count == 1)

        let (phone, answer) = try logIn(port, password)
        #expect(answer.hasPrefix("+OK"))
        #expect(try logIn(port, "on the tablet").answer.hasPrefix("-ERR [AUTH]"))
        let who = try Program.run("who", "--account", "alice", "--json", "--store", store)
        let session = try #require(
            try JSONSerialization.jsonObject(with: Data(who.lines.first.map { Data($0.utf8) } ?? Data()))
                as? [String: Any])
        #expect(who.lines.count == 1)
        #expect(session["account"] as? String == "alice@example.test")
        #expect(session["client"] as? String == "127.0.0.1")
        #expect(session["tls"] as? Bool == false)
        #expect(try Program.run("who", "--from", "192.0.2.0/24", "--store", store).output.isEmpty)
        #expect(
            try Program.run("who", "--store", store).output.contains(
                "alice@example.test  pop3  127.0.0.1  plain  since "))

        // Revoked: the session hears it.
        #expect(try Program.run("account", "password", "revoke", "alice", "phone", "--store", store).status == 0)
        #expect(phone.line() == "-ERR [SYS/PERM] Credentials have changed, log in again")
        #expect(phone.line().isEmpty)

        // Kicked: it hears that, and may come again.
        let (main, _) = try logIn(port, "main")
        let identifier = try Program.run("who", "--account", "alice", "--store", store).lines.first?.split(
            separator: " "
        ).last
        let kicked = try Program.run("kick", "--session", String(identifier ?? ""), "--store", store)
        #expect(kicked.output == "ended 1 session\n")
        #expect(main.line() == "-ERR [SYS/PERM] Session ended by the administrator")
        let (again, welcome) = try logIn(port, "main")
        #expect(welcome.hasPrefix("+OK"))
        #expect(try Program.run("account", "disable", "alice", "--store", store).status == 0)
        #expect(again.line() == "-ERR [SYS/PERM] Account is not available")
        #expect(node.stop() == 0)

        let nobody = try Program.run("who", "--store", store)
        #expect(nobody.status == 0 && nobody.output == "no node serves the store, so there are no sessions\n")
        #expect(try Program.run("kick", "--account", "alice", "--store", store).status == 1)
    }

    @Test(arguments: [
        ("1d", 86_400), ("36500d", 36_500 * 86_400), ("1970-01-01", 86_400), ("2000-02-29", 951_868_800),
        ("2027-01-31", 1_801_440_000), ("9999-12-31", 253_402_300_800),
    ])
    func ends(_ text: String, _ seconds: Int64) {
        #expect(ExpiryText.timestamp(text, from: Timestamp(seconds: 0)) == Timestamp(seconds: seconds))
    }

    @Test(arguments: [
        "", "d", "0d", "-1d", "36501d", "1.5d", "2027-02-29", "1900-01-01", "2027-13-01", "2027-00-01", "2027-01-00",
        "27-01-01", "2027-1-1", "2027-01-01T00:00", "99999999999999999999d", "+1d",
    ])
    func noEnds(_ text: String) {
        #expect(ExpiryText.timestamp(text, from: Timestamp(seconds: 0)) == nil)
    }

    @Test func generatedPasswordsAreAllDifferent() {
        let passwords = Set((0..<1000).map { _ in String(decoding: GeneratedPassword.make(), as: UTF8.self) })
        #expect(passwords.count == 1000)
        #expect(passwords.allSatisfy { $0.wholeMatch(of: #/[a-hjkmnp-z02-9]{4}(-[a-hjkmnp-z02-9]{4}){4}/#) != nil })
    }
}
