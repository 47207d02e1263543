import MailTypes
import SMTP
import Testing

/// What RCPT asks the handler about for a path, or the code it refuses the path with.
private func recipient(_ path: String, utf8: Bool = false) -> (asked: SMTPRecipient?, reply: String) {
    let mail = "EHLO c.example\r\nMAIL FROM:<> \(utf8 ? "SMTPUTF8" : "")\r\n"
    let record = Session.run(mail + "RCPT TO:\(path)\r\n")
    return (record.checked.first, String(record.lines.last!.prefix(9)))
}

@Suite struct AddressTests {
    /// RFC 5321 section 4.1.2: the path, then local part and domain that it names.
    @Test(arguments: [
        ("<alice@example.test>", "alice", "example.test"),
        ("<Alice.B+tag@Example.TEST>", "Alice.B+tag", "example.test"),
        ("<a!#$%&'*+-/=?^_`{|}~z@x>", "a!#$%&'*+-/=?^_`{|}~z", "x"),
        ("<\"a b\"@x.example>", "a b", "x.example"),
        ("<\"a\\\"b\\\\c@d\"@x.example>", "a\"b\\c@d", "x.example"),
        ("<\"<>,;:\"@x.example>", "<>,;:", "x.example"),
        ("<@relay.example,@other.example:joe@x.example>", "joe", "x.example"),
        ("<joe@[127.0.0.1]>", "joe", "[127.0.0.1]"),
        ("<joe@[IPv6:2001:db8::1]>", "joe", "[ipv6:2001:db8::1]"),
        ("<joe@[ipv6:::1]>", "joe", "[ipv6:::1]"),
        (" <spaced@x.example>", "spaced", "x.example"),
        ("<joe@a_b.example>", "joe", "a_b.example"),
        ("<joe@1.2-3.example>  ", "joe", "1.2-3.example"),
    ])
    func taken(_ path: String, _ local: String, _ domain: String) {
        let asked = recipient(path).asked
        #expect(asked?.address.localPart == local)
        #expect(asked?.address.domain == domain)
        #expect(asked?.isBarePostmaster == false)
    }

    @Test(arguments: [
        "", "<>", "<", "alice@example.test", "<alice@example.test", "<alice>", "<@x.example>", "<alice@>",
        "<.a@x>", "<a.@x>", "<a..b@x>", "<a b@x>", "<a@b..c>", "<a@.b>", "<a@b.>", "<a@-b>", "<a@b-.c>", "<a@b c>",
        "<\"a@x>", "<\"a\"b@x>", "<\"\"@x>", "<\"a\\\u{7}\"@x>", "<a@[1.2.3]>", "<a@[1.2.3.256]>", "<a@[127.0.0.1>",
        "<a@[IPv6:1::2::3]>", "<a@[IPv6:127.0.0.1]>", "<a@[x:y]>", "<a@b@c>", "<@r:a@b", "<@r a@b>", "<a@b>x",
        "<\(String(repeating: "l", count: 65))@x>", "<a@\(String(repeating: "d", count: 256))>",
    ])
    func refused(_ path: String) {
        let (asked, reply) = recipient(path)
        #expect(asked == nil)
        #expect(reply == "501 5.1.3" || (path == "<a@b>x" && reply == "501 5.5.4"), "\(reply)")
    }

    @Test func longestPartsAreTaken() {
        let local = String(repeating: "l", count: 64)
        let domain = String(repeating: "d", count: 255)
        #expect(recipient("<\(local)@\(domain)>").asked?.address == Address(localPart: local, domain: domain))
    }

    /// A quote or backslash with a combining mark is one Character; on the wire it is still a quote or backslash.
    @Test(arguments: ["a\"\u{308}", "\\\u{301}b", "\"\u{20DD}"])
    func writtenAddressesAreReadBack(_ local: String) throws {
        let address = try #require(Address(localPart: local, domain: "x.example"))
        let again = try #require(recipient("<\(address)>", utf8: true).asked).address
        #expect(Array(again.localPart.utf8) == Array(local.utf8))
    }

    /// U+0130 takes two octets, and three in lower case.
    @Test func domainsAreMeasuredInLowerCase() {
        let wide = String(repeating: "\u{130}", count: 85)
        #expect(Address(localPart: "a", domain: wide)?.domain.utf8.count == 255)
        #expect(Address(localPart: "a", domain: wide + "x") == nil)
    }

    @Test(arguments: ["<postmaster>", "<Postmaster>", "<POSTMASTER>"])
    func postmasterNeedsNoDomain(_ path: String) {
        let asked = recipient(path).asked
        #expect(asked?.isBarePostmaster == true)
        #expect(asked?.address.description == "postmaster@mx.example.test")
    }

    /// RFC 6531 section 3.5: 550 for MAIL, 553 for RCPT, both X.6.7.
    @Test func nonASCIINeedsSMTPUTF8() {
        #expect(recipient("<jös@x.example>").reply == "553 5.6.7")
        #expect(recipient("<jo@müller.example>").reply == "553 5.6.7")
        #expect(recipient("<jös@müller.example>", utf8: true).asked?.address.description == "jös@müller.example")
        #expect(recipient("<\"jö s\"@x>", utf8: true).asked?.address.localPart == "jö s")
        let hello = "EHLO c.example\r\n"
        #expect(Session.run(hello + "MAIL FROM:<jös@x>\r\n").lines.last!.hasPrefix("550 5.6.7 "))
        #expect(Session.run(hello + "MAIL FROM:<jös@x> SMTPUTF8\r\n").lines.last!.hasPrefix("250 2.1.0 "))
    }

    @Test func brokenUTF8IsNoAddress() {
        let input = Array("EHLO c.example\r\nMAIL FROM:<> SMTPUTF8\r\nRCPT TO:<j".utf8) + [0xC3] + Array("@x>\r\n".utf8)
        #expect(Session.run(input).lines.last!.hasPrefix("501 5.1.3 "))
    }

    /// What follows the path of MAIL, and the start of the reply.
    @Test(arguments: [
        ("", "250 2.1.0"), ("  ", "250 2.1.0"), (" SIZE=1000", "250 2.1.0"), (" size=1000 body=7bit", "250 2.1.0"),
        (" BODY=8BITMIME  SMTPUTF8 ", "250 2.1.0"), (" SIZE=0", "250 2.1.0"),
        (" SIZE=1001", "552 5.3.4"), (" SIZE=99999999999999999999", "552 5.3.4"),
        (" SIZE=", "501 5.5.4"), (" SIZE", "501 5.5.4"), (" SIZE=-1", "501 5.5.4"), (" SIZE=1k", "501 5.5.4"),
        (" SIZE=000000000000000000001", "501 5.5.4"), (" SIZE=1 SIZE=1", "501 5.5.4"), (" SIZE=1 size=2", "501 5.5.4"),
        (" BODY=9BIT", "501 5.5.4"), (" BODY", "501 5.5.4"), (" SMTPUTF8=yes", "501 5.5.4"),
        (" RET=FULL", "555 5.5.4"), (" AUTH=<>", "555 5.5.4"), (" X-NEW", "555 5.5.4"), (" -X", "501 5.5.4"),
        (" =5", "501 5.5.4"), (" SIZE=1=2", "501 5.5.4"), ("SIZE=1", "501 5.5.4"), (" (comment)", "501 5.5.4"),
    ])
    func mailParameters(_ parameters: String, _ reply: String) {
        var site = Site()
        site.configuration.messageOctetsMax = 1_000
        let record = Session.run("EHLO c.example\r\nMAIL FROM:<a@b.example>\(parameters)\r\n", site: site)
        #expect(record.lines.last!.prefix(9) == reply)
    }

    @Test(arguments: ["", "FROM", "FROM <a@b>", "TO:<a@b>", "<a@b>"])
    func mailNeedsFrom(_ arguments: String) {
        let record = Session.run("EHLO c.example\r\nMAIL \(arguments)\r\n")
        #expect(record.lines.last!.prefix(9) == "501 5.5.4")
    }

    @Test(arguments: ["<postmaster>", "a@b.example", "<a@b", "<a b@c>"])
    func badSenders(_ path: String) {
        let record = Session.run("EHLO c.example\r\nMAIL FROM:\(path)\r\n")
        #expect(record.lines.last!.prefix(9) == "501 5.1.7")
    }

    @Test func recipientParametersAreUnknown() {
        let record = Session.run("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.test> NOTIFY=NEVER\r\n")
        #expect(record.lines.last!.prefix(9) == "555 5.5.4")
        #expect(record.checked.isEmpty)
    }

    @Test(arguments: ["", "  ", "two words", "a(b)", "a;b", "a\tb", "müller", String(repeating: "x", count: 256)])
    func badClientNames(_ name: String) {
        #expect(Session.run("EHLO \(name)\r\n").lines.last!.prefix(9) == "501 5.5.4")
        #expect(Session.run("EHLO \(name)\r\nMAIL FROM:<>\r\n").lines.last!.prefix(9) == "503 5.5.1")
    }

    @Test(arguments: ["c", "[127.0.0.1]", "[IPv6:::1]", "my_host.local", "a-b.example."])
    func goodClientNames(_ name: String) {
        var session = Session()
        session.send("EHLO \(name)\r\n")
        #expect(session.machine.clientName == name)
        #expect(session.machine.isExtended)
    }
}
