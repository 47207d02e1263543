// Messages of the size limit go in and out of a store on disk without being held in memory.
import EventStore
import Foundation
import MailTypes
import Testing

@testable import Gateways

@Suite(.serialized) struct LargeBodyTests {
    /// Octets of memory that is not file pages.
    private func anonymousMemory() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") })
        return try #require(Int(line.split(separator: " ").dropLast().last ?? "")) << 10
    }

    private let header = Array("Subject: large\r\n\r\n".utf8)
    /// Some 84 KB: a length that divides nothing that matters, and dots to be stuffed.
    private let part = lines(dotted: ".A line that begins with a dot\r\n")
    /// The same on the wire.
    private let wire = lines(dotted: "..A line that begins with a dot\r\n")

    private static func lines(dotted: String) -> [UInt8] {
        let plain = String(repeating: "and a line that goes on ", count: 40) + "\r\n"
        return Array(String(repeating: dotted + plain, count: 85).utf8)
    }

    /// 50 MB in all, below the limit of 50 MiB.
    private let parts = 600
    /// What the client and the tests beside this one may take, far below the message.
    private let growthMax = 32 << 20

    private func withStore(_ body: (LMDBStore) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.path + "/letterlog-test-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try LMDBStore.create(directory)
        let store = try LMDBStore(directory)
        try await body(store)
    }

    @Test func fiftyMegabytesThereAndBack() async throws {
        try await withStore { store in
            try await withNode(store: store) { node in
                try await onOwnThread { try send(to: node) }
                try await onOwnThread { try fetch(from: node) }
            }
        }
    }

    private func send(to node: TestNode) throws {
        let client = try node.lmtp()
        try client.send("MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n")
        for _ in 0..<3 { _ = try client.line() }
        let before = try anonymousMemory()
        var peak = before
        try client.send(header)
        for index in 0..<parts {
            try client.send(wire)
            if index % 20 == 0 { peak = max(peak, try anonymousMemory()) }
        }
        try client.send(".\r\n")
        #expect(try client.line().hasPrefix("250 2.1.5 Stored as"))
        peak = max(peak, try anonymousMemory())
        #expect(peak - before < growthMax)
    }

    private func fetch(from node: TestNode) throws {
        let client = try node.pop3("alice")
        let size = try #require(node.engine.maildrop(try node.account("alice@example.test"))?.sizes.first)
        #expect(Int(size) > header.count + part.count * parts)
        #expect(try client.command("RETR 1") == "+OK \(size) octets")
        let before = try anonymousMemory()
        var peak = before
        // The trace, then the header, then the lines with their dots doubled.
        while try client.line() != "" {}
        for index in 0..<parts {
            guard try client.takes(wire, times: 1) else {
                Issue.record("other octets came back in part \(index)")
                return
            }
            if index % 20 == 0 { peak = max(peak, try anonymousMemory()) }
        }
        #expect(try client.line() == ".")
        #expect(peak - before < growthMax)
        #expect(try client.command("QUIT").hasPrefix("+OK"))
    }

    @Test func aClientThatDoesNotReadCostsLittle() async throws {
        try await withStore { store in
            try await withNode(options: { $0.pop3SilenceMax = .milliseconds(300) }, store: store) { node in
                var message = header
                for _ in 0..<300 { message += part }
                try node.deposit("alice@example.test", message)
                let start = try anonymousMemory()
                let reader = try node.pop3("alice", receiveBuffer: 4_096)
                try reader.send("RETR 1\r\n")
                #expect(try reader.line().hasPrefix("+OK"))
                // The node gives up on it, and has not sent most of the message.
                while node.gateways.metrics[.pop3].connections > 0 { try await Task.sleep(for: .milliseconds(20)) }
                #expect(node.gateways.metrics[.pop3].octetsOut < 16 << 20)
                #expect(try anonymousMemory() - start < growthMax)
                // The maildrop is free again.
                _ = try node.pop3("alice")
            }
        }
    }

    @Test func aMessageOverTheLimitIsRefusedAndTheSessionGoesOn() async throws {
        try await withNode(options: { $0.messageOctetsMax = 2_000_000 }) { node in
            let client = try node.smtp()
            #expect(try client.command("MAIL FROM:<a@client.test> SIZE=2000001").hasPrefix("552 5.3.4"))
            try client.send("MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n")
            for _ in 0..<3 { _ = try client.line() }
            for _ in 0..<40 { try client.send(part) }
            try client.send(".\r\n")
            #expect(try client.line().hasPrefix("552 5.3.4"))
            try client.send(
                "MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: small\r\n\r\n.\r\n")
            for code in ["250", "250", "354", "250"] { #expect(try client.line().hasPrefix(code)) }
            #expect(try node.bodies("alice@example.test").count == 1)
        }
    }
}
