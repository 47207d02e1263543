import MailTypes
import Testing

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("::1", "::1"), ("2001:DB8::A", "2001:db8::a"), ("::ffff:192.0.2.1", "192.0.2.1"),
        ("0.0.0.0", "0.0.0.0"), ("::", "::"), ("255.255.255.255", "255.255.255.255"),
    ])
    func texts(_ text: String, _ canonical: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == canonical)
        #expect(IPAddress(octets: address.octets) == address)
    }

    @Test(arguments: ["", "1.2.3", "1.2.3.4.5", "::g", "1.2.3.4/8", "fe80::1%eth0", " 1.2.3.4", "localhost"])
    func noAddresses(_ text: String) { #expect(IPAddress(text) == nil) }

    @Test func octetsOfOtherNumbersAreNone() {
        for count in [0, 1, 3, 5, 15, 17] { #expect(IPAddress(octets: [UInt8](repeating: 1, count: count)) == nil) }
    }

    @Test(arguments: [
        ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"), ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"), ("0.0.0.0/0", "8.8.8.8", "::1"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
        ("2001:db8::/65", "2001:db8::7fff:0:0:0", "2001:db8::8000:0:0:0"),
        ("::1/128", "::1", "::2"), ("::/0", "2001:db8::1", "127.0.0.1"),
    ])
    func networks(_ text: String, _ inside: String, _ outside: String) throws {
        let network = try #require(IPNetwork(text))
        #expect(network.contains(try #require(IPAddress(inside))))
        #expect(!network.contains(try #require(IPAddress(outside))))
        #expect(IPNetwork(network.description) == network)
    }

    @Test(arguments: [
        "192.0.2.1/24", "192.0.2.0/33", "::/129", "192.0.2.0/", "192.0.2.0/-1", "x/8", "2001:db8::1/32",
        "192.0.2.0/+4", "::ffff:192.0.2.0/120",
    ])
    func noNetworks(_ text: String) { #expect(IPNetwork(text) == nil) }
}
