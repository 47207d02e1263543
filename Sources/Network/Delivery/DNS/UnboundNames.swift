import MailTypes
import MessageAuthentication

/// Names for checks of mail that comes in, by libunbound.
///
/// It has a resolver, so threads, of its own: whoever sends chooses what is asked, and servers that never answer must not
/// hold up routes of outgoing mail.
package struct UnboundNames: MailNames {
    private let resolver: UnboundResolver

    /// - Parameter servers: as for `UnboundResolver`.
    package init(servers: [String]) throws(UnboundResolver.Failure) {
        resolver = try UnboundResolver(servers: servers)
    }

    package func texts(of name: String) async -> NameAnswer<[UInt8]> {
        await ask(name, type: RecordType.txt) { (data: [UInt8]) -> [UInt8]? in WireText.joined(data) }
    }

    package func addresses(of name: String, isV6: Bool) async -> NameAnswer<IPAddress> {
        await ask(name, type: isV6 ? RecordType.aaaa : RecordType.a) { (data: [UInt8]) -> IPAddress? in
            IPAddress(octets: data)
        }
    }

    package func exchangers(of name: String) async -> NameAnswer<String> {
        guard Self.isAskable(name) else { return .noName }
        return NameAnswer(await resolver.exchangers(of: name)) { exchangers in
            exchangers.sorted { $0.preference < $1.preference }.map(\.host)
        }
    }

    package func pointers(of address: IPAddress) async -> NameAnswer<String> {
        await ask(Self.reverse(address), type: RecordType.ptr) { (data: [UInt8]) -> String? in WireName.text(data) }
    }

    private func ask<Record: Sendable>(
        _ name: String, type: Int32, _ read: @escaping @Sendable ([UInt8]) -> Record?
    ) async -> NameAnswer<Record> {
        guard Self.isAskable(name) else { return .noName }
        return NameAnswer(await resolver.ask(name, type: type, read)) { $0 }
    }

    /// Others choose the name: what libunbound would take for an escape or for another script is no name of a host.
    private static func isAskable(_ name: String) -> Bool {
        name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x5C }
    }

    /// Where the names of an address are (RFC 1035 section 3.5, RFC 3596 section 2.5).
    static func reverse(_ address: IPAddress) -> String {
        let octets = address.octets.reversed()
        guard address.isV6 else { return octets.map { "\($0)." }.joined() + "in-addr.arpa" }
        return octets.flatMap { [$0 & 15, $0 >> 4] }.map { String($0, radix: 16) + "." }.joined() + "ip6.arpa"
    }
}

extension NameAnswer {
    /// - Parameter records: those that were found, as the checks want them.
    fileprivate init<Records: Sendable>(_ answer: DNSAnswer<Records>, _ records: (Records) -> [Record]) {
        switch answer {
        case .found(let found): self = .found(records(found))
        case .noRecords: self = .noRecords
        case .noName: self = .noName
        case .failed: self = .failed
        }
    }
}

/// The data of a TXT record (RFC 1035 section 3.3.14).
enum WireText {
    /// Its strings put end to end; nil when it is none.
    static func joined(_ data: [UInt8]) -> [UInt8]? {
        var rest = data[...]
        var text: [UInt8] = []
        while let count = rest.popFirst() {
            guard rest.count >= Int(count) else { return nil }
            text += rest.prefix(Int(count))
            rest = rest.dropFirst(Int(count))
        }
        return text
    }
}
