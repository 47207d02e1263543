// What becomes of the header of a message that its author hands in.
import MIME
import Testing

@Suite struct SubmittedHeaderTests {
    private func rewritten(_ text: String) -> String {
        let header = SubmittedHeader(Array(text.utf8))
        return String(
            decoding: header.octets(date: "D", messageID: "i@x", author: "a@x"), as: UTF8.self)
    }

    @Test(
        "what is missing is added, what nobody is to see goes",
        arguments: [
            ("From: a@b\r\nDate: d\r\nMessage-ID: <m@b>\r\n\r\n", "From: a@b\r\nDate: d\r\nMessage-ID: <m@b>\r\n\r\n"),
            ("From: a@b\r\n\r\n", "Date: D\r\nMessage-ID: <i@x>\r\nFrom: a@b\r\n\r\n"),
            (
                "Bcc: c@d,\r\n e@f\r\nfrom: a@b\r\nBCC : x@y\r\nTo: z@z\r\nReturn-Path: <q@q>\r\nResent-Bcc: r@r\r\n\r\n",
                "Date: D\r\nMessage-ID: <i@x>\r\nfrom: a@b\r\nTo: z@z\r\n\r\n"
            ),
            ("\r\n", "From: a@x\r\nDate: D\r\nMessage-ID: <i@x>\r\n\r\n"),
            ("", "From: a@x\r\nDate: D\r\nMessage-ID: <i@x>\r\n"),
            (
                "no field\r\nDATE: d\r\nmessage-id: m\r\nFrom: a@b",
                "no field\r\nDATE: d\r\nmessage-id: m\r\nFrom: a@b"
            ),
        ])
    func rewrites(_ text: String, _ expected: String) {
        #expect(rewritten(text) == expected)
    }

    @Test("every author of every From field is told")
    func authors() {
        let text = "From: A <a@b>, c@d\r\nFrom: \"x, y\" <e@f>\r\nSender: s@t\r\n\r\n"
        let header = SubmittedHeader(Array(text.utf8))
        let told = (header.from + header.sender).map { address in
            String(decoding: (address.mailbox ?? []) + [64] + (address.host ?? []), as: UTF8.self)
        }
        #expect(told == ["a@b", "c@d", "e@f", "s@t"])
    }

    @Test(
        "the end of the header, however the octets are cut up",
        arguments: [
            ("A: b\r\n\r\nbody", 8), ("A: b\n\nbody", 6), ("\r\nbody", 2), ("\nbody", 1), ("A: b\r\n", nil), ("", nil),
            ("A: b\r\n \r\n\r\n", 11), ("A: b\r\n\r\r\n\r\nx", 11), ("A: b\r\r\n\r\nx", 9), ("\r\rA\n\n", 5),
        ] as [(String, Int?)])
    func end(_ text: String, _ expected: Int?) {
        let octets = Array(text.utf8)
        var whole = HeaderEnd()
        #expect(whole.find(in: octets) == expected)
        var piecemeal = HeaderEnd()
        var found: Int?
        for count in 0...octets.count where found == nil { found = piecemeal.find(in: Array(octets[..<count])) }
        #expect(found == expected)
    }
}
