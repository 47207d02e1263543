// What senders ask for beside delivery, and what operators say: reports (RFC 3461), times (RFC 4865, RFC 2852), TLS on every
// hop (RFC 8689), hold and release.
import MailCore
import MailTypes
import SMTP
import Synchronization
import Testing

@testable import Delivery

/// Writes down what a next host is told.
private final class Notebook: Sendable {
    private let said = Mutex<[String]>([])
    func note(_ line: String) { said.withLock { $0.append(line) } }
    var lines: [String] { said.withLock { $0 } }
    func line(_ start: String) -> String? { lines.first { $0.hasPrefix(start) } }
}

/// A next host that offers these, and takes everything but what `refusal` answers.
private func host(
    _ extensions: [String], _ notebook: Notebook, _ refusal: @escaping @Sendable (String) -> String? = { _ in nil }
) throws -> NextHost {
    try NextHost(
        NextHost.script { line in
            notebook.note(line)
            guard line.hasPrefix("EHLO") else { return refusal(line) }
            return (["there.test", "PIPELINING"] + extensions).dropLast().map { "250-\($0)\r\n" }.joined()
                + "250 \(extensions.last ?? "PIPELINING")"
        })
}

@Suite struct WishTests {
    @Test("a host that reports gets the wishes, and we report nothing of our own")
    func passedOn() async throws {
        let notebook = Notebook()
        let host = try host(["DSN"], notebook)
        try await withSite(port: host.port) { site in
            try site.enqueue(["bob@there.test", "carol@there.test"]) {
                $0.wishes = QueueWishes(flags: .returnFull, envelopeID: "QQ+2B1")
                $0.notify = [[.success, .failure], .never]
                $0.originals = ["rfc822;Bob@There.test", ""]
            }
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(notebook.line("MAIL") == "MAIL FROM:<alice@example.test> RET=FULL ENVID=QQ+2B1")
            #expect(
                notebook.lines.filter { $0.hasPrefix("RCPT") } == [
                    "RCPT TO:<bob@there.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@There.test",
                    "RCPT TO:<carol@there.test> NOTIFY=NEVER",
                ])
            #expect(try site.letters("alice@example.test").isEmpty)
        }
    }

    @Test("with a host that does not, we say that the message was passed on (RFC 3461 section 5.2.2)")
    func relayed() async throws {
        let notebook = Notebook()
        let host = try host(["SIZE"], notebook)
        try await withSite(port: host.port) { site in
            try site.enqueue(["bob@there.test", "carol@there.test"]) {
                $0.wishes = QueueWishes(envelopeID: "QQ+2B1")
                $0.notify = [.success, []]
                $0.originals = ["rfc822;Bob+2B@There.test", ""]
            }
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(notebook.line("RCPT") == "RCPT TO:<bob@there.test>")
            let reports = try site.letters("alice@example.test")
            #expect(reports.count == 1)
            #expect(reports.first?.contains("Original-Envelope-Id: QQ+1\r\nReporting-MTA: ") == true)
            #expect(
                reports.first?.contains(
                    "Original-Recipient: rfc822; Bob+@There.test\r\nFinal-Recipient: rfc822; bob@there.test\r\n"
                        + "Action: relayed\r\nStatus: 2.0.0\r\n") == true)
            #expect(reports.first?.contains("carol@") == false)
        }
    }

    @Test("who wants no report gets none; who wants the whole message back gets it")
    func failures() async throws {
        let notebook = Notebook()
        let host = try host(["SIZE"], notebook) { $0.hasPrefix("RCPT") ? "550 5.1.1 no" : nil }
        try await withSite(port: host.port) { site in
            try site.enqueue(["bob@there.test"]) { $0.notify = [.never] }
            try site.enqueue(["carol@there.test"]) { $0.notify = [.success] }
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(try site.letters("alice@example.test").isEmpty)
            try site.enqueue(["dora@there.test"]) { $0.wishes.flags = .returnFull }
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            let report = try #require(try site.letters("alice@example.test").first)
            #expect(
                report.contains("Content-Type: message/rfc822\r\n\r\nSubject: hello\r\n\r\n.a letter\r\n\r\n--report-"))
        }
    }

    @Test("a copy here is told of when that is wanted, with the delivery or not at all")
    func deliveredHere() async throws {
        try await withSite(port: 9) { site in
            try site.enqueue(["alice@example.test"]) { $0.notify = [.success] }
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            let letters = try site.letters("alice@example.test")
            #expect(letters.count == 2)
            #expect(letters.last?.contains("Action: delivered\r\nStatus: 2.1.5\r\n") == true)
        }
    }

    @Test("what a mailbox here refuses is put off, or comes back", arguments: [452, 550])
    func refusedHere(_ code: Int) async throws {
        let full = SMTPServerReply(
            code, code == 452 ? SMTPEnhancedCode(4, 2, 2) : SMTPEnhancedCode(5, 1, 1), lines: ["no"])
        try await withSite(port: 9, refuses: { $0 == "bob@example.test" ? full : nil }) { site in
            let id = try site.enqueue(["bob@example.test"])
            if code == 452 {
                try await site.wait("the attempt is recorded") { try site.entry(id)?.recipients[0].lastCode == 452 }
                #expect(try site.entry(id)?.recipients[0].state == .waiting)
                #expect(try site.letters("alice@example.test").isEmpty)
            } else {
                try await site.wait("it comes back") { try site.entry(id) == nil }
                #expect(try site.letters("alice@example.test").first?.contains("Status: 5.1.1") == true)
            }
        }
    }

    @Test("the last host writes Return-Path: ours stays here")
    func returnPath() async throws {
        let host = try NextHost()
        try await withSite(port: host.port) { site in
            try site.enqueue(["bob@there.test"], text: "Return-Path: <alice@example.test>\r\nSubject: x\r\n\r\ny\r\n")
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.map(\.text) == ["Subject: x\r\n\r\ny\r\n"])
        }
    }

    // MARK: Times

    @Test("not before its time (RFC 4865)")
    func futureRelease() async throws {
        let host = try NextHost()
        try await withSite(port: host.port) { site in
            let until = Timestamp(milliseconds: site.now.now.rawValue + 3_600_000)
            let id = try site.enqueue(["bob@there.test"]) { $0.wishes.holdUntil = until }
            try site.enqueue(["carol@there.test"])
            try await site.wait("the other is gone") { host.received.count == 1 }
            #expect(try site.entry(id)?.nextAttempt == until)
            #expect(host.received[0].recipients == ["carol@there.test"])
            site.now.advance(bySeconds: 3_601)
            try site.enqueue(["dora@there.test"])
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.count == 3)
        }
    }

    @Test("after its time it comes back, or its sender is told once (RFC 2852)", arguments: [true, false])
    func deliverBy(_ returns: Bool) async throws {
        let notebook = Notebook()
        let host = try host(["DELIVERBY", "DSN"], notebook) { $0.hasPrefix("RCPT") ? "450 4.2.0 not now" : nil }
        try await withSite(port: host.port) { site in
            let until = Timestamp(milliseconds: site.now.now.rawValue + 120_000)
            let id = try site.enqueue(["bob@there.test"]) {
                $0.wishes.deliverBy = until
                if returns { $0.wishes.flags = .deliverByReturn }
            }
            try await site.wait("the first attempt") { try site.entry(id)?.recipients[0].attempts == 1 }
            #expect(notebook.line("MAIL")?.contains(" BY=1") == true)
            #expect(notebook.line("MAIL")?.hasSuffix(returns ? ";R" : ";N") == true)
            // Not five minutes later, as else.
            #expect(try site.entry(id)?.nextAttempt == until)
            #expect(try site.letters("alice@example.test").isEmpty)
            for attempt: UInt32 in 2...3 {
                site.now.advance(bySeconds: attempt == 2 ? 121 : 5 * 3600)
                try site.enqueue(["kick@nowhere.test"], from: "")
                try await site.wait("attempt \(attempt)") {
                    try site.entry(id).map { $0.recipients[0].attempts >= attempt } ?? true
                }
            }
            let reports = try site.letters("alice@example.test")
            #expect(reports.count == 1)
            #expect(reports[0].contains(returns ? "Action: failed\r\nStatus: 5.4.7\r\n" : "Action: delayed\r\n"))
            let entry = try site.entry(id)
            #expect((entry == nil) == returns)
        }
    }

    @Test(
        "a host that does not watch the clock gets nothing that must come back in time, and the other with a word to us"
    )
    func clocklessHost() async throws {
        let notebook = Notebook()
        let host = try host(["DSN"], notebook)
        try await withSite(port: host.port) { site in
            let until = Timestamp(milliseconds: site.now.now.rawValue + 120_000)
            try site.enqueue(["bob@there.test"]) {
                $0.wishes = QueueWishes(flags: .deliverByReturn, deliverBy: until)
            }
            try await site.wait("it comes back") { try site.queue().isEmpty }
            #expect(host.received.isEmpty)
            #expect(try site.letters("alice@example.test").first?.contains("Status: 5.4.7") == true)
            try site.enqueue(["bob@there.test"]) { $0.wishes.deliverBy = until }
            try await site.wait("it is gone") { try site.queue().isEmpty }
            #expect(notebook.line("RCPT") == "RCPT TO:<bob@there.test> NOTIFY=FAILURE,DELAY")
            #expect(try site.letters("alice@example.test").last?.contains("Action: relayed") == true)
        }
    }

    @Test("an address whose domain alone is in another script needs no SMTPUTF8, and is routed by its A-labels")
    func otherScripts() async throws {
        let notebook = Notebook()
        let host = try host([], notebook)
        try await withSite(port: host.port, resolver: .loopback("xn--bcher-kva.test")) { site in
            // As a queue from before domains had one form has them.
            try site.enqueue(["bob@bücher.test", "carol@xn--bcher-kva.test"], from: "alice@BÜCHER.test")
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(notebook.line("MAIL") == "MAIL FROM:<alice@xn--bcher-kva.test>")
            #expect(host.received.map(\.recipients) == [["bob@xn--bcher-kva.test", "carol@xn--bcher-kva.test"]])
        }
    }

    @Test("what is held is not tried, and goes when it is released")
    func held() async throws {
        let host = try NextHost(NextHost.script { $0.contains("bob@") ? "450 4.2.0 not now" : nil })
        try await withSite(port: host.port) { site in
            let id = try site.enqueue(["bob@there.test"])
            try await site.wait("the first attempt") { try site.entry(id)?.recipients[0].attempts == 1 }
            site.perform(.holdQueued(id))
            site.now.advance(bySeconds: 86_400)
            try site.enqueue(["carol@there.test"])
            try await site.wait("the other is gone") { host.received.count == 1 }
            #expect(try site.entry(id)?.recipients[0].attempts == 1)
            site.perform(.releaseQueued(id))
            try await site.wait("the second attempt") { try site.entry(id)?.recipients[0].attempts == 2 }
            site.perform(.retryQueued(id))
            try await site.wait("the third attempt") { try site.entry(id)?.recipients[0].attempts == 3 }
            #expect(try site.entry(id)?.recipients[0].lastText == "not now")
            #expect(try site.entry(id)?.recipients[0].lastHost == "mx.there.test [127.0.0.1]")
        }
    }

    // MARK: TLS on every hop

    @Test(
        "no host is trusted by an unsigned name, and none without TLS (RFC 8689 section 4.2.1)",
        arguments: [false, true])
    func requireTLS(_ isValidated: Bool) async throws {
        let notebook = Notebook()
        let host = try host(["REQUIRETLS"], notebook)
        var resolver = TestResolver.loopback("there.test")
        if isValidated { resolver.validations = ["there.test": .signed] }
        try await withSite(port: host.port, resolver: resolver) { site in
            try site.enqueue(["bob@there.test"]) { $0.wishes.flags = .requireTLS }
            try await site.wait("it comes back") { try site.queue().isEmpty }
            #expect(host.received.isEmpty)
            #expect(notebook.line("MAIL") == nil)
            let report = try #require(try site.letters("alice@example.test").first)
            #expect(report.contains(isValidated ? "Status: 5.7.10\r\n" : "Status: 5.7.30\r\n"))
            // RFC 8689 section 5: nor the report's own way.
            try site.enqueue(["bob@there.test"], from: "") { $0.wishes.flags = .requireTLS }
            try await site.wait("the null sender's goes") { host.received.count == 1 }
        }
    }
}
