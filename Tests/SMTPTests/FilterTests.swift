// What a filter of the site may say through the handler: to MAIL, to RCPT, to the message, and that 421 ends the session.
import MailTypes
import SMTP
import Testing

@Suite struct FilterTests {
    private static let no = SMTPReply(554, .init(5, 7, 1), lines: ["No", "twice"])
    private static let over = SMTPReply(421, .init(4, 7, 0), "Over")

    /// A machine before MAIL, with the handler's part played by hand.
    private struct Player {
        var machine: SMTPServerMachine
        var actions: [SMTPAction] = []

        init(_ dialect: SMTPDialect = .smtp, checksSenders: Bool = true) {
            var configuration = SMTPServerConfiguration(dialect: dialect, hostName: "mx.example.test")
            configuration.checksSenders = checksSenders
            machine = SMTPServerMachine(configuration)
            machine.start(into: &actions)
            _ = say(dialect == .lmtp ? "LHLO c" : "EHLO c")
        }

        mutating func say(_ line: String) -> SMTPAction? {
            actions = []
            _ = Array((line + "\r\n").utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
            return actions.last
        }

        mutating func tell(_ event: (inout SMTPServerMachine, inout [SMTPAction]) -> Void) -> [SMTPAction] {
            actions = []
            event(&machine, &actions)
            return actions
        }

        mutating func bringToEnd(_ recipients: Int) {
            _ = say("MAIL FROM:<>")
            _ = tell { $0.senderChecked(.accepted, into: &$1) }
            for index in 0..<recipients {
                _ = say("RCPT TO:<\(index)@example.test>")
                _ = tell { $0.recipientChecked(.accepted, into: &$1) }
            }
            _ = say("DATA")
            _ = tell { $0.bodyStarted(.ready, into: &$1) }
            _ = say("x\r\n.")
        }
    }

    @Test func everySenderIsAskedAboutWhereThatIsWanted() {
        var player = Player()
        var envelope = SMTPEnvelope(reversePath: nil)
        envelope.bodyType = .eightBit
        #expect(player.say("MAIL FROM:<> BODY=8BITMIME") == .checkSender(envelope))
        #expect(player.machine.isWaiting)
        #expect(player.tell { $0.senderChecked(.refused(Self.no), into: &$1) } == [.reply(Self.no)])
        #expect(player.machine.envelope == nil)
        _ = player.say("MAIL FROM:<>")
        #expect(player.tell { $0.senderChecked(.accepted, into: &$1) }.count == 1)
        #expect(player.machine.envelope != nil)
        var without = Player(checksSenders: false)
        guard case .reply(let reply)? = without.say("MAIL FROM:<a@b.test>") else {
            Issue.record("no reply")
            return
        }
        #expect(reply.code == 250)
    }

    @Test func refusalsInItsWords() {
        var player = Player()
        _ = player.say("MAIL FROM:<>")
        _ = player.tell { $0.senderChecked(.accepted, into: &$1) }
        _ = player.say("RCPT TO:<a@example.test>")
        #expect(player.tell { $0.recipientChecked(.refused(Self.no), into: &$1) } == [.reply(Self.no)])
        #expect(player.machine.envelope?.recipients.isEmpty == true)
        player = Player()
        player.bringToEnd(2)
        let outcome = DeliveryOutcome.refused(Self.no)
        #expect(player.tell { $0.deliveryFinished([outcome, outcome], into: &$1) } == [.reply(Self.no)])
        var lmtp = Player(.lmtp)
        lmtp.bringToEnd(2)
        #expect(
            lmtp.tell { $0.deliveryFinished([outcome, outcome], into: &$1) } == [.reply(Self.no), .reply(Self.no)])
        #expect(!lmtp.machine.isClosed)
    }

    /// RFC 5321 section 3.8.
    @Test func afterThatCodeNothingFollows() {
        let end: [SMTPAction] = [.reply(Self.over), .close(.ended)]
        var player = Player()
        _ = player.say("MAIL FROM:<>")
        #expect(player.tell { $0.senderChecked(.refused(Self.over), into: &$1) } == end)
        player = Player()
        _ = player.say("MAIL FROM:<>")
        _ = player.tell { $0.senderChecked(.accepted, into: &$1) }
        _ = player.say("RCPT TO:<a@example.test>")
        #expect(player.tell { $0.recipientChecked(.refused(Self.over), into: &$1) } == end)
        for dialect in [SMTPDialect.smtp, .lmtp] {
            player = Player(dialect)
            player.bringToEnd(2)
            let outcomes = [DeliveryOutcome](repeating: .refused(Self.over), count: 2)
            #expect(player.tell { $0.deliveryFinished(outcomes, into: &$1) } == end)
            #expect(player.machine.isClosed)
        }
    }
}
