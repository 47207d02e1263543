// Domains in other scripts: two ways to write one name, and what is no name in either (RFC 5890, RFC 5891).
import MailTypes
import Testing

@Suite struct DomainLabelsTests {
    @Test(
        "one form, whichever was written",
        arguments: [
            ("bücher.example", "xn--bcher-kva.example"), ("BÜCHER.Example", "xn--bcher-kva.example"),
            ("bu\u{308}cher.example", "xn--bcher-kva.example"), ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("faß.example", "xn--fa-hia.example"), ("почта.рф", "xn--80a1acny.xn--p1ai"),
            ("почта.xn--p1ai", "xn--80a1acny.xn--p1ai"), ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example"), ("Example.TEST", "example.test"),
            ("[192.0.2.1]", "[192.0.2.1]"), ("", ""),
        ])
    func ascii(_ name: String, _ expected: String) {
        #expect(DomainLabels.ascii(name) == expected)
        #expect(DomainLabels.ascii(DomainLabels.unicode(expected)) == expected)
    }

    @Test(
        "what IDNA has no form for stays as it is",
        arguments: [
            "☃.example", "-ü.example", "mail.💩.example", "a\u{FF1E}b.example", "a\u{FF20}b.example", "ü\0.example",
        ])
    func strange(_ name: String) { #expect(DomainLabels.ascii(name) == name.lowercased()) }

    @Test("a label that is too long, and text that is far too long")
    func long() {
        let label = String(repeating: "ü", count: 64)
        #expect(DomainLabels.ascii(label + ".example") == label + ".example")
        let text = String(repeating: "ü.", count: 100_000)
        #expect(DomainLabels.ascii(text) == text)
        #expect(DomainLabels.unicode("xn--" + text) == "xn--" + text)
    }

    @Test("A-labels that stand for nothing are left alone", arguments: ["xn--.example", "xn--a.example", "xn--\u{7F}"])
    func noLabel(_ name: String) { #expect(DomainLabels.unicode(name) == name) }

    @Test("two addresses in one domain are one address")
    func addresses() throws {
        let one = try #require(Address("Jo@BÜCHER.example"))
        let other = try #require(Address("Jo@xn--bcher-kva.example"))
        #expect(one == other && one.domain == "xn--bcher-kva.example")
        #expect(one.directoryKey == "jo@xn--bcher-kva.example")
        #expect(one.directoryKeys == ["jo@xn--bcher-kva.example", "jo@bücher.example"])
        // Such an address needs no SMTPUTF8; one whose local part does keeps both parts in one script.
        #expect("\(one)" == "Jo@xn--bcher-kva.example")
        #expect(Address("jö@xn--bcher-kva.example").map { "\($0)" } == "jö@bücher.example")
        #expect(Address("jo@example.test")?.directoryKeys == ["jo@example.test"])
        // What would mean something to a parser does not get in by another script.
        #expect(Address("jo@a\u{FF20}b.example")?.domain == "a\u{FF20}b.example")
    }
}
