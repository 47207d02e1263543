// No open relay: every combination of listener, client, login, sender and recipient with what RCPT, or the command that
// stops it before, answers. The page is written from what was seen; what must hold of every row is said here.
import MailTypes
import Octets
import Testing

@testable import Gateways

@Suite struct RelayTableTests {
    private static let loopback = ListenAddress.tcp(host: "127.0.0.1", port: 0)
    private static let listeners: [GatewayProtocol] = [.smtp, .lmtp, .submission, .submissions]

    private enum Place: String, CaseIterable { case here = "this machine", elsewhere = "another host" }
    private enum Login: String, CaseIterable { case none = "none", alice }
    private static let senders = ["<>", "<alice@example.test>", "<bob@example.test>", "<a@elsewhere.test>"]
    /// What each recipient is.
    private static let recipients: [(path: String, isOurs: Bool)] = [
        ("<bob@example.test>", true), ("<Bob+detail@EXAMPLE.test>", true), ("<postmaster>", true),
        ("<@elsewhere.test:bob@example.test>", true), ("<nobody@example.test>", false), ("<a@elsewhere.test>", false),
        ("<@example.test:a@elsewhere.test>", false), ("<a%elsewhere.test@example.test>", false),
        ("<\"a@elsewhere.test\"@example.test>", false), ("<elsewhere.test!a@example.test>", false),
        ("<a@elsewhere.test@example.test>", false), ("<bob@[127.0.0.1]>", false), ("<bob@mx.example.test>", false),
        ("<bob>", false), ("<>", false),
        // A domain of ours in another script; with U-labels it takes SMTPUTF8 at MAIL, which none of these says.
        ("<bob@xn--bcher-kva.test>", true), ("<nobody@xn--bcher-kva.test>", false), ("<bob@bücher.test>", false),
    ]

    private static func connect(_ node: TestNode, _ name: GatewayProtocol, _ place: Place, _ login: Login) throws
        -> TestClient?
    {
        let client = try node.client(name)
        let address = place == .here ? "127.0.0.1" : "192.0.2.1"
        try client.send("PROXY TCP4 \(address) 127.0.0.1 40000 25\r\n")
        if name == .submissions { try client.secure() }
        #expect(try client.reply().first?.hasPrefix("220 ") == true)
        #expect(try client.command((name == .lmtp ? "LHLO" : "EHLO") + " client.test").hasPrefix("250 "))
        guard login == .alice else { return client }
        let response = Base64.encode(Array("\0alice\0\(password)".utf8))
        return try client.command("AUTH PLAIN \(response)").hasPrefix("235 ") ? client : nil
    }

    private static func greeted(_ node: TestNode) throws -> TestClient {
        guard let client = try connect(node, .smtp, .here, .none) else { throw ClientError.system("no session") }
        return client
    }

    /// The first reply that is no success, or RCPT's.
    private static func answer(_ client: TestClient, _ sender: String, _ recipient: String) throws -> String {
        let mail = try client.command("MAIL FROM:\(sender)")
        let reply = mail.hasPrefix("250 ") ? try client.command("RCPT TO:\(recipient)") : mail
        #expect(try client.command("RSET").hasPrefix("250 "))
        return String(reply.prefix(9))
    }

    @Test func theTable() async throws {
        var rows: [[String]] = []
        let server = try tlsServer()
        try await withNode(
            listeners: Self.listeners.map { ($0, Self.loopback) },
            options: {
                $0.tls = server
                $0.sending.isOpen = true
                $0.proxyFrom = TrustedPeers(networks: [IPNetwork("127.0.0.1")!])
            }
        ) { node in
            node.perform(try node.account("bob@example.test"), .addAddress(Address("bob@bücher.test")!, .alias))
            let isKnown = try await eventually {
                try Self.answer(try Self.greeted(node), "<>", "<nobody@xn--bcher-kva.test>") == "550 5.1.1"
            }
            #expect(isKnown)
            rows = try await onOwnThread { try Self.rows(node) }
        }
        try checkPage("docs/protocols/relay.md", Self.page(rows))
    }

    private static func rows(_ node: TestNode) throws -> [[String]] {
        var rows: [[String]] = []
        for name in listeners {
            for place in Place.allCases {
                for login in Login.allCases {
                    guard let client = try connect(node, name, place, login) else {
                        rows.append([name.rawValue, place.rawValue, login.rawValue, "", "", "AUTH refused"])
                        continue
                    }
                    for sender in senders {
                        let answers = try recipients.map { (path: $0.path, reply: try answer(client, sender, $0.path)) }
                        for (answer, recipient) in zip(answers, recipients) {
                            check(name, login, sender, recipient, answer.reply)
                        }
                        // Recipients that are told the same stand in one row.
                        for reply in Set(answers.map(\.reply)).sorted() {
                            let told = answers.filter { $0.reply == reply }.map { "`\($0.path)`" }
                            rows.append([
                                name.rawValue, place.rawValue, login.rawValue, "`\(sender)`",
                                told.count == recipients.count ? "any of them" : told.joined(separator: ", "), reply,
                            ])
                        }
                    }
                }
            }
        }
        return rows
    }

    /// The rules behind the table.
    private static func check(
        _ name: GatewayProtocol, _ login: Login, _ sender: String, _ recipient: (path: String, isOurs: Bool),
        _ reply: String
    ) {
        let what = "\(name) \(login) \(sender) \(recipient.path): \(reply)"
        let isAccepted = reply.hasPrefix("250 ")
        let isSubmission = name == .submission || name == .submissions
        // Nobody sends on through this host who has not logged in, and to a listener for that.
        if !recipient.isOurs, isAccepted { #expect(isSubmission && login == .alice, "\(what)") }
        if isSubmission {
            if login == .none { #expect(reply == "530 5.7.0", "\(what)") }
            // Nobody sends as somebody else.
            if login == .alice, sender == "<bob@example.test>" || sender == "<a@elsewhere.test>" {
                #expect(reply == "553 5.7.1", "\(what)")
            }
        } else {
            #expect(isAccepted == recipient.isOurs, "\(what)")
            #expect(login == .none, "only submission has AUTH: \(what)")
        }
    }

    private static func page(_ rows: [[String]]) -> String {
        """
        # Who may send what to whom

        No listener is an open relay: for hosts elsewhere takes mail only who has logged in to a listener for submission, and
        only from addresses of that login (RFC 5321 section 7.9, RFC 6409 sections 4.3 and 6.1). Each row is a combination of
        listener, client, login and sender with recipients that get the same answer: that of RCPT, or of MAIL where that is
        refused before. `example.test` is ours, `nobody@example.test` is no account, `elsewhere.test` is not ours. Nobody is
        trusted for his address: this machine's clients hear what all others hear.

        Written by `tools/tables` from `RelayTableTests`, which asks a node over sockets.


        """ + markdownTable(["listener", "client", "login", "sender", "recipients", "answer"], rows)
    }
}
