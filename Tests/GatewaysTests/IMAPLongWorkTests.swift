// What takes long: searches that say how far they are and end with their client, and idle sessions that are kept alive.
import Glibc
import MailCore
import MailTypes
import NIOCore
import Synchronization
import Testing

@testable import Gateways

/// A clock of which each look takes a second: every slice of a search ends after one message.
private final class SlowClock: Sendable {
    private let looks = Mutex(0)
    /// Called with the number of each look.
    private let atLook: @Sendable (Int) -> Void

    init(_ atLook: @escaping @Sendable (Int) -> Void = { _ in }) { self.atLook = atLook }

    var count: Int { looks.withLock { $0 } }

    func now() -> NIODeadline {
        let look = looks.withLock { looks in
            looks += 1
            return looks
        }
        atLook(look)
        return .uptimeNanoseconds(UInt64(look) * 1_000_000_000)
    }
}

@Suite("IMAP: work that takes long")
struct IMAPLongWorkTests {
    /// RFC 9585 section 4: after ten seconds, with the tag, what is done and what there is to do, growing.
    @Test("a search of more than ten seconds says how far it is")
    func inProgress() async throws {
        #expect(GatewayLimits.imapProgressEvery == .seconds(10))
        let clock = SlowClock()
        try await withNode(options: { $0.readingClock = { clock.now() } }) { node in
            try await onOwnThread {
                for _ in 0..<20 { try node.deposit("alice@example.test", Array(letter.utf8)) }
                let client = try node.imap("alice")
                try client.run("SELECT INBOX")
                let begun = clock.count
                let tag = try client.send("SEARCH BODY one")
                let answer = try client.answer(tag)
                #expect(answer.isOK)
                #expect(answer.first("* SEARCH") == "* SEARCH " + (1...20).map { "\($0)" }.joined(separator: " "))
                let told = answer.all("[INPROGRESS")
                let pattern = try Regex(#"^\* OK \[INPROGRESS \("([a-z0-9]+)" ([0-9]+) ([0-9]+)\)\] "#)
                var done: [Int] = []
                for line in told {
                    let found = try #require(try pattern.firstMatch(in: line), "\(line)")
                    #expect(found[1].substring.map(String.init) == tag)
                    #expect(found[3].substring == "20")
                    done.append(Int(found[2].substring ?? "") ?? -1)
                }
                #expect(!done.isEmpty && done == done.sorted() && Set(done).count == done.count)
                #expect(done.allSatisfy { (1..<20).contains($0) })
                // Not before ten seconds have gone by since the last one, and then at once.
                let seconds = clock.count - begun
                #expect((seconds / 14...seconds / 10).contains(told.count), "\(told.count) in \(seconds) seconds")
            }
        }
    }

    @Test("a short search says nothing of its progress")
    func short() async throws {
        try await withNode { node in
            try await onOwnThread {
                for _ in 0..<20 { try node.deposit("alice@example.test", Array(letter.utf8)) }
                let client = try node.imap("alice")
                try client.run("SELECT INBOX")
                #expect(try client.run("SEARCH BODY one").untagged.count == 1)
            }
        }
    }

    @Test("a search ends with its client")
    func clientGone() async throws {
        let (hold, held) = (Flags(), Flags())
        // The second slice does not begin before the client has gone.
        let clock = SlowClock { look in
            guard look == 5 else { return }
            held.set()
            hold.wait()
        }
        try await withNode(options: { $0.readingClock = { clock.now() } }) { node in
            try await onOwnThread {
                for _ in 0..<50 { try node.deposit("alice@example.test", Array(letter.utf8)) }
                let client = try node.imap("alice")
                try client.run("SELECT INBOX")
                _ = try client.send("SEARCH BODY one")
                held.wait()
                client.socket.resetAtEnd()
            }
            #expect(await eventually { node.gateways.sessions.isEmpty })
            hold.set()
        }
        // The node is drained: whatever was to be read has been.
        #expect((5..<20).contains(clock.count), "\(clock.count) looks")
    }

    @Test("what comes while an idle client is told of something else is told behind it")
    func idleWokenAgain() async throws {
        let (armed, held, release) = (Flags(), Flags(), Flags())
        let looks = Atomic(0)
        let clock = SlowClock { _ in
            // Of the reading of flags that was begun: its first slice, on a thread for reading.
            guard armed.has, looks.add(1, ordering: .relaxed).newValue == 2 else { return }
            held.set()
            release.wait()
        }
        let options: (inout GatewayOptions) -> Void = {
            $0.readingClock = { clock.now() }
            $0.eventLoops = 1
        }
        try await withNode(options: options) { node in
            try await onOwnThread {
                let count = GatewayLimits.imapInlineRowsMax + 10
                let account = try node.account("alice@example.test")
                for _ in 0..<count { try node.deposit("alice@example.test", Array(letter.utf8)) }
                let other = try node.imap("bob")
                let client = try node.imap("alice")
                try client.run("SELECT INBOX")
                let tag = try client.send("IDLE")
                #expect(try client.line().hasPrefix("+ "))
                armed.set()
                let inbox = try #require(try node.engine.read { try $0.mailboxID(account, named: .inbox) })
                let all = UIDSet(UID(1)...UID(UInt32(count)))
                node.perform(
                    account,
                    .changeFlags(ChangeFlags(mailbox: inbox, uids: all, operation: .add, flags: .flagged)))
                held.wait()
                try node.deposit("alice@example.test", Array(letter.utf8))
                // The one loop has seen the signal of that commit when it answers this.
                #expect(try other.run("NOOP").isOK)
                release.set()
                for number in 1...count { #expect(try client.line().hasPrefix("* \(number) FETCH")) }
                #expect(try client.line() == "* \(count + 1) EXISTS")
                #expect(try client.line().hasSuffix(" RECENT"))
                try client.socket.send("DONE\r\n")
                #expect(try client.answer(tag).isOK)
            }
        }
    }

    @Test("an idle client hears something, and may go on")
    func keepAlive() async throws {
        #expect(GatewayLimits.imapKeepAliveEvery < .minutes(2))
        try await withNode(options: { $0.imapKeepAliveEvery = .milliseconds(20) }) { node in
            try await onOwnThread {
                for command in ["NOOP", "SELECT INBOX"] {
                    let client = try node.imap("alice")
                    try client.run(command)
                    let tag = try client.send("IDLE")
                    #expect(try client.line().hasPrefix("+ "))
                    for _ in 0..<3 { #expect(try client.line().hasPrefix("* OK ")) }
                    try client.socket.send("DONE\r\n")
                    #expect(try client.answer(tag).isOK)
                    // Not after it.
                    #expect(try client.run("NOOP").untagged.isEmpty)
                }
            }
        }
    }
}

/// Something that happens once and is waited for by threads.
private final class Flags: Sendable {
    private let isSet = Atomic(false)
    var has: Bool { isSet.load(ordering: .sequentiallyConsistent) }
    func set() { isSet.store(true, ordering: .sequentiallyConsistent) }

    func wait() {
        for _ in 0..<6_000 where !has { usleep(5_000) }
    }
}
