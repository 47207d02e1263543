// What the stuffer makes of a message, our own receiving machine must read back as the same message.
import InputSupport
import SMTP
import Testing

@Suite struct DotStufferTests {
    @Test(arguments: [
        ("", ".\r\n"),
        ("a", "a\r\n.\r\n"),
        ("a\r\n", "a\r\n.\r\n"),
        (".", "..\r\n.\r\n"),
        (".\r\n", "..\r\n.\r\n"),
        ("a\r\n.b\r\n..c\r\n", "a\r\n..b\r\n...c\r\n.\r\n"),
        ("\n.\r\n", "\n.\r\n.\r\n"),
        ("a\r", "a\r\r\n.\r\n"),
    ])
    func stuffs(_ message: String, _ expected: String) {
        for pieceMax in [Int.max, 1, 2] {
            var stuffer = SMTPDotStuffer()
            var output: [UInt8] = []
            var rest = Array(message.utf8)[...]
            while !rest.isEmpty {
                Array(rest.prefix(pieceMax)).withUnsafeBytes { stuffer.append($0, to: &output) }
                rest = rest.dropFirst(pieceMax)
            }
            output += stuffer.finish()
            #expect(String(decoding: output, as: UTF8.self) == expected)
        }
    }

    @Test func isReadBack() {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<300 {
            let count = Int.random(in: 0..<60, using: &random)
            var message = (0..<count).flatMap { _ in
                [Array("\r\n".utf8), Array(".".utf8), Array("x".utf8)][Int.random(in: 0..<3, using: &random)]
            }
            if !message.isEmpty, message.suffix(2) != [13, 10] { message += [13, 10] }
            var stuffer = SMTPDotStuffer()
            var wire: [UInt8] = []
            message.withUnsafeBytes { stuffer.append($0, to: &wire) }
            let begin = Array("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n".utf8)
            let record = Session.run(begin + wire + stuffer.finish())
            #expect(record.messages.map(\.body) == [message])
        }
    }
}
