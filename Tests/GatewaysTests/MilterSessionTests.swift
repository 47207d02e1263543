// What filters have to do with the rest of a session: TLS that begins within it, recipients that are counted and reported, and a
// site that takes other filters meanwhile.
import MailCore
import MailTypes
import Milter
import SMTP
import Testing

@testable import Gateways

private typealias M = ScriptedMilter

@Suite struct MilterSessionTests {
    // MARK: STARTTLS

    /// The connection stays. What the client has said in the clear is forgotten: its greeting is told again, with what TLS has
    /// settled, and a transaction that had begun is over.
    @Test func startTLS() async throws {
        let milter = try M { _ in nil }
        let server = try tlsServer()
        try await withMilters([milter], options: { $0.tls = server }) { (node: TestNode) throws in
            let client = try node.smtp()
            #expect(try client.command("MAIL FROM:<joe@client.test>").hasPrefix("250"))
            #expect(try client.command("RCPT TO:<alice@example.test>").hasPrefix("250"))
            #expect(try client.command("RSET").hasPrefix("250"))
            #expect(milter.macros["H"] == nil && milter.macros["C"]?["{client_addr}"] == "127.0.0.1")
            milter.forget()
            try secure(client)
            #expect(try client.command("MAIL FROM:<joe@client.test>").hasPrefix("503"))
            #expect(try client.command("EHLO client.test").hasPrefix("250"))
            for _ in 0..<2 { #expect(try client.deliver(plainLetter).hasPrefix("250")) }
            // Once, and with the name that it had before.
            #expect(milter.commands == "AHMRTLLLLNBEMRTLLLLNBE")
            #expect(milter.told[1].texts == ["client.test"])
            #expect(milter.macros["H"]?["{tls_version}"] == "TLSv1.3")
            #expect(milter.macros["H"]?["{cipher}"]?.hasPrefix("TLS_") == true)
            #expect(["128", "256"].contains(milter.macros["H"]?["{cipher_bits}"]))
            #expect(milter.connections == 1 && !milter.hasQuit)
            #expect(try node.letters("alice@example.test").allSatisfy { $0.contains(" with ESMTPS ") })
            #expect(try client.command("QUIT").hasPrefix("221"))
            try waitUntil { milter.hasQuit }
        }
    }

    /// With TLS before the first transaction nothing was told in the clear.
    @Test func startTLSBeforeMail() async throws {
        let milter = try M { _ in nil }
        let server = try tlsServer()
        try await withMilters(
            [milter], change: { $0[0].dialects = [.smtp, .lmtp] }, options: { $0.tls = server }
        ) { (node: TestNode) throws in
            for client in [try node.smtp(), try node.lmtp()] {
                milter.forget()
                try secure(client)
                let hello = milter.connections == 0 ? "EHLO" : "LHLO"
                #expect(try client.command("\(hello) other.test").hasPrefix("250"))
                #expect(try client.deliver(plainLetter).hasPrefix("250"))
                #expect(milter.commands == "CHMRTLLLLNBE")
                #expect(milter.told[1].texts == ["other.test"])
                #expect(milter.macros["H"]?["{tls_version}"] == "TLSv1.3")
            }
        }
    }

    /// A verdict on the client stands; one on what it said in the clear does not.
    @Test(
        arguments: [
            ("C", "r", "550", "550"), ("H", "r", "550", "250"), ("C", "a", "250", "250"), ("H", "a", "250", "250"),
        ])
    func verdictsBeforeTLS(_ command: String, _ verdict: String, _ clear: String, _ secured: String) async throws {
        let stage = Stage()
        stage.current = command
        let milter = try M { told in told.command == stage.current ? .one(verdict) : nil }
        let server = try tlsServer()
        try await withMilters([milter], options: { $0.tls = server }) { (node: TestNode) throws in
            let client = try node.smtp()
            #expect(try client.command("MAIL FROM:<joe@client.test>").hasPrefix(clear))
            stage.current = ""
            #expect(try client.command("RSET").hasPrefix("250"))
            try secure(client)
            milter.forget()
            #expect(try client.command("EHLO client.test").hasPrefix("250"))
            #expect(try client.command("MAIL FROM:<joe@client.test>").hasPrefix(secured))
            #expect(milter.commands == (command == "H" ? "HM" : ""))
            #expect(milter.connections == 1)
        }
    }

    private func secure(_ client: TestClient) throws {
        #expect(try client.command("STARTTLS").hasPrefix("220"))
        try client.secure()
    }

    // MARK: Recipients

    /// Also where the copy waits in the queue for its report.
    @Test func whereARecipientIs() async throws {
        let milter = try M { _ in nil }
        try await withMilters([milter]) { (node: TestNode) throws in
            func mailer(_ recipient: String, _ client: TestClient) throws -> String? {
                #expect(try client.command("RCPT TO:\(recipient)").hasPrefix("250"))
                return milter.macros["R"]?["{rcpt_mailer}"]
            }
            let client = try node.submission("alice")
            #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
            #expect(try mailer("<far@elsewhere.test>", client) == "esmtp")
            #expect(try mailer("<bob@example.test> NOTIFY=SUCCESS", client) == "local")
            #expect(try mailer("<far@elsewhere.test> NOTIFY=SUCCESS", client) == "esmtp")
            #expect(try mailer("<bob@example.test>", client) == "local")
            let stranger = try node.smtp()
            #expect(try stranger.command("MAIL FROM:<joe@client.test>").hasPrefix("250"))
            #expect(try mailer("<bob@example.test> NOTIFY=SUCCESS,FAILURE", stranger) == "local")
        }
    }

    /// What the client asks for beside delivery.
    @Test func parametersOfTheEnvelope() async throws {
        let milter = try M { _ in nil }
        try await withMilters([milter]) { (node: TestNode) throws in
            let client = try node.submission("alice")
            #expect(
                try client.command(
                    "MAIL FROM:<alice@example.test> BODY=8BITMIME SIZE=9 RET=HDRS ENVID=a+2Bb HOLDFOR=60 BY=3600;NT"
                ).hasPrefix("250"))
            #expect(try client.command("RCPT TO:<bob@example.test> NOTIFY=NEVER").hasPrefix("250"))
            #expect(
                try client.command("RCPT TO:<x@elsewhere.test> ORCPT=rfc822;y@z.test NOTIFY=DELAY,FAILURE")
                    .hasPrefix("250"))
            let told = milter.told
            #expect(
                told[2].texts == [
                    "<alice@example.test>", "SIZE=9", "BODY=8BITMIME", "RET=HDRS", "ENVID=a+2Bb", "HOLDFOR=60",
                    "BY=3600;NT",
                ])
            #expect(told[3].texts == ["<bob@example.test>", "NOTIFY=NEVER"])
            #expect(told[4].texts == ["<x@elsewhere.test>", "NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;y@z.test"])
        }
    }

    /// The sender's hour has three, and no more of it is gone than recipients elsewhere that got something.
    @Test func recipientsThatFiltersRefuseAreNotCounted() async throws {
        let stage = Stage()
        let milter = try M { told in
            switch told.command {
            case "R" where told.text.hasPrefix("<no"): .one("r")
            case "E" where stage.current == "remove": .change(M.packet("-", M.text("<gone@elsewhere.test>")))
            case "E" where stage.current == "replace":
                .change(
                    M.packet("-", M.text("<gone@elsewhere.test>")), M.packet("+", M.text("<other@elsewhere.test>")))
            default: nil
            }
        }
        try await withMilters([milter], options: { $0.sending.recipientsPerHourMax = 3 }) { (node: TestNode) throws in
            let client = try node.submission("alice")
            let letter = plainLetter.replacing("joe@client", with: "alice@example")
            /// How many more the account may write to.
            func left() throws -> Int {
                #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
                for _ in 0..<4 { #expect(try client.command("RCPT TO:<no@elsewhere.test>").hasPrefix("550")) }
                var count = 0
                while try client.command("RCPT TO:<\(count)@elsewhere.test>").hasPrefix("250"), count < 5 { count += 1 }
                #expect(try client.command("RSET").hasPrefix("250"))
                return count
            }
            func send(_ recipients: String...) throws {
                #expect(try client.deliver(letter, from: "alice@example.test", to: recipients).hasPrefix("250"))
            }
            #expect(try left() == 3)
            stage.current = "remove"
            try send("gone@elsewhere.test", "bob@example.test")
            #expect(try left() == 3)
            try send("bob@example.test", "gone@elsewhere.test", "far@elsewhere.test")
            #expect(try left() == 2)
            // Nobody is left.
            try send("gone@elsewhere.test")
            #expect(try left() == 2)
            // Another address instead is no way around it.
            stage.current = "replace"
            try send("gone@elsewhere.test")
            #expect(try left() == 1)
        }
    }

    /// As in RCPT, where the node keeps a queue; what cannot be read is as if it were not there.
    @Test(arguments: [true, false])
    func parametersOfRecipientsThatAreAdded(_ isOpen: Bool) async throws {
        let milter = try M { told in
            guard told.command == "E" else { return nil }
            return .change(
                M.packet("2", M.text("<far@elsewhere.test>", "NOTIFY=NEVER ORCPT=rfc822;a+2Bb@c.test")),
                M.packet("2", M.text("<near@elsewhere.test>", "notify=SOMETIMES  X=1 ORCPT=rfc822;d@e.test")),
                M.packet("2", M.text("<bob@example.test>", "NOTIFY=SUCCESS,DELAY")),
                M.packet("2", M.text("carol@example.test", "NOTIFY=NEVER")),
                M.packet("2", M.text("<last@elsewhere.test>")))
        }
        try await withMilters([milter], options: { $0.sending.isOpen = isOpen }) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("250"))
            for (name, count) in [("alice", 1), ("bob", isOpen ? 0 : 1), ("carol", 1)] {
                #expect(try node.letters("\(name)@example.test").count == count, "\(name)")
            }
            let queued = try node.queueEntries().flatMap(\.recipients)
            let expected: [String: (QueueNotify, String)] = [
                "far@elsewhere.test": (.never, "rfc822;a+2Bb@c.test"), "near@elsewhere.test": ([], "rfc822;d@e.test"),
                "bob@example.test": ([.success, .delay], ""), "last@elsewhere.test": ([], ""),
            ]
            #expect(queued.count == (isOpen ? expected.count : 0))
            for recipient in queued {
                let (notify, original) = try #require(expected[recipient.address])
                #expect(recipient.notify == notify && recipient.original == original, "\(recipient)")
            }
        }
    }

    // MARK: Other filters

    /// A session that runs keeps those that it began with, whether or not it has come to a transaction.
    @Test func aSiteTakesOtherFilters() async throws {
        let (first, second) = (try M { _ in nil }, try M { _ in nil })
        defer { second.stop() }
        let other = MilterOptions(.tcp(host: "127.0.0.1", port: second.port))
        try await withMilters([first]) { (node: TestNode) throws in
            let (early, used) = (try node.smtp(), try node.smtp())
            #expect(try used.deliver(plainLetter).hasPrefix("250"))
            node.gateways.replace([other])
            first.forget()
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("250"))
            #expect(first.commands.isEmpty && second.commands == "CHMRTLLLLNBE")
            for client in [early, used] { #expect(try client.deliver(plainLetter).hasPrefix("250")) }
            #expect(first.commands == "CHMRTLLLLNBEMRTLLLLNBE" && second.connections == 1)
            node.gateways.replace([])
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("250"))
            #expect(first.connections == 2 && second.connections == 1)
            #expect(try used.deliver(plainLetter).hasPrefix("250"))
            #expect(first.commands.hasSuffix("MRTLLLLNBE") && first.connections == 2)
        }
    }
}
