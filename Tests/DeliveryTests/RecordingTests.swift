// What came of an attempt has to be written down: what happens when it cannot, what is counted, and that no report is lost.
import MailCore
import MailEngine
import MailTypes
import NIOCore
import Synchronization
import Testing

@testable import Delivery

extension Request {
    /// It records what came of an attempt for this recipient of an entry.
    fileprivate var recordsAttempt: Bool {
        items.contains { if case .recordAttempt = $0.command { true } else { false } }
    }
}

@Suite struct RecordingTests {
    @Test("what cannot be recorded is not sent again at once, and is after a pause")
    func rests() async throws {
        let host = try NextHost()
        let failures = Countdown(1)
        let hasFailed = Mutex(false)
        try await withSite(
            port: host.port, { $0.connectionsPerDestinationMax = 1 },
            fails: { request in
                guard request.recordsAttempt, failures.takes() else { return nil }
                hasFailed.withLock { $0 = true }
                return .fault("for once")
            }
        ) { site in
            let id = try site.enqueue(["bob@there.test"])
            try await site.wait("it was sent, and not recorded") { hasFailed.withLock { $0 } }
            #expect(host.received.count == 1)
            // Others come and go, each of which has the queue looked through.
            for count in 1...20 {
                try site.enqueue(["carol@there.test"])
                try await site.wait("letter \(count)") { try site.queue().count == 1 }
            }
            #expect(host.received.count { $0.recipients == ["bob@there.test"] } == 1)
            #expect(try site.entry(id)?.recipients[0].attempts == 0)
            // As the queue has it, it was never sent; so it goes again, as after a lost reply (RFC 1047).
            site.now.advance(bySeconds: 301)
            try site.enqueue(["carol@there.test"])
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.count { $0.recipients == ["bob@there.test"] } == 2)
            try await site.wait("all are counted") { site.runner.statistics.delivered == 22 }
        }
    }

    @Test("a store that takes nothing any more ends the sending")
    func stops() async throws {
        let host = try NextHost()
        try await withSite(port: host.port, fails: { $0.recordsAttempt ? .stopped("broken") : nil }) { site in
            try site.enqueue(["bob@there.test"])
            try await site.wait("it was sent") { host.received.count == 1 }
            try await site.wait("it is over") { site.runner.statistics.inFlight == 0 }
            for _ in 0..<20 { try site.enqueue(["carol@there.test"]) }
            site.now.advance(bySeconds: 86_400)
            try site.enqueue(["carol@there.test"])
            await site.runner.stop(within: .seconds(5))
            #expect(host.received.count == 1)
        }
    }

    @Test("a busy engine is asked again, and the message is not sent again meanwhile")
    func busy() async throws {
        let host = try NextHost()
        let refusals = Countdown(1)
        try await withSite(port: host.port, fails: { $0.recordsAttempt && refusals.takes() ? .busy : nil }) { site in
            try site.enqueue(["bob@there.test"])
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.count == 1)
        }
    }

    @Test("a copy in a mailbox here is counted")
    func counted() async throws {
        try await withSite(port: 9) { site in
            try site.enqueue(["alice@example.test"], from: "bob@there.test")
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            try await site.wait("it is counted") { site.runner.statistics.delivered == 1 }
            try site.setQuota(1, of: "alice@example.test")
            let id = try site.enqueue(["alice@example.test"], from: "bob@there.test")
            try await site.wait("it was tried") { try site.entry(id)?.recipients[0].attempts == 1 }
            try await site.wait("it is counted") { site.runner.statistics.deferred == 1 }
            #expect(site.runner.statistics.delivered == 1)
        }
    }

    @Test("a report for a mailbox that has filled up waits in the queue, and comes")
    func reportWaits() async throws {
        let host = try NextHost(NextHost.script { $0.contains("nobody@") ? "550 5.1.1 no such user" : nil })
        try await withSite(port: host.port) { site in
            // The directory says that the mailbox takes mail; the commit will say that it does not.
            try site.setQuota(1, of: "alice@example.test")
            let id = try site.enqueue(["nobody@there.test"])
            try await site.wait("the report waits") {
                let queue = try site.queue()
                return try site.entry(id) == nil && queue.count == 1 && queue[0].recipients[0].attempts == 1
            }
            let report = try site.queue()[0]
            #expect(report.mailFrom.isEmpty && report.recipients[0].address == "alice@example.test")
            #expect(try site.letters("alice@example.test").isEmpty)
            try site.setQuota(0, of: "alice@example.test")
            site.now.advance(bySeconds: 301)
            try site.enqueue(["carol@there.test"], from: "")
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            let letters = try site.letters("alice@example.test")
            #expect(letters.count == 1 && letters[0].contains("Status: 5.1.1"))
        }
    }

    @Test("a report for an address here that waits goes nowhere else when its domain is ours no more")
    func reportStays() async throws {
        let host = try NextHost(NextHost.script { $0.contains("nobody@") ? "550 5.1.1 no such user" : nil })
        try await withSite(port: host.port, resolver: .loopback("there.test", "example.test")) { site in
            try site.setQuota(1, of: "alice@example.test")
            let id = try site.enqueue(["nobody@there.test"])
            try await site.wait("the report waits") {
                let queue = try site.queue()
                return try site.entry(id) == nil && queue.count == 1 && queue[0].recipients[0].attempts == 1
            }
            let account = try #require(try site.engine.read { try $0.owner(ofAddress: "alice@example.test") })
            _ = site.engine.performAndWait(
                Request([Request.Item(account, .removeAccount)], origin: Origin(gateway: .admin)))
            site.now.advance(bySeconds: 301)
            try site.enqueue(["carol@there.test"], from: "")
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.map(\.recipients) == [["carol@there.test"]])
        }
    }

    @Test("what strangers sent to an address here goes nowhere else when its domain is ours no more")
    func inward() async throws {
        let host = try NextHost()
        try await withSite(port: host.port) { site in
            try site.enqueue(["bob@there.test"]) { $0.wishes.flags = .inward }
            try await site.wait("it comes back") { try site.queue().isEmpty }
            #expect(host.received.isEmpty)
            #expect(try site.letters("alice@example.test").first?.contains("Status: 5.1.2") == true)
        }
    }
}
