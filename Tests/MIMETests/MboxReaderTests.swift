// An mbox file read in pieces of every size must give the same messages. Files are those that mutt, Dovecot and UW-IMAP
// write, in small.
import MIME
import MailTypes
import Testing

struct ReadMessage: Equatable {
    var sender: String
    var text = ""
    var status = MboxStatus()
}

func read(
    _ file: String, quoting: MboxQuoting = .mboxrd, drops: Bool = false, pieces: Int = .max
) -> (messages: [ReadMessage], stray: Int, longest: Int) {
    var reader = MboxReader(quoting: quoting, dropsStatusFields: drops)
    var messages: [ReadMessage] = []
    var bytes: [UInt8] = []
    var longest = 0
    let sink = { (event: MboxEvent) in
        switch event {
        case .began(let line): messages.append(ReadMessage(sender: line.sender))
        case .bytes(let run):
            bytes.append(contentsOf: run)
            longest = max(longest, run.count)
        case .ended(let status):
            messages[messages.count - 1].text = String(decoding: bytes, as: UTF8.self)
            messages[messages.count - 1].status = status
            bytes = []
        }
    }
    let octets = Array(file.utf8)
    octets.withUnsafeBytes { all in
        var offset = 0
        while offset < all.count {
            let end = pieces > all.count - offset ? all.count : offset + pieces
            reader.consume(UnsafeRawBufferPointer(rebasing: all[offset..<end]), sink)
            offset = end
        }
    }
    reader.finish(sink)
    return (messages, reader.strayOctets, longest)
}

/// A length is asked about once, at the end of the header, and with the offset of the text, whatever the pieces.
@Test("a Content-Length that holds", arguments: [1, 2, 3, 7, 64, Int.max])
func counted(pieces: Int) {
    let head = "From ada Tue Jul  1 10:52:37 2003\nSubject: one\nContent-Length: 44\n\n"
    let text = "a\nFrom bob Tue Jul  1 10:52:38 2003\n>From x\n"
    #expect(text.utf8.count == 44)
    let file = Array((head + text + "\nFrom bob Tue Jul  1 10:52:38 2003\n\n>From b\n").utf8)
    for (isEnd, messages) in [(true, 2), (false, 3)] {
        var reader = MboxReader(quoting: .automatic) { body, length in
            #expect(body == head.utf8.count && length == 44)
            return isEnd
        }
        var texts: [[UInt8]] = []
        let sink = { (event: MboxEvent) in
            switch event {
            case .began: texts.append([])
            case .bytes(let run): texts[texts.count - 1].append(contentsOf: run)
            case .ended: break
            }
        }
        file.withUnsafeBytes { all in
            var offset = 0
            while offset < all.count {
                let end = pieces > all.count - offset ? all.count : offset + pieces
                reader.consume(UnsafeRawBufferPointer(rebasing: all[offset..<end]), sink)
                offset = end
            }
        }
        reader.finish(sink)
        #expect(texts.count == messages)
        #expect(String(decoding: texts[messages - 1], as: UTF8.self) == "\r\nFrom b\r\n")
        let inside = String(decoding: texts[messages - 2], as: UTF8.self)
        #expect(isEnd ? inside.hasSuffix("2003\r\n>From x\r\n") : inside.hasPrefix("From x\r\n"), "\(inside)")
    }
}

@Test("`Lines` is the mbox's own behind a Content-Length alone")
func lines() {
    let from = "From ada Tue Jul  1 10:52:37 2003\n"
    let file = "\(from)Lines: 1\nContent-Length: 2\nLines: 2\n\na\n\n\(from)Lines: 3\n\nb\n"
    let texts = read(file, drops: true).messages.map(\.text)
    #expect(texts == ["Lines: 1\r\n\r\na\r\n", "Lines: 3\r\n\r\nb\r\n"])
}

private let two = """
    From ada Tue Jul  1 10:52:37 2003
    Subject: one
    Status: RO
    X-Status: AF

    first

    >From the start
    >>From further

    From bob Tue Jul  1 10:52:38 2003
    Subject: two

    second

    """

@Suite("Mbox")
struct MboxReaderTests {
    private let one =
        "Subject: one\r\nStatus: RO\r\nX-Status: AF\r\n\r\nfirst\r\n\r\nFrom the start\r\n>From further\r\n"

    @Test("two messages, whatever the size of the pieces", arguments: [1, 2, 3, 7, 64, .max])
    func pieces(_ size: Int) {
        let found = read(two, pieces: size).messages
        #expect(found.map(\.sender) == ["ada", "bob"])
        #expect(found.map(\.text) == [one, "Subject: two\r\n\r\nsecond\r\n"])
        #expect(found[0].status.flags == [.seen, .answered, .flagged])
        #expect(found[1].status == MboxStatus())
        let crlf = two.replacing("\n", with: "\r\n")
        #expect(read(crlf, pieces: size).messages == found)
    }

    @Test(
        "quoting as it was written",
        arguments: [
            (MboxQuoting.none, ">From the start\r\n>>From further"), (.mboxo, "From the start\r\n>>From further"),
            (.mboxrd, "From the start\r\n>From further"),
        ])
    func quoting(_ row: (MboxQuoting, String)) {
        #expect(read(two, quoting: row.0).messages[0].text.hasSuffix("\r\n\r\n" + row.1 + "\r\n"))
    }

    @Test("status fields are told, and left out when asked")
    func statusFields() {
        let file = """
            From x Tue Jul  1 10:52:37 2003
            X-IMAPbase: 1057049557 0000000042 $Junk
            Date: Fri, 21 Nov 1997 09:55:06 -0600
            Status: O
            X-Status: TD
            X-Keywords: $Junk work
              Blue $junk
            X-UID: 41
            Subject: kept

            Status: R in the body

            """
        let told = read(file).messages[0]
        #expect(told.status.flags == [.draft, .deleted])
        #expect(told.status.isOld)
        #expect(told.status.keywords.map(\.name) == ["$Junk", "work", "Blue"])
        #expect(told.status.uid == UID(41))
        #expect(told.status.uidValidity == UIDValidity(1_057_049_557))
        #expect(told.status.lastUID == 42)
        #expect(told.status.date?.time.seconds == 880_127_706)
        #expect(!told.status.isMailboxData)
        #expect(told.text.contains("X-Keywords: $Junk work\r\n  Blue $junk\r\n"))
        let dropped = read(file, drops: true).messages[0]
        #expect(dropped.status == told.status)
        #expect(
            dropped.text
                == "Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nSubject: kept\r\n\r\nStatus: R in the body\r\n")
    }

    @Test(
        "ends of messages",
        arguments: [
            ("a: b\n\nbody\n\n", "a: b\r\n\r\nbody\r\n"), ("a: b\n\nbody\n", "a: b\r\n\r\nbody\r\n"),
            ("a: b\n\nbody", "a: b\r\n\r\nbody\r\n"), ("a: b\n\nbody\n\n\n", "a: b\r\n\r\nbody\r\n\r\n"),
            ("a: b\n\n\n", "a: b\r\n\r\n"), ("a: b\n\n", "a: b\r\n\r\n"), ("a: b\n", "a: b\r\n"), ("", ""),
            ("a: b\n\nx\ry\0z\n", "a: b\r\n\r\nx\ry\0z\r\n"),
            ("a: b\n\nFrom here to there\n", "a: b\r\n\r\nFrom here to there\r\n"),
        ])
    func ends(_ row: (String, String)) {
        for size in [1, .max] {
            let found = read("From x Tue Jul  1 10:52:37 2003\n" + row.0, pieces: size).messages
            #expect(found.map(\.text) == [row.1])
            // And the same when another message follows at once.
            let blank = row.0.hasSuffix("\n") || row.0.isEmpty ? row.0 : row.0 + "\n"
            let next = read(
                "From x Tue Jul  1 10:52:37 2003\n" + blank + "From y Tue Jul  1 10:52:37 2003\n", pieces: size
            ).messages
            #expect(next.map(\.text) == [row.1, ""])
        }
    }

    @Test("lines of any length pass, in bounded pieces")
    func longLines() {
        let long = String(repeating: "x", count: 300_000)
        let file = "From x Tue Jul  1 10:52:37 2003\nA: \(long)\nStatus: R\nB: b\n\n\(long)\r\n.\n\(long)"
        for size in [1000, 8192, 8193, .max] {
            let found = read(file, pieces: size)
            #expect(
                found.messages.map(\.text) == ["A: \(long)\r\nStatus: R\r\nB: b\r\n\r\n\(long)\r\n.\r\n\(long)\r\n"])
            #expect(found.messages.first?.status.flags == .seen)
            #expect(found.longest < 600_000)
        }
    }

    @Test("what is no mbox gives no message and says how much it was")
    func noMbox() {
        #expect(read("hello\nworld\n").messages.isEmpty)
        #expect(read("hello\nworld\n").stray == 10)
        #expect(read("").stray == 0)
        #expect(read("\n\n" + two).messages.count == 2)
        #expect(read("\n\n" + two).stray == 0)
    }

    @Test("any bytes, in any pieces, end and give what one piece gives")
    func anyBytes() {
        var seed: UInt64 = 42
        let words = [
            "From ", ">From x", "\n", "\r", "\r\n", "Tue Jul  1 10:52:37 2003", " ", "Status: R", "X-IMAP: 1 2",
            "X-UID: 99999999999", ":", "\0", "Date: ", "\t",
        ]
        for _ in 0..<300 {
            var file = ""
            for _ in 0..<40 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                file += words[Int(seed >> 33) % words.count]
            }
            let whole = read(file)
            #expect(read(file, pieces: 1).messages == whole.messages)
            #expect(read(file, pieces: 5).messages == whole.messages)
        }
    }
}
