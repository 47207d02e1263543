import MailTypes
import Testing

@testable import IMAP

@Suite struct MessageURLTests {
    @Test func aPartOfAMessage() throws {
        let url = try #require(MessageURL("/Drafts/a%20b;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2.MIME"))
        #expect(url.mailbox?.description == "Drafts/a b")
        #expect(url.uidValidity == UIDValidity(385_759_045))
        #expect(url.uid == UID(20))
        #expect(url.section.part == [1, 2])
        #expect(url.section.text == .mime)
        #expect(url.host == nil)
    }

    @Test func withAServer() throws {
        let url = try #require(MessageURL("imap://alice;AUTH=*@mx.example.test/INBOX/;uid=7/;partial=3.10"))
        #expect(url.user == "alice")
        #expect(url.host == "mx.example.test")
        #expect(url.mailbox == .inbox)
        #expect(url.section.partial == PartialRange(offset: 3, count: 10))
        #expect(url.section.text == .all)
    }

    @Test func ofTheSelectedMailbox() throws {
        let url = try #require(MessageURL(";UID=5/;SECTION=TEXT"))
        #expect(url.mailbox == nil)
        #expect(url.section.text == .text)
    }

    @Test(arguments: [
        "", "/", "/INBOX", "/INBOX;UIDVALIDITY=0/;UID=1", "/INBOX;UIDVALIDITY=x/;UID=1", "/INBOX/;UID=0",
        "/INBOX/;UID=a",
        "/INBOX/;UID=1/;SECTION=", "/INBOX/;UID=1/;SECTION=1..2", "/INBOX/;UID=1/;SECTION=MIME", "/INBOX/;SECTION=1",
        "/INBOX/;UID=1/;UID=2", "/INBOX/;UID=1/x", "/INBOX/;UID=1/;PARTIAL=1.0", "/IN%ZZ/;UID=1", "/IN%FF/;UID=1",
        "INBOX/;UID=1", "imap://host;UID=1", "/;UID=1", "http://host/INBOX/;UID=1",
        "/INBOX/;UID=1/;SECTION=" + String(repeating: "1.", count: 2000) + "1",
    ]) func whatIsNone(_ text: String) {
        #expect(MessageURL(text) == nil)
    }
}
