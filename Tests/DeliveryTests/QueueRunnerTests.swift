// The outbound queue against a next host on a socket: what is delivered, put off, given back and told.
import MailCore
import MailTypes
import Synchronization
import Testing

@testable import Delivery

@Suite struct QueueRunnerTests {
    @Test func deliversAndForgets() async throws {
        let host = try NextHost()
        try await withSite(port: host.port) { site in
            let id = try site.enqueue(["bob@there.test", "carol@there.test"])
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            let expected = NextHost.Received(
                sender: "alice@example.test", recipients: ["bob@there.test", "carol@there.test"],
                text: "Subject: hello\r\n\r\n.a letter\r\n")
            #expect(host.received == [expected])
            #expect(try site.entry(id) == nil)
            #expect(try site.letters("alice@example.test").isEmpty)
        }
    }

    @Test("one connection carries several messages")
    func reusesConnections() async throws {
        let host = try NextHost()
        try await withSite(port: host.port, { $0.connectionsPerDestinationMax = 1 }) { site in
            for _ in 0..<20 { try site.enqueue(["bob@there.test"]) }
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.count == 20)
            #expect(host.connections == 1)
        }
    }

    @Test("each recipient has its own fate; the failed one is reported to the sender here")
    func mixedRecipients() async throws {
        let host = try NextHost(
            NextHost.script { line in
                if line.contains("nobody@") { return "550 5.1.1 no such user" }
                return line.contains("busy@") ? "451 4.2.1 try later" : nil
            })
        try await withSite(port: host.port) { site in
            let id = try site.enqueue(["bob@there.test", "nobody@there.test", "busy@there.test"])
            try await site.wait("the attempt is recorded") {
                try site.entry(id)?.recipients.map(\.state) == [.delivered, .bounced, .waiting]
            }
            let entry = try #require(try site.entry(id))
            #expect(entry.recipients.map(\.lastCode) == [250, 550, 451])
            // Five minutes after the first attempt (RFC 5321 section 4.5.4.1 asks for a longer time; sites set it).
            #expect(abs(entry.nextAttempt.rawValue - site.now.now.rawValue - 300_000) < 60_000)
            let reports = try site.letters("alice@example.test")
            #expect(reports.count == 1)
            #expect(
                reports[0].contains("Final-Recipient: rfc822; nobody@there.test\r\nAction: failed\r\nStatus: 5.1.1\r\n")
            )
            #expect(reports[0].contains("Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"))
            #expect(!reports[0].contains("bob@there.test"))
            #expect(reports[0].hasPrefix("Return-Path: <>\r\n"))

            site.now.advance(bySeconds: 301)
            try site.enqueue(["dora@there.test"])
            try await site.wait("the second attempt is recorded") { try site.entry(id)?.recipients[2].attempts == 2 }
            #expect(try site.letters("alice@example.test").count == 1)
        }
    }

    @Test("a message that waits too long goes back, and waits no more")
    func expires() async throws {
        let host = try NextHost(NextHost.script { $0.hasPrefix("RCPT") ? "450 4.2.0 not now" : nil })
        try await withSite(port: host.port) { site in
            let id = try site.enqueue(["bob@there.test"])
            try await site.wait("the first attempt") { try site.entry(id)?.recipients[0].attempts == 1 }
            site.now.advance(bySeconds: 6 * 86_400)
            try site.enqueue(["kick@nowhere.test"], from: "")
            try await site.wait("it is given back") { try site.entry(id) == nil }
            let reports = try site.letters("alice@example.test")
            #expect(reports.count == 1)
            #expect(reports[0].contains("Action: failed\r\nStatus: 5.2.0\r\n"))
        }
    }

    @Test("the sender hears once that a message waits")
    func warnsOnce() async throws {
        let host = try NextHost(NextHost.script { $0.hasPrefix("RCPT") ? "450 4.2.0 not now" : nil })
        try await withSite(port: host.port, { $0.warnAfter = .minutes(20) }) { site in
            let id = try site.enqueue(["bob@there.test"])
            for attempt: UInt32 in 1...6 {
                try await site.wait("attempt \(attempt)") { try site.entry(id)?.recipients[0].attempts == attempt }
                site.now.advance(bySeconds: 5 * 3600)
                try site.enqueue(["kick@nowhere.test"], from: "")
            }
            let reports = try site.letters("alice@example.test")
            #expect(reports.count == 1)
            #expect(reports[0].contains("Action: delayed\r\nStatus: 4.2.0\r\n"))
            #expect(reports[0].contains("Will-Retry-Until: "))
        }
    }

    @Test("no report answers the null sender; a sender elsewhere gets his by the queue")
    func reports() async throws {
        let host = try NextHost(NextHost.script { $0.contains("nobody@") ? "550 no" : nil })
        try await withSite(port: host.port) { site in
            try site.enqueue(["nobody@there.test"], from: "")
            try await site.wait("it is gone") { try site.queue().isEmpty }
            #expect(host.received.isEmpty)

            try site.enqueue(["nobody@there.test"], from: "bob@there.test")
            try await site.wait("the report is delivered") { host.received.count == 1 }
            #expect(host.received[0].sender == "")
            #expect(host.received[0].recipients == ["bob@there.test"])
            #expect(host.received[0].text.contains("Content-Type: multipart/report; report-type=delivery-status;"))
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
        }
    }

    @Test("a message that is refused after its end takes none with it that comes over the same connection")
    func refusedAfterTheEnd() async throws {
        // As Postfix does: until RSET it takes the transaction for open.
        let isOpen = Mutex(false)
        let host = try NextHost(
            NextHost.script { line in
                isOpen.withLock { isOpen in
                    if line.hasPrefix("MAIL"), isOpen { return "503 5.5.1 nested MAIL command" }
                    if line == "RSET" { isOpen = false }
                    guard line == "." else { return nil }
                    isOpen = true
                    return "452 4.3.1 not now"
                }
            })
        try await withSite(port: host.port, { $0.connectionsPerDestinationMax = 1 }) { site in
            let all = try (0..<5).map { try site.enqueue(["u\($0)@there.test"]) }
            try await site.wait("each was put off") {
                try all.allSatisfy { try site.entry($0).map { $0.recipients[0].attempts == 1 } ?? true }
            }
            #expect(try all.allSatisfy { try site.entry($0)?.recipients[0].state == .waiting })
            #expect(host.connections == 1)
            #expect(try site.letters("alice@example.test").isEmpty)
        }
    }

    @Test("a connection that breaks in the middle of a message loses and doubles nothing")
    func brokenConnection() async throws {
        let breaks = Countdown(2)
        let host = try NextHost(NextHost.script { $0 == "." && breaks.takes() ? "-" : nil })
        try await withSite(port: host.port, { $0.retryFirst = .milliseconds(50) }) { site in
            try site.enqueue(["bob@there.test"])
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.count == 1)
        }
    }

    @Test("the second host takes what the first puts off or does not answer (RFC 5321 section 5.1)")
    func secondHost() async throws {
        let host = try NextHost()
        var resolver = TestResolver()
        resolver.exchangers["there.test"] = .found([
            MailExchanger(preference: 20, host: "second.test"), MailExchanger(preference: 10, host: "first.test"),
        ])
        // Nobody listens there.
        resolver.addresses = ["first.test": .found(["127.0.0.9"]), "second.test": .found(["127.0.0.1"])]
        try await withSite(port: host.port, resolver: resolver) { site in
            try site.enqueue(["bob@there.test"])
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.count == 1)
        }
    }

    @Test("domains that do not exist or take no mail are told at once", arguments: ["nowhere.test", "null.test"])
    func hopelessDomains(_ domain: String) async throws {
        var resolver = TestResolver()
        resolver.exchangers["null.test"] = .found([MailExchanger(preference: 0, host: "")])
        try await withSite(port: 9, resolver: resolver) { site in
            try site.enqueue(["bob@\(domain)"])
            try await site.wait("it is given back") { try site.queue().isEmpty }
            let report = try #require(try site.letters("alice@example.test").first)
            #expect(report.contains(domain == "null.test" ? "Status: 5.1.10\r\n" : "Status: 5.1.2\r\n"))
            #expect(!report.contains("Remote-MTA"))
        }
    }

    @Test("a host that refuses to talk, or is not there, is asked once for many messages, and again after a while")
    func hostRests() async throws {
        let isOpen = Countdown(1)
        let host = try NextHost(NextHost.script { $0 == "CONNECT" && isOpen.takes() ? "421 4.3.2 not now" : nil })
        try await withSite(port: host.port, { $0.connectionsPerDestinationMax = 1 }) { site in
            let all = try (0..<10).map { try site.enqueue(["u\($0)@there.test"]) }
            try await site.wait("all were put off") {
                try all.allSatisfy { try site.entry($0)?.recipients[0].attempts == 1 }
            }
            #expect(host.connections == 1)
            // Each waits by itself, and for the same reason.
            #expect(try all.allSatisfy { try site.entry($0)?.recipients[0].lastText == "421 not now" })
            #expect(try all.allSatisfy { try site.entry($0)!.nextAttempt > site.now.now })
        }
        let closing = Countdown(1)
        let again = try NextHost(NextHost.script { $0 == "CONNECT" && closing.takes() ? "421 4.3.2 not now" : nil })
        try await withSite(port: again.port, { $0.retryFirst = .milliseconds(50) }) { site in
            for number in 0..<10 { try site.enqueue(["u\(number)@there.test"]) }
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(again.received.count == 10)
        }
    }

    @Test("a message that is due again leaves a host alone that another found unwilling, and keeps to its schedule")
    func retriesRest() async throws {
        let host = try NextHost(NextHost.script { $0 == "CONNECT" ? "421 4.3.2 not now" : nil })
        try await withSite(port: host.port) { site in
            func attempt(_ number: UInt32, of id: QueueID) async throws {
                try await site.wait("attempt \(number)") { try site.entry(id)?.recipients[0].attempts == number }
            }
            let first = try site.enqueue(["a@there.test"])
            try await attempt(1, of: first)
            // It is due again after five minutes. Shortly before, others find the host as it was.
            site.now.advance(bySeconds: 290)
            try await attempt(1, of: try site.enqueue(["b@there.test"]))
            #expect(host.connections == 2)
            site.now.advance(bySeconds: 11)
            try site.enqueue(["kick@nowhere.test"], from: "")
            try await attempt(2, of: first)
            #expect(host.connections == 2)
            let entry = try #require(try site.entry(first))
            #expect(entry.recipients[0].lastText == "421 not now")
            #expect(abs(entry.nextAttempt.rawValue - site.now.now.rawValue - 600_000) < 60_000)
            // So is one that was to wait until now. The minute is over after that.
            let later = Timestamp(milliseconds: site.now.now.rawValue + 5_000)
            let held = try site.enqueue(["c@there.test"]) { $0.wishes.holdUntil = later }
            site.now.advance(bySeconds: 6)
            try site.enqueue(["kick@nowhere.test"], from: "")
            try await attempt(1, of: held)
            #expect(host.connections == 2)
            site.now.advance(bySeconds: 45)
            try await attempt(1, of: try site.enqueue(["d@there.test"]))
            #expect(host.connections == 3)
        }
    }

    @Test("an operator who wants a message tried does not wait until its host has rested")
    func retryEndsTheRest() async throws {
        let isOpen = Countdown(1)
        let host = try NextHost(NextHost.script { $0 == "CONNECT" && isOpen.takes() ? "421 4.3.2 not now" : nil })
        try await withSite(port: host.port, { $0.connectionsPerDestinationMax = 1 }) { site in
            let all = try (0..<3).map { try site.enqueue(["u\($0)@there.test"]) }
            try await site.wait("all were put off") {
                try all.allSatisfy { try site.entry($0)?.recipients[0].attempts == 1 }
            }
            #expect(host.received.isEmpty)
            site.now.advance(bySeconds: 2)
            for id in all { site.perform(.retryQueued(id)) }
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.count == 3)
        }
    }

    @Test("nobody answers: it waits")
    func unreachable() async throws {
        let closed = try NextHost()
        closed.close()
        try await withSite(port: closed.port) { site in
            let id = try site.enqueue(["bob@there.test"])
            try await site.wait("the attempt is recorded") { try site.entry(id)?.recipients[0].attempts == 1 }
            #expect(try site.entry(id)?.recipients[0].state == .waiting)
            #expect(try site.letters("alice@example.test").isEmpty)
        }
    }

    @Test("an address that is ours by now is delivered here, once")
    func ours() async throws {
        try await withSite(port: 9) { site in
            try site.enqueue(["alice@example.test"], from: "bob@there.test", text: "Subject: x\r\n\r\ny\r\n")
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(try site.letters("alice@example.test") == ["Subject: x\r\n\r\ny\r\n"])
        }
    }

    @Test("a slow destination does not hold up another")
    func slowDestination() async throws {
        let slow = Countdown(0)
        let host = try NextHost(
            NextHost.script { line in
                if line.contains("@slow.test") { slow.wait() }
                return nil
            })
        try await withSite(
            port: host.port, resolver: .loopback("slow.test", "there.test"),
            {
                $0.connectionsPerDestinationMax = 2
                $0.messagesMax = 10
            }
        ) { site in
            for _ in 0..<50 { try site.enqueue(["bob@slow.test"]) }
            for _ in 0..<20 { try site.enqueue(["bob@there.test"]) }
            try await site.wait("the quick ones are through") { host.received.count >= 20 }
            #expect(host.received.allSatisfy { $0.recipients == ["bob@there.test"] })
            slow.open()
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.count == 70)
        }
    }

    @Test("a change of route while the queue works loses and doubles nothing")
    func reconfigured() async throws {
        let first = try NextHost()
        let second = try NextHost()
        try await withSite(port: first.port) { site in
            for number in 0..<20 { try site.enqueue(["u\(number)@there.test"]) }
            try await site.wait("some are through") { first.received.count >= 3 }
            var options = DeliveryOptions(hostName: "mx.example.test", draw: { 4 })
            options.smartHost = SmartHost(host: "127.0.0.1", port: second.port)
            await site.runner.reconfigure(options)
            for number in 20..<40 { try site.enqueue(["u\(number)@there.test"]) }
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            let all = (first.received + second.received).flatMap(\.recipients)
            #expect(all.count == 40 && Set(all).count == 40)
            // What comes after the change goes the new way, over new connections.
            #expect(Set(second.received.flatMap(\.recipients)).isSuperset(of: (20..<40).map { "u\($0)@there.test" }))
        }
    }

    @Test("what comes while nothing is to be sent waits, and goes when something is")
    func switchedOff() async throws {
        let host = try NextHost()
        try await withSite(port: host.port, resolver: .loopback("there.test"), { $0.isOn = false }) { site in
            try site.enqueue(["bob@there.test"])
            // Also for a mailbox here.
            try site.enqueue(["alice@example.test"], from: "bob@there.test")
            try await Task.sleep(nanoseconds: 200_000_000)
            #expect(try site.queue().count == 2 && host.connections == 0)
            var options = DeliveryOptions(hostName: "mx.example.test", draw: { 4 })
            options.port = host.port
            await site.runner.reconfigure(options)
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.count == 1)
            #expect(try site.letters("alice@example.test").count == 1)
        }
    }

    @Test("more recipients than the next host takes at once")
    func recipientsMax() async throws {
        let host = try NextHost(
            NextHost.script { $0.hasPrefix("EHLO") ? "250-there.test\r\n250 LIMITS RCPTMAX=3" : nil })
        try await withSite(port: host.port) { site in
            try site.enqueue((0..<8).map { "u\($0)@there.test" })
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.map(\.recipients.count) == [3, 3, 2])
        }
    }

    @Test("a part whose recipients are all refused does not spoil the next, nor the connection")
    func refusedParts() async throws {
        let host = try NextHost(
            NextHost.script { line in
                if line.hasPrefix("EHLO") { return "250-there.test\r\n250 LIMITS RCPTMAX=2" }
                return line.contains("nobody") ? "550 5.1.1 no such user" : nil
            })
        try await withSite(port: host.port, { $0.connectionsPerDestinationMax = 1 }) { site in
            try site.enqueue(["nobody1@there.test", "nobody2@there.test", "bob@there.test"], from: "")
            for number in 0..<5 { try site.enqueue(["nobody\(number)@there.test"], from: "") }
            try site.enqueue(["carol@there.test"])
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.map(\.recipients) == [["bob@there.test"], ["carol@there.test"]])
            #expect(host.connections == 1)
        }
    }

    @Test("backing off: doubled up to a limit; the warning's attempt follows from it")
    func backOff() {
        let options = DeliveryOptions(hostName: "mx.example.test", draw: { 0 })
        #expect(
            (1...8).map { options.retryDelay(afterAttempts: $0).nanoseconds / 60_000_000_000 } == [
                5, 10, 20, 40, 80, 160, 240, 240,
            ])
        // 5 + 10 + 20 + 40 + 80 + 160 minutes are the first over four hours.
        #expect(options.attemptsBeforeWarning == 6)
    }
}
