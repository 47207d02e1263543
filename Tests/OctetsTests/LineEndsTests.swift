import Octets
import Testing

@Suite struct LineEndsTests {
    @Test(arguments: [
        ("a\nb\r\nc\r", "a\r\nb\r\nc\r"), ("\n\n", "\r\n\r\n"), ("", ""), ("\r\n", "\r\n"), ("x", "x"),
    ])
    func lineEnds(_ text: String, _ expected: String) {
        for cut in 0...text.utf8.count {
            let octets = Array(text.utf8)
            var ends = LineEnds()
            var whole: [UInt8] = []
            for part in [octets[..<cut], octets[cut...]] {
                Array(part).withUnsafeBytes { ends.pass($0) { whole.append(contentsOf: $0) } }
            }
            #expect(String(decoding: whole, as: UTF8.self) == expected)
        }
    }
}
