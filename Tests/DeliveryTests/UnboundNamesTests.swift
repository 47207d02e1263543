import MailTypes
import MessageAuthentication
import Testing

@testable import Delivery

@Suite struct UnboundNamesTests {
    @Test func stringsOfATextRecordStandEndToEnd() {
        #expect(WireText.joined([2, 97, 98, 0, 1, 99]) == Array("abc".utf8))
        #expect(WireText.joined([]) == [])
        #expect(WireText.joined([3, 97, 98]) == nil)
    }

    @Test func addressesHaveTheirReverseNames() {
        #expect(UnboundNames.reverse(IPAddress("192.0.2.65")!) == "65.2.0.192.in-addr.arpa")
        #expect(
            UnboundNames.reverse(IPAddress("2001:db8::cb01")!)
                == "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa")
    }

    /// They never reach the resolver, whose servers are not there.
    @Test(arguments: ["a\\046b.example", "two words.example", "grüße.example", "a\u{1}.example"])
    func namesOfNoHostAreNone(_ name: String) async throws {
        let names = try UnboundNames(servers: ["127.0.0.1@1"])
        guard case .noName = await names.texts(of: name) else {
            Issue.record("\(name) was asked for")
            return
        }
    }
}
