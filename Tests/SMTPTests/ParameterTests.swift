// Parameters of MAIL and RCPT: what each does to the envelope, what it refuses, and that it is unknown where its extension
// is not offered.
import InputSupport
import MailTypes
import SMTP
import Testing

@Suite struct ParameterTests {
    /// Offers everything; 2026-11-26T01:30:00Z.
    private static var site: Site {
        var site = Site(.submission)
        site.mechanisms = ["TEST"]
        site.now = 1_795_656_600
        site.configuration.offersTLS = true
        site.configuration.beginsSecure = true
        site.configuration.offersDSN = true
        site.configuration.offersRequireTLS = true
        site.configuration.holdSecondsMax = 86_400
        site.configuration.deliverBySecondsMin = 60
        return site
    }

    private static func run(_ lines: String..., site: Site = site) -> Record {
        let login = site.configuration.dialect == .submission ? "EHLO c\r\nAUTH TEST cGFzcw==\r\n" : "LHLO c\r\n"
        return Session.run(login + lines.map { $0 + "\r\n" }.joined(), site: site)
    }

    private static func envelope(_ mail: String, _ recipient: String = "") throws -> SMTPEnvelope {
        let record = run("MAIL FROM:<alice@example.test>\(mail)", "RCPT TO:<bob@b.test>\(recipient)", "DATA", ".")
        return try #require(record.messages.first?.envelope, "\(record.lines)")
    }

    @Test func everythingIsOffered() {
        let record = Session.run("EHLO c\r\n", site: Self.site)
        for line in [
            "250-DSN", "250-REQUIRETLS", "250-FUTURERELEASE 86400 2026-11-27T01:30:00Z", "250-DELIVERBY 60",
        ] { #expect(record.lines.contains(line), "\(record.lines)") }
    }

    @Test func nothingIsKnownWhereItIsNotOffered() {
        for parameter in [
            "RET=FULL", "ENVID=a", "REQUIRETLS", "HOLDFOR=1", "HOLDUNTIL=2027-01-01T00:00:00Z", "BY=100;R", "AUTH=<>",
        ] {
            let record = Session.run("EHLO c\r\nMAIL FROM:<> \(parameter)\r\n")
            #expect(record.lines.last == "555 5.5.4 Parameter not known here", "\(parameter)")
        }
        for parameter in ["NOTIFY=NEVER", "ORCPT=rfc822;a@b.test"] {
            let record = Session.run("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.test> \(parameter)\r\n")
            #expect(record.lines.last == "555 5.5.4 Parameter not known here", "\(parameter)")
        }
        var plain = Site()
        plain.configuration.offersRequireTLS = true
        let record = Session.run("EHLO c\r\nMAIL FROM:<> REQUIRETLS\r\n", site: plain)
        #expect(!record.text.contains("250-REQUIRETLS"), "not without TLS (RFC 8689 section 2)")
        #expect(record.lines.last == "530 5.7.0 REQUIRETLS needs STARTTLS first")
    }

    @Test func reports() throws {
        let envelope = try Self.envelope(
            " RET=hdrs ENVID=QQ+2B314159", " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Blist@b.test")
        #expect(envelope.returnedContent == .headers)
        #expect(envelope.envelopeID?.text == "QQ+314159")
        #expect(envelope.envelopeID?.encoded == "QQ+2B314159")
        let recipient = try #require(envelope.recipients.first)
        #expect(recipient.notify == [.success, .delay])
        #expect(recipient.originalRecipient?.address == "Bob+list@b.test")
        #expect(recipient.originalRecipient?.parameter == "rfc822;Bob+2Blist@b.test")
        #expect(try Self.envelope("", " NOTIFY=never").recipients.first?.notify == [])
        #expect(try Self.envelope("").recipients.first?.notify == nil)
    }

    @Test(arguments: [
        "RET=BODY", "RET", "ENVID=", "ENVID", "ENVID=a+2b", "ENVID=a+2", "ENVID=a+07",
        "ENVID=" + .init(repeating: "x", count: 101),
        "RET=FULL RET=FULL", "REQUIRETLS=1", "HOLDFOR=0", "HOLDFOR=86401", "HOLDFOR=1x", "HOLDFOR=9999999999",
        "HOLDUNTIL=2026-11-27T01:30:01Z", "HOLDUNTIL=2026-11-26T02:30:00+01:00", "HOLDUNTIL=tomorrow",
        "HOLDFOR=1 HOLDUNTIL=2026-11-26T02:30:00Z", "BY=0;R", "BY=-5;R", "BY=5", "BY=5;X", "BY=5;NX", "BY=;N",
        "BY=1234567890;N", "BY=60;R HOLDFOR=61", "HOLDFOR=61 BY=60;R", "BY=-1;N HOLDFOR=1",
    ])
    func refusedOfMail(_ parameters: String) {
        let last = Self.run("MAIL FROM:<alice@example.test> \(parameters)").lines.last ?? ""
        #expect(last.hasPrefix("501 5.5.4 "), "\(last)")
    }

    @Test(arguments: [
        "NOTIFY=NEVER,SUCCESS", "NOTIFY=SUCCESS,SUCCESS", "NOTIFY=SUCCESS,", "NOTIFY=", "NOTIFY=LATER", "NOTIFY",
        "ORCPT=a@b.test", "ORCPT=rfc822;", "ORCPT=;a", "ORCPT=rfc822;a+zz", "ORCPT=utf-8;\\x{}",
        "ORCPT=utf-8;\\x{D800}",
        "ORCPT=utf-8;j\u{F8}ran@b.test", "ORCPT=rfc822;" + .init(repeating: "x", count: 494),
    ])
    func refusedOfRcpt(_ parameters: String) {
        let record = Self.run("MAIL FROM:<alice@example.test>", "RCPT TO:<bob@b.test> \(parameters)")
        #expect(record.lines.last?.hasPrefix("501 5.5.4 ") == true, "\(record.lines)")
    }

    /// RFC 6533 section 3: raw where the transaction is SMTPUTF8, escaped anywhere.
    @Test func originalRecipientsInUTF8() throws {
        let raw = try Self.envelope(" SMTPUTF8", " ORCPT=utf-8;j\u{F8}ran@b.test").recipients.first
        #expect(raw?.originalRecipient?.address == "j\u{F8}ran@b.test")
        let escaped = try Self.envelope("", " ORCPT=utf-8;j\\x{F8}ran@b.test").recipients.first
        #expect(escaped?.originalRecipient?.address == "j\u{F8}ran@b.test")
        #expect(escaped?.originalRecipient?.kind == "utf-8")
    }

    @Test func heldAndInTime() throws {
        let held = try Self.envelope(" HOLDFOR=3600 BY=7200;RT REQUIRETLS")
        #expect(held.hold == .seconds(3_600))
        #expect(held.hold?.release(at: held.began) == 1_795_660_200)
        #expect(held.hold?.field == "for;3600")
        #expect(held.deliverBy == SMTPDeliverBy(seconds: 7_200, mode: .return, isTraced: true))
        #expect(held.deliverBy?.parameter == "7200;RT")
        #expect(held.requiresTLS)
        #expect(try Self.envelope(" HOLDUNTIL=2026-11-26t02:30:00.5z").hold?.field == "until;2026-11-26T02:30:01Z")
        #expect(try Self.envelope(" BY=-7;n").deliverBy?.parameter == "-7;N")
    }

    /// RFC 2852 section 4: what this host cannot hold is 555.
    @Test func tooSoon() {
        #expect(Self.run("MAIL FROM:<alice@example.test> BY=59;R").lines.last?.hasPrefix("555 5.5.4 ") == true)
    }

    @Test(arguments: [0, 951_782_400, 1_709_164_800, 1_795_656_600, 4_102_444_799, 253_402_300_799])
    func timesComeBack(_ seconds: Int) {
        #expect(InternetTime.seconds(InternetTime.text(seconds)) == seconds)
    }

    @Test func timesAsOthersWriteThem() {
        #expect(InternetTime.seconds("1985-04-12T23:20:50.52Z") == 482_196_051)
        #expect(InternetTime.text(1_709_164_800) == "2024-02-29T00:00:00Z")
        for text in [
            "2025-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:00.Z",
            "2024-01-01 00:00:00Z", "1969-12-31T23:59:59Z", "2024-01-01T00:00:00", "2024-1-01T00:00:00Z0",
            "2024-01-01T00:00:00.\(String(repeating: "1", count: SMTPLimits.internetTimeOctetsMax))Z",
        ] { #expect(InternetTime.seconds(text) == nil, "\(text)") }
    }

    @Test func xtextComesBack() {
        for text in ["plain", "a+b=c d", "j\u{F8}ran@b.test", "+", "\u{7F}\t"] {
            #expect(SMTPXtext(encoded: SMTPXtext(encoding: text).encoded)?.text == text)
        }
        #expect(SMTPXtext(encoding: "a+b=c").encoded == "a+2Bb+3Dc")
    }
}

/// RFC 3030 section 3.
@Suite struct BinaryTests {
    private static let start = "EHLO c\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<alice@example.test>\r\n"

    @Test func everyOctetArrives() {
        let octets = (0...255).map { UInt8($0) } + [13, 10, 46, 13, 10, 10, 13]
        for chunking in [Chunking.whole, .octetByOctet, .sizes([7])] {
            let input = Array((Self.start + "BDAT \(octets.count) LAST\r\n").utf8) + octets + Array("NOOP\r\n".utf8)
            let record = Session.run(input, chunking)
            #expect(record.messages.map(\.body) == [octets])
            #expect(record.lines.suffix(2).map { $0.prefix(9) } == ["250 2.6.0", "250 2.0.0"])
        }
    }

    @Test func notByDATA() {
        let record = Session.run(Self.start + "DATA\r\nRSET\r\n")
        #expect(record.lines.suffix(2).map { $0.prefix(9) } == ["503 5.5.1", "250 2.0.0"])
    }

    @Test func notForSubmission() {
        var site = Site(.submission)
        site.mechanisms = ["TEST"]
        let login = "EHLO c\r\nAUTH TEST cGFzcw==\r\n"
        let record = Session.run(login + "MAIL FROM:<alice@example.test> BODY=BINARYMIME\r\n", site: site)
        #expect(record.lines.last == "501 5.5.4 BODY is 7BIT or 8BITMIME")
        #expect(!record.text.contains("BINARYMIME\r\n250"))
    }
}
