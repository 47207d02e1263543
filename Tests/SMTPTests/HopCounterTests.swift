import InputSupport
import SMTP
import Testing

@Suite struct HopCounterTests {
    /// A message, how many `Received` fields its header has, and whether the header is over.
    @Test(arguments: [
        ("", 0, false),
        ("Received: a\r\n", 1, false),
        ("received:a\r\nRECEIVED: b\r\n\r\nReceived: c\r\n", 2, true),
        ("X-Received: a\r\nReceived-SPF: b\r\nReceive: c\r\n Received: d\r\n\r\n", 0, true),
        ("Subject: Received: x\r\nReceived: y\r\n\tReceived: z\r\n\r\n", 1, true),
        ("\r\nReceived: a\r\n", 0, true),
        ("\nReceived: a\n", 0, true),
        ("Received: a\nReceived: b\n\nReceived: c\n", 2, true),
        ("Received", 0, false),
        ("\rReceived: a\r\n", 0, false),
        ("\r\r\nReceived: a\r\n", 1, false),
    ])
    func counts(_ message: String, _ expected: Int, _ isDone: Bool) {
        let octets = Array(message.utf8)
        for size in [1, 2, 3, 7, 1_000] {
            var counter = HopCounter()
            for chunk in Chunking.sizes([size]).cut(octets) { chunk.withUnsafeBytes { counter.read($0) } }
            #expect(counter.count == expected)
            #expect(counter.isDone == isDone)
        }
    }
}
