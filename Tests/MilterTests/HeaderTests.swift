// The header as filters see it and change it: ours is hidden, what is not touched stays, and nothing that a filter writes ends the
// header or makes two fields of one.
import Testing

@testable import Milter

@Suite struct HeaderTests {
    private static let ours = "Return-Path: <a@b>\r\nReceived: from us\r\n"
    private static let theirs = "Received: from them\r\nSubject:  two\r\n\tlines\r\nno field\r\nX-A: 1\r\nx-a:2\r\n"

    private func header(_ text: String) throws -> MilterHeader { try #require(MilterHeader(Array(text.utf8))) }
    private func text(_ header: MilterHeader) -> String { String(decoding: header.octets, as: UTF8.self) }

    private func changed(_ change: MilterChange, leadingSpace: Bool = false) throws -> String {
        var header = try header(Self.ours + Self.theirs + "\r\n")
        header.apply(change, leadingSpace: leadingSpace)
        return text(header)
    }

    private func octets(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func whatIsShown() throws {
        let header = try header(Self.ours + Self.theirs + "\r\n")
        let shown = header.fields.filter(\.isShown)
        #expect(shown.map { String(decoding: $0.name, as: UTF8.self) } == ["Received", "Subject", "X-A", "x-a"])
        #expect(
            shown.map { String(decoding: $0.value(leadingSpace: false), as: UTF8.self) }
                == ["from them", " two\n\tlines", "1", "2"])
        #expect(String(decoding: shown[1].value(leadingSpace: true), as: UTF8.self) == "  two\n\tlines")
        #expect(text(header) == Self.ours + Self.theirs + "\r\n" && !header.isChanged)
        #expect(String(decoding: header.topOctets, as: UTF8.self) == Self.ours)
    }

    @Test func fieldsThatAreAdded() throws {
        let (path, received) = ("Return-Path: <a@b>\r\n", "Received: from us\r\n")
        #expect(
            try changed(.addField(name: octets("X-S"), value: octets("y"))) == Self.ours + Self.theirs
                + "X-S: y\r\n\r\n")
        #expect(
            try changed(.addField(name: octets("X-S"), value: octets(" y")), leadingSpace: true)
                == Self.ours + Self.theirs + "X-S: y\r\n\r\n")
        #expect(
            try changed(.insertField(at: 0, name: octets("X-S"), value: octets("y")))
                == path + "X-S: y\r\n" + received + Self.theirs + "\r\n")
        #expect(
            try changed(.insertField(at: 1, name: octets("X-S"), value: octets("y")))
                == Self.ours + Self.theirs.replacing("them\r\n", with: "them\r\nX-S: y\r\n") + "\r\n")
        #expect(
            try changed(.insertField(at: 1_000_000, name: octets("X-S"), value: octets("y")))
                == Self.ours + Self.theirs + "X-S: y\r\n\r\n")
    }

    @Test func fieldsThatAreChanged() throws {
        let change = { MilterChange.changeField(index: $0, name: self.octets($1), value: self.octets($2)) }
        #expect(
            try changed(change(2, "X-A", "3")) == (Self.ours + Self.theirs + "\r\n").replacing("x-a:2", with: "X-A: 3"))
        #expect(
            try changed(change(1, "x-a", "")) == (Self.ours + Self.theirs + "\r\n").replacing("X-A: 1\r\n", with: ""))
        // Ours does not count.
        #expect(
            try changed(change(1, "received", "")) == Self.ours
                + Self.theirs.replacing("Received: from them\r\n", with: "") + "\r\n")
        #expect(try changed(change(0, "X-A", "0")).contains("X-A: 0\r\nx-a:2"))
        // One that is not there is added, or is not there.
        #expect(try changed(change(3, "X-A", "9")) == Self.ours + Self.theirs + "X-A: 9\r\n\r\n")
        #expect(try changed(change(3, "X-A", "")) == Self.ours + Self.theirs + "\r\n")
    }

    /// A value cannot break out of its field.
    @Test(
        arguments: [
            ("a\n\tb", "X: a\r\n\tb\r\n"), ("a\r\n b", "X: a\r\n b\r\n"), ("a\nBcc: x@y", "X: a\r\n\tBcc: x@y\r\n"),
            ("a\n\n\nb", "X: a\r\n\tb\r\n"), ("a\n \t\nb", "X: a\r\n\tb\r\n"), ("a\n", "X: a\r\n"),
            ("a\rb", "X: ab\r\n"),
            ("a\0b", "X: ab\r\n"), ("", "X: \r\n"),
        ])
    func values(_ value: String, _ expected: String) throws {
        var header = try header("\r\n")
        header.apply(.addField(name: octets("X"), value: octets(value)), leadingSpace: false)
        #expect(text(header) == expected + "\r\n")
    }

    @Test func messagesWithoutABody() throws {
        var header = try header("Subject: x\r\nX: y")
        header.apply(.addField(name: octets("Z"), value: octets("1")), leadingSpace: false)
        #expect(text(header) == "Subject: x\r\nX: y\r\nZ: 1\r\n")
        #expect(String(decoding: header.octetsBeforeBody, as: UTF8.self) == "Subject: x\r\nX: y\r\nZ: 1\r\n\r\n")
        let open = try self.header("Subject: x")
        #expect(String(decoding: open.octetsBeforeBody, as: UTF8.self) == "Subject: x\r\n\r\n")
        let none = try self.header("\r\n")
        #expect(text(none) == "\r\n" && none.octetsBeforeBody == [13, 10])
    }

    @Test func aSenderThatIsChanged() throws {
        var header = try header(Self.ours + Self.theirs + "\r\n")
        header.setReturnPath("<c@d>")
        #expect(
            text(header) == (Self.ours + Self.theirs + "\r\n").replacing("<a@b>", with: "<c@d>") && header.isChanged)
        // The second one is theirs.
        var theirs = try self.header("Return-Path: <a@b>\r\nReceived: x\r\nReturn-Path: <z@z>\r\n\r\n")
        theirs.setReturnPath("<>")
        #expect(text(theirs) == "Return-Path: <>\r\nReceived: x\r\nReturn-Path: <z@z>\r\n\r\n")
    }

    @Test func limits() {
        let many = String(repeating: "X: y\r\n", count: MilterLimits.headerFieldsMax)
        #expect(MilterHeader(Array(many.utf8)) != nil)
        #expect(MilterHeader(Array((many + "X: y\r\n").utf8)) == nil)
        // Name, value and what ends them fill a packet.
        let value = String(repeating: "y", count: MilterLimits.sentOctetsMax - 3)
        #expect(MilterHeader(Array("X:\(value)\r\n".utf8)) != nil)
        #expect(MilterHeader(Array("X:\(value)y\r\n".utf8)) == nil)
    }
}
