// Headers of the PROXY protocol as values: each good one whole and cut at every octet, each bad one refused.
import MailTypes
import Testing

@testable import Gateways

@Suite struct ProxyHeaderTests {
    static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    static func binary(_ versionCommand: UInt8, _ familyTransport: UInt8, _ block: [UInt8]) -> [UInt8] {
        signature + [versionCommand, familyTransport, UInt8(block.count >> 8), UInt8(block.count & 255)] + block
    }

    static let v4Block: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 7, 0xDC, 0x04, 0, 25]
    static let v6Block: [UInt8] =
        [0x20, 1, 0xD, 0xB8] + [UInt8](repeating: 0, count: 11) + [1]
        + [UInt8](repeating: 0, count: 15) + [1, 0xDC, 0x04, 0, 25]
    private static let v4 = ProxyHeader.Client.ip(IPAddress("192.0.2.1")!, port: 56_324)

    private static func parse(_ octets: [UInt8]) -> ProxyHeader.Result {
        octets.withUnsafeBytes { ProxyHeader.parse($0) }
    }

    static let good: [([UInt8], ProxyHeader.Client)] = [
        (Array("PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\n".utf8), v4),
        (Array("PROXY TCP6 2001:db8::1 ::1 56324 25\r\n".utf8), .ip(IPAddress("2001:db8::1")!, port: 56_324)),
        (
            Array("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".utf8),
            .ip(IPAddress("255.255.255.255")!, port: 65_535)
        ),
        (Array("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n".utf8), .ip(IPAddress("0.0.0.0")!, port: 0)),
        (Array("PROXY UNKNOWN\r\n".utf8), .connection),
        (
            Array(
                "PROXY UNKNOWN \(String(repeating: "f", count: 39)) \(String(repeating: "f", count: 39)) 65535 65535\r\n"
                    .utf8),
            .connection
        ),
        (binary(0x21, 0x11, v4Block), v4),
        (binary(0x21, 0x21, v6Block), .ip(IPAddress("2001:db8::1")!, port: 56_324)),
        // An IPv4 address within IPv6 is itself.
        (
            binary(
                0x21, 0x21,
                [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 192, 0, 2, 1] + [UInt8](repeating: 0, count: 16)
                    + [0xDC, 0x04, 0, 25]), v4
        ),
        (binary(0x21, 0x31, [UInt8](repeating: 0x61, count: 216)), .unix),
        // LOCAL, with and without addresses; whatever family it names.
        (binary(0x20, 0x00, []), .connection), (binary(0x20, 0x11, v4Block), .connection),
        (binary(0x20, 0x21, []), .connection),
        // AF_UNSPEC.
        (binary(0x21, 0x00, []), .connection), (binary(0x21, 0x00, [1, 2, 3]), .connection),
        // Records behind the addresses, well formed or not, are passed over.
        (binary(0x21, 0x11, v4Block + [0x02, 0, 3, 0x61, 0x62, 0x63]), v4),
        (binary(0x21, 0x11, v4Block + [0x20, 0xFF, 0xFF, 1]), v4),
        (binary(0x21, 0x11, v4Block + [UInt8](repeating: 0x04, count: ProxyLimits.binaryOctetsMax - 28)), v4),
    ]

    @Test(arguments: good)
    func headers(_ octets: [UInt8], _ client: ProxyHeader.Client) {
        let expected = ProxyHeader.Result.header(ProxyHeader(client: client), octets: octets.count)
        #expect(Self.parse(octets) == expected)
        #expect(Self.parse(octets + Array("EHLO x\r\n".utf8)) == expected)
        for count in 0..<octets.count { #expect(Self.parse(Array(octets.prefix(count))) == .incomplete) }
    }

    static let bad: [[UInt8]] =
        [
            "EHLO client.test\r\n", "PROXY  TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n", "PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n",
            "PROXY TCP4 2001:db8::1 ::1 1 2\r\n", "PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 65536 2\r\n", "PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 -1 2\r\n", "PROXY TCP4 192.0.2.1 198.51.100.7  2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100 1 2\r\n", "PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n", "PROXY\r\n",
            "PROXY \r\n", "proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n", "PROXY TCP4\t192.0.2.1 198.51.100.7 1 2\r\n",
            "PROXY UNKNOWN \u{1}\r\n", "\n", "\r\nPROXY UNKNOWN\r\n",
            "PROXY UNKNOWN " + String(repeating: "x", count: ProxyLimits.textOctetsMax - 15) + "\r\n",
        ].map { Array($0.utf8) } + [
            // Version 1 in the binary form, commands, families and transports that are none, UDP, cut addresses.
            binary(0x11, 0x11, v4Block), binary(0x31, 0x11, v4Block), binary(0x22, 0x11, v4Block),
            binary(0x21, 0x41, v4Block), binary(0x21, 0x13, v4Block), binary(0x21, 0x12, v4Block),
            binary(0x21, 0x10, v4Block), binary(0x21, 0x11, Array(v4Block.dropLast())),
            binary(0x21, 0x21, Array(v6Block.dropLast())), binary(0x21, 0x31, [UInt8](repeating: 0, count: 215)),
            binary(0x21, 0x11, v4Block + [UInt8](repeating: 0, count: ProxyLimits.binaryOctetsMax)),
            [0x0D, 0x0A, 0x0D, 0x0A, 0x01],
        ]

    @Test(arguments: bad)
    func noHeaders(_ octets: [UInt8]) {
        guard case .malformed = Self.parse(octets) else {
            Issue.record("taken: \(Self.parse(octets))")
            return
        }
    }

    /// However long a header claims to be, no more than the limit is waited for.
    @Test func whatIsIncompleteIsShort() {
        let endless = Array("PROXY UNKNOWN ".utf8) + [UInt8](repeating: 0x78, count: 200)
        for count in 0...endless.count {
            if Self.parse(Array(endless.prefix(count))) == .incomplete { #expect(count < ProxyLimits.textOctetsMax) }
        }
        let huge = Self.signature + [0x21, 0x11, 0xFF, 0xFF]
        #expect(Self.parse(huge) == .malformed("the header is too long"))
    }
}
