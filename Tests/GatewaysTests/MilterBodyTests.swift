// New bodies that come faster than a disk takes them: the filter is not read from meanwhile, and is let go on whatever becomes of
// what it has sent.
import Dispatch
import NIOPosix
import Synchronization
import Testing

@testable import Gateways

private typealias M = ScriptedMilter

/// Holds up the thread that a node has for files.
private final class SlowDisk: Sendable {
    private let threads = Mutex<NIOThreadPool?>(nil)
    private let isFree = DispatchSemaphore(value: 0)

    func use(_ node: TestNode) { threads.withLock { $0 = node.gateways.context.fileThreads } }
    func stop() { threads.withLock { $0 }?.submit { [isFree] _ in isFree.wait() } }
    func goOn() { isFree.signal() }
}

@Suite struct MilterBodyTests {
    /// What a slow disk does to a filter with a new body: the message, and the one behind it over the same connection.
    private func replies(
        _ parts: [[UInt8]], spoolsAt threshold: Int, in spool: String = "/tmp", letters: Int
    ) async throws -> (first: String, second: String) {
        let disk = SlowDisk()
        let stage = Stage()
        stage.current = "E"
        let milter = try M { told in
            guard told.command == stage.current else { return nil }
            disk.stop()
            return .parts(parts)
        }
        let found = Mutex(("", ""))
        try await withMilters(
            [milter], spoolsAt: threshold, in: spool,
            change: {
                $0[0].timeout = .seconds(5)
                $0[0].verdictTimeout = .seconds(5)
            }, options: { $0.fileThreads = 1 }
        ) { (node: TestNode) throws in
            disk.use(node)
            let client = try node.smtp()
            #expect(try client.command("MAIL FROM:<joe@client.test>").hasPrefix("250"))
            #expect(try client.command("RCPT TO:<alice@example.test>").hasPrefix("250"))
            #expect(try client.command("DATA").hasPrefix("354"))
            try client.send(plainLetter + ".\r\n")
            try waitUntil { milter.commands.hasSuffix("E") }
            usleep(50_000 * UInt32(parts.count + 4))
            disk.goOn()
            let first = try client.reply().last!
            stage.current = ""
            let second = try client.command("MAIL FROM:<joe@client.test>")
            found.withLock { $0 = (first, second) }
            #expect(milter.connections == 1)
            #expect(try node.letters("alice@example.test").count == letters)
        }
        return found.withLock { $0 }
    }

    private let line = Array("A line of the new body\r\n".utf8)

    /// The file cannot be made, which shows when the filter waits for room: it says the rest in vain, and its verdict.
    @Test func aBodyThatCannotBeStored() async throws {
        let piece = M.packet("b", (0..<2_500).flatMap { _ in line })
        let (first, second) = try await replies(
            [Array(repeating: piece, count: 60).flatMap { $0 } + M.packet("c")], spoolsAt: 50_000, in: "/nonexistent",
            letters: 0)
        #expect(first == "452 4.3.1 Cannot store what a filter makes of the message now")
        #expect(second.hasPrefix("250"))
    }

    /// The verdict has come with the octets that were too many; the filter is read again when they have their place.
    @Test func aVerdictBeforeThereIsRoom() async throws {
        let most = (0..<GatewayLimits.bodyBacklogOctetsMax / line.count - 1).flatMap { _ in line }
        let last = (0..<100).flatMap { _ in line }
        let (first, second) = try await replies(
            [M.packet("b", line), M.packet("b", most), M.packet("b", last) + M.packet("c")], spoolsAt: 10, letters: 1)
        #expect(first.hasPrefix("250"))
        #expect(second.hasPrefix("250"))
    }
}
