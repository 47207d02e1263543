import Testing

@testable import SMTP

@Suite struct ReplyReaderTests {
    private func read(_ text: String, _ pieceMax: Int = .max) throws -> [SMTPServerReply] {
        var reader = SMTPReplyReader()
        var replies: [SMTPServerReply] = []
        let octets = Array(text.utf8)
        var start = 0
        while start < octets.count {
            let end = pieceMax < octets.count - start ? start + pieceMax : octets.count
            try Array(octets[start..<end]).withUnsafeBytes { bytes in
                var position = 0
                while position < bytes.count {
                    guard let reply = try reader.next(in: bytes, from: &position) else { break }
                    replies.append(reply)
                }
            }
            start = end
        }
        return replies
    }

    @Test(arguments: [
        ("250 ok\r\n", [SMTPServerReply(250, lines: ["ok"])]),
        ("250\r\n", [SMTPServerReply(250, lines: [""])]),
        ("250 \n", [SMTPServerReply(250, lines: [""])]),
        ("250-a\r\n250-\r\n250 b\r\n", [SMTPServerReply(250, lines: ["a", "", "b"])]),
        ("550 5.1.1 no such\r\n", [SMTPServerReply(550, SMTPEnhancedCode(5, 1, 1), lines: ["no such"])]),
        (
            "550-5.1.1 no\r\n550 5.1.1 such\r\n",
            [SMTPServerReply(550, SMTPEnhancedCode(5, 1, 1), lines: ["no", "such"])]
        ),
        // Not of the class of the code: text.
        ("550 4.1.1 no\r\n", [SMTPServerReply(550, lines: ["4.1.1 no"])]),
        ("250 1.2.3.4 hello\r\n", [SMTPServerReply(250, lines: ["1.2.3.4 hello"])]),
        ("220 a\r\n250 b\r\n", [SMTPServerReply(220, lines: ["a"]), SMTPServerReply(250, lines: ["b"])]),
        ("250 \u{e9}\u{0}\r\n", [SMTPServerReply(250, lines: ["???"])]),
    ])
    func reads(_ text: String, _ expected: [SMTPServerReply]) throws {
        #expect(try read(text) == expected)
        #expect(try read(text, 1) == expected)
    }

    @Test(arguments: ["\r\n", "25\r\n", "abc d\r\n", "250-a\r\n251 b\r\n", "250+a\r\n", "199 x\r\n", "600 x\r\n"])
    func refuses(_ text: String) {
        #expect(throws: SMTPReplyReader.Fault.malformed) { try read(text) }
        #expect(throws: SMTPReplyReader.Fault.malformed) { try read(text, 1) }
    }

    @Test func limits() throws {
        let most = String(repeating: "250-x\r\n", count: SMTPLimits.clientReplyLinesMax - 1) + "250 x\r\n"
        #expect(try read(most).count == 1)
        #expect(throws: SMTPReplyReader.Fault.tooLong) { try read("250-x\r\n" + most) }
        let endless = "250 " + String(repeating: "x", count: SMTPLimits.clientReplyOctetsMax)
        #expect(throws: SMTPReplyReader.Fault.tooLong) { try read(endless) }
        #expect(throws: SMTPReplyReader.Fault.tooLong) { try read(endless, 1_000) }
    }

    @Test func features() {
        let features = SMTPServerFeatures([
            "there", "pipelining", "SIZE 1000", "AUTH plain LOGIN", "LIMITS RCPTMAX=20 MAILMAX=5", "X-ODD", "STARTTLS",
        ])
        #expect(features.hasPipelining && features.hasStartTLS && features.hasSize && !features.hasDSN)
        #expect(features.messageOctetsMax == 1_000)
        #expect(features.mechanisms == ["PLAIN", "LOGIN"])
        #expect(features.recipientsMax == 20)
        #expect(SMTPServerFeatures(["PIPELINING"]).hasPipelining == false)
        for bad in ["LIMITS RCPTMAX=0", "LIMITS RCPTMAX=1234567", "LIMITS RCPTMAX", "LIMITS RCPTMAX=x", "LIMITS"] {
            #expect(SMTPServerFeatures(["there", bad]).recipientsMax == nil)
        }
        for odd in ["SIZE", "SIZE x", "SIZE -5"] {
            #expect(SMTPServerFeatures(["there", odd]).messageOctetsMax == 0)
        }
    }
}
