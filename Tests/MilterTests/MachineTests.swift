// The machine: what it says for each question, what it makes of answers, and that a filter cannot make it do anything else.
import Testing

@testable import Milter

/// A machine, with what it has asked for.
struct Player {
    var machine = MilterClientMachine()
    var actions: [MilterClientAction] = []

    /// After the agreement.
    init(actions allowed: UInt32 = 0x1FF, steps: UInt32 = 0, version: UInt32 = 6) {
        machine.begin(into: &actions)
        receive(packet("O", number(version) + number(allowed) + number(steps)))
        actions = []
    }

    mutating func receive(_ octets: [UInt8]) {
        octets.withUnsafeBytes { machine.receive($0, into: &actions) }
    }

    mutating func ask(_ question: MilterQuestion, _ macros: [String: String] = [:]) -> [MilterClientAction] {
        actions = []
        machine.ask(question, macros, into: &actions)
        return actions
    }

    mutating func answers(_ octets: [UInt8]) -> [MilterClientAction] {
        actions = []
        receive(octets)
        return actions
    }
}

@Suite struct MachineTests {
    @Test func theOffer() {
        var player = Player()
        player = Player.init()
        var machine = MilterClientMachine()
        var actions: [MilterClientAction] = []
        machine.begin(into: &actions)
        // Version 6, all actions, all steps but RCPT that were refused.
        #expect(actions == [.send(packet("O", number(6) + number(0x1FF) + number(0x1F_F7FF)))])
        #expect(player.machine.isReady)
    }

    @Test(
        "an agreement that is none",
        arguments: [(1, 0, 0), (7, 0, 0), (6, 0x200, 0), (6, 0, 0x1000_0000)] as [(UInt32, UInt32, UInt32)])
    func noAgreement(_ version: UInt32, _ allowed: UInt32, _ steps: UInt32) {
        let player = Player(actions: allowed, steps: steps, version: version)
        #expect(player.machine.isOver)
    }

    @Test func whatEachQuestionLooksLike() {
        var player = Player()
        let rows: [(MilterQuestion, [UInt8])] = [
            (
                .connect(host: "[192.0.2.1]", .v4("192.0.2.1", port: 0x1234)),
                packet("C", text("[192.0.2.1]") + Array("4".utf8) + [0x12, 0x34] + text("192.0.2.1"))
            ),
            (
                .connect(host: "h", .v6("2001:db8::1", port: 1)),
                packet("C", text("h") + Array("6".utf8) + [0, 1] + text("2001:db8::1"))
            ),
            (.connect(host: "localhost", .unknown), packet("C", text("localhost") + Array("U".utf8))),
            (.helo("mx.test"), packet("H", text("mx.test"))),
            (.sender(path: "<a@b>", parameters: ["SIZE=1"]), packet("M", text("<a@b>", "SIZE=1"))),
            (.recipient(path: "<c@d>", parameters: []), packet("R", text("<c@d>"))),
            (.data, packet("T")),
            (.field(name: Array("Subject".utf8), value: Array("x".utf8)), packet("L", text("Subject", "x"))),
            (.endOfHeader, packet("N")), (.body([1, 2]), packet("B", [1, 2])), (.endOfMessage, packet("E")),
        ]
        for (question, octets) in rows {
            #expect(player.ask(question) == [.send(octets)])
            #expect(player.answers(packet("c")) == [.answered(.continue)])
        }
        // A NUL cannot end a text before its end.
        #expect(player.ask(.helo("a\0b")) == [.send(packet("H", text("ab")))])
    }

    @Test func macrosComeBeforeTheirCommand() {
        var player = Player()
        let macros = ["i": "4.1", "{mail_addr}": "a@b", "{rcpt_addr}": "c@d"]
        #expect(
            player.ask(.sender(path: "<a@b>", parameters: []), macros) == [
                .send(
                    packet("D", Array("M".utf8) + text("i", "4.1", "{mail_addr}", "a@b")) + packet("M", text("<a@b>")))
            ])
    }

    /// What a filter does not want is not sent, and what it will not answer is not waited for.
    @Test func stepsThatAreLeftOut() {
        let questions: [(MilterQuestion, no: UInt32, unanswered: UInt32)] = [
            (.connect(host: "h", .unknown), 0x1, 0x1000), (.helo("h"), 0x2, 0x2000),
            (.sender(path: "<>", parameters: []), 0x4, 0x4000),
            (.recipient(path: "<a@b>", parameters: []), 0x8, 0x8000),
            (.data, 0x200, 0x10000), (.field(name: [65], value: []), 0x20, 0x80), (.endOfHeader, 0x40, 0x40000),
            (.body([1]), 0x10, 0x80000),
        ]
        for (question, no, unanswered) in questions {
            var without = Player(steps: no)
            #expect(without.ask(question) == [.answered(.continue)])
            var silent = Player(steps: unanswered)
            let said = silent.ask(question)
            #expect(said.count == 2 && said.last == .answered(.continue) && silent.machine.isReady)
        }
        var player = Player(steps: 0x1F_F7FF)
        #expect(player.ask(.endOfMessage) == [.send(packet("E"))])
        #expect(!player.machine.isReady)
        // Before version 4 there is no DATA.
        var old = Player(steps: 0, version: 3)
        #expect(old.ask(.data) == [.answered(.continue)])
    }

    @Test func changesComeAtTheEndOnly() {
        let add = packet("h", text("X", "y"))
        var early = Player()
        _ = early.ask(.data)
        #expect(early.answers(add) == [.failed(.unexpected)])
        var player = Player()
        _ = player.ask(.endOfMessage)
        let change = MilterClientAction.change(.addField(name: [0x58], value: [0x79]))
        #expect(
            player.answers(add + packet("p") + add + packet("c")) == [change, .progress, change, .answered(.continue)])
        // Nobody has asked.
        #expect(player.answers(add) == [.failed(.unexpected)])
        #expect(player.answers(packet("c")).isEmpty)
    }

    @Test func onlyWhatWasAgreedOn() {
        let rows: [(UInt32, [UInt8])] = [
            (0x1, packet("h", text("X", "y"))), (0x1, packet("i", number(0) + text("X", "y"))), (0x2, packet("b", [1])),
            (0x4, packet("+", text("<a@b>"))), (0x80, packet("2", text("<a@b>", "X"))),
            (0x8, packet("-", text("<a@b>"))), (0x10, packet("m", number(1) + text("X", "y"))),
            (0x20, packet("q", text("x"))), (0x40, packet("e", text("<>"))),
        ]
        for (action, octets) in rows {
            var allowed = Player(actions: action)
            _ = allowed.ask(.endOfMessage)
            #expect(allowed.answers(octets + packet("c")).last == .answered(.continue))
            var forbidden = Player(actions: 0x1FF & ~action & ~(octets[4] == 0x2B || octets[4] == 0x32 ? 0x84 : 0))
            _ = forbidden.ask(.endOfMessage)
            #expect(forbidden.answers(octets).last == .failed(.unexpected))
        }
        // Enough of the body, where there is none, or where that was not agreed on.
        var skips = Player(steps: 0x400)
        _ = skips.ask(.body([1]))
        #expect(skips.answers(packet("s")) == [.answered(.skip)])
        _ = skips.ask(.endOfMessage)
        #expect(skips.answers(packet("s")) == [.failed(.unexpected)])
    }

    @Test func limits() {
        let add = packet("h", text("X", "y"))
        var player = Player()
        _ = player.ask(.endOfMessage)
        for _ in 0..<MilterLimits.changesMax { _ = player.answers(add) }
        #expect(player.answers(add) == [.failed(.tooManyChanges)])

        let large = packet("h", text("X", String(repeating: "y", count: 59_999)))
        player = Player()
        _ = player.ask(.endOfMessage)
        for _ in 0..<MilterLimits.changeOctetsMax / 60_000 { #expect(player.answers(large).count == 1) }
        #expect(player.answers(large) == [.failed(.tooManyChanges)])

        // Pieces of a body do not count, but for those that hold nothing.
        player = Player()
        _ = player.ask(.endOfMessage)
        for _ in 0...MilterLimits.changesMax { #expect(player.answers(packet("b", [0x61])).count == 1) }
        for _ in 0..<MilterLimits.changesMax { _ = player.answers(packet("b")) }
        #expect(player.answers(packet("b")) == [.failed(.tooManyChanges)])

        player = Player()
        _ = player.ask(.endOfMessage)
        for _ in 0..<MilterLimits.progressesMax { #expect(player.answers(packet("p")) == [.progress]) }
        #expect(player.answers(packet("p")) == [.failed(.endlessProgress)])

        // Each message has its own, also for a filter that is not told of senders.
        player = Player(steps: MilterSteps.noSender.rawValue)
        for _ in 0..<3 {
            #expect(player.ask(.sender(path: "<a@b>", parameters: [])) == [.answered(.continue)])
            _ = player.ask(.endOfMessage)
            for _ in 0..<MilterLimits.progressesMax { #expect(player.answers(packet("p")) == [.progress]) }
            #expect(player.answers(packet("c")) == [.answered(.continue)])
        }
    }

    @Test func theEnd() {
        var player = Player()
        var actions: [MilterClientAction] = []
        player.machine.abort(into: &actions)
        player.machine.quit(into: &actions)
        #expect(actions == [.send(packet("A")), .send(packet("Q"))])
        #expect(player.answers(packet("c")).isEmpty)
        player.machine.fail(.timeout, into: &actions)
        #expect(actions.count == 2)
    }
}
