import Foundation
import MailTypes
import Testing

@testable import Server

struct LogLineTests {
    private let time = Timestamp(milliseconds: 1_772_366_400_123)

    @Test func jsonLinesAreOneValueEach() throws {
        let line = LineLogHandler.line(
            at: time, level: .warning, label: "letterlog", message: "odd \"client\"\n", metadata: ["from": "a\u{1B}b"],
            isJSON: true)
        #expect(line.hasSuffix("\n") && line.count(where: { $0 == "\n" }) == 1)
        let value = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String]
        #expect(value?["message"] == "odd \"client\"\n")
        #expect(value?["from"] == "a\u{1B}b")
        #expect(value?["level"] == "warning")
    }

    @Test func whatAClientSendsCannotForgeALine() {
        let line = LineLogHandler.line(
            at: time, level: .info, label: "letterlog", message: "greeting",
            metadata: ["client": "x\n2026-01-01 info forged\u{1B}[2J"], isJSON: false)
        #expect(line.count(where: { $0 == "\n" }) == 1 && !line.contains("\u{1B}"))
    }

    /// RFC 3339; the moment was computed with date(1).
    @Test func times() {
        #expect(time.text == "2026-03-01T12:00:00.123Z")
        #expect(Timestamp(milliseconds: -1).text == "1969-12-31T23:59:59.999Z")
    }

    @Test(arguments: [
        (JSONValue.null, "null"), (.bool(true), "true"), (.integer(-5), "-5"),
        (.string("a\"\\\n\u{0}é"), "\"a\\\"\\\\\\n\\u0000é\""),
        (.object(["b": 1, "a": [2, "x"]]), "{\"a\":[2,\"x\"],\"b\":1}"), (.number(.infinity), "null"),
    ])
    func json(_ value: JSONValue, _ text: String) {
        #expect(value.text == text)
    }
}
