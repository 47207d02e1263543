// The header of the PROXY protocol, versions 1 and 2, by which a proxy says whose connection it hands on
// (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, whose sections are named here).
//
// Pure: octets in, a header out. Whether the sender may be believed is the caller's matter. What is not exactly of the
// form is refused: a header that is half understood would put one client's limits on another.
import MailTypes

struct ProxyHeader: Equatable, Sendable {
    /// Who the client is.
    enum Client: Equatable, Sendable {
        /// The proxy speaks for itself, or does not know: the connection's own ends count.
        case connection
        case ip(IPAddress, port: UInt16)
        /// A Unix socket of the proxy's machine.
        case unix
    }

    enum Result: Equatable, Sendable {
        /// Good so far.
        case incomplete
        /// The header, and how many octets it takes.
        case header(ProxyHeader, octets: Int)
        /// The text is for the log.
        case malformed(String)
    }

    var client: Client

    static func parse(_ bytes: UnsafeRawBufferPointer) -> Result {
        guard let first = bytes.first else { return .incomplete }
        return first == signature[0] ? parseBinary(bytes) : parseText(bytes)
    }

    // MARK: Version 1, section 2.1

    private static let textPrefix = Array("PROXY ".utf8)

    private static func parseText(_ bytes: UnsafeRawBufferPointer) -> Result {
        guard zip(bytes, textPrefix).allSatisfy(==) else { return .malformed("no PROXY header") }
        let window = bytes.prefix(ProxyLimits.textOctetsMax)
        guard let lineFeed = window.firstIndex(of: 0x0A) else {
            return bytes.count < ProxyLimits.textOctetsMax ? .incomplete : .malformed("the line is too long")
        }
        guard lineFeed > 0, window[lineFeed - 1] == 0x0D else { return .malformed("the line ends without CR") }
        let line = window[..<(lineFeed - 1)]
        guard line.allSatisfy({ (0x20...0x7E).contains($0) }) else { return .malformed("the line is not ASCII") }
        let words = line.split(separator: 0x20, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        // What stands behind UNKNOWN is to be ignored.
        if words.count >= 2, words[1] == "UNKNOWN" {
            return .header(ProxyHeader(client: .connection), octets: lineFeed + 1)
        }
        guard words.count == 6, words[1] == "TCP4" || words[1] == "TCP6" else {
            return .malformed("the line has other words")
        }
        let isV6 = words[1] == "TCP6"
        guard let source = address(words[2], isV6: isV6), address(words[3], isV6: isV6) != nil,
            let port = port(words[4]), self.port(words[5]) != nil
        else { return .malformed("an address or a port is none") }
        return .header(ProxyHeader(client: .ip(source, port: port)), octets: lineFeed + 1)
    }

    private static func address(_ text: String, isV6: Bool) -> IPAddress? {
        guard text.contains(":") == isV6 else { return nil }
        return IPAddress(text)
    }

    private static func port(_ text: String) -> UInt16? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            text == "0" || !text.hasPrefix("0")
        else { return nil }
        return UInt16(text)
    }

    // MARK: Version 2, section 2.2

    private static let signature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]
    private static let fixedOctets = 16

    private static func parseBinary(_ bytes: UnsafeRawBufferPointer) -> Result {
        guard zip(bytes, signature).allSatisfy(==) else { return .malformed("no PROXY header") }
        guard bytes.count >= fixedOctets else { return .incomplete }
        let (version, command) = (bytes[12] >> 4, bytes[12] & 0x0F)
        let (family, transport) = (bytes[13] >> 4, bytes[13] & 0x0F)
        let length = Int(bytes[14]) << 8 | Int(bytes[15])
        guard version == 2 else { return .malformed("version \(version) of the header") }
        guard command <= 1 else { return .malformed("command \(command)") }
        guard family <= 3, transport <= 2 else { return .malformed("family \(family), transport \(transport)") }
        let total = fixedOctets + length
        guard total <= ProxyLimits.binaryOctetsMax else { return .malformed("the header is too long") }
        guard bytes.count >= total else { return .incomplete }
        // LOCAL: whatever else stands there is to be passed over. So are the records behind the addresses.
        guard command == 1, family != 0 else { return .header(ProxyHeader(client: .connection), octets: total) }
        guard transport == 1 else { return .malformed("the transport is not a stream") }
        let block = UnsafeRawBufferPointer(rebasing: bytes[fixedOctets..<total])
        guard let client = client(family, block) else { return .malformed("the addresses are cut short") }
        return .header(ProxyHeader(client: client), octets: total)
    }

    /// Source address, destination address, source port, destination port.
    private static func client(_ family: UInt8, _ block: UnsafeRawBufferPointer) -> Client? {
        guard family != 3 else { return block.count >= 216 ? .unix : nil }
        let width = family == 1 ? 4 : 16
        guard block.count >= 2 * width + 4, let address = IPAddress(octets: block[..<width]) else { return nil }
        return .ip(address, port: UInt16(block[2 * width]) << 8 | UInt16(block[2 * width + 1]))
    }
}
