// Names by libunbound: a caching resolver in the process, with the servers of /etc/resolv.conf or those configured.
//
// `ub_resolve` works in the thread that calls it and shares its cache with the others, so questions run on a bounded
// pool and never on an event loop. Rejected: c-ares, which caches nothing and validates nothing (DANE will want that).
internal import CUnbound
import Glibc
import NIOPosix

// libunbound allows calls on one context from several threads; the pointer is set once in init.
package final class UnboundResolver: MailResolver, @unchecked Sendable {
    private let context: OpaquePointer
    private let threads: NIOThreadPool

    /// Why there is no resolver.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// - Parameters:
    ///   - servers: addresses to ask, `192.0.2.1` or `192.0.2.1@5353`; empty takes /etc/resolv.conf.
    ///   - trustAnchor: a file with the root's keys, with which answers are validated; nil validates none.
    package init(servers: [String] = [], trustAnchor: String? = nil) throws(Failure) {
        guard let context = ub_ctx_create() else { throw Failure(description: "no resolver: out of memory") }
        self.context = context
        threads = NIOThreadPool(numberOfThreads: DeliveryLimits.resolverThreads)
        threads.start()
        if servers.isEmpty {
            // Without the file every question fails, and says so.
            _ = ub_ctx_resolvconf(context, nil)
            _ = ub_ctx_hosts(context, nil)
        } else {
            // Servers named by the site may be on this host.
            _ = ub_ctx_set_option(context, "do-not-query-localhost:", "no")
            // What they say of private names is what the site wants: libunbound would answer for them, with "no such name".
            _ = ub_ctx_set_option(context, "unblock-lan-zones:", "yes")
            for server in servers where ub_ctx_set_fwd(context, server) != 0 {
                throw Failure(description: "`\(server)` is no address of a name server")
            }
        }
        if let trustAnchor, ub_ctx_add_ta_file(context, trustAnchor) != 0 {
            throw Failure(description: "`\(trustAnchor)` holds no trust anchor")
        }
        // As above; no option has it. It is the last, since nothing can be set after it.
        if !servers.isEmpty { _ = ub_ctx_zone_remove(context, "test.") }
    }

    deinit {
        threads.shutdownGracefully { _ in }
        ub_ctx_delete(context)
    }

    package func exchangers(of domain: String) async -> DNSAnswer<[MailExchanger]> {
        await ask(domain, type: RecordType.mx) { data -> MailExchanger? in
            guard data.count > 2, let host = WireName.text(data.dropFirst(2)) else { return nil }
            return MailExchanger(preference: UInt16(data[0]) << 8 | UInt16(data[1]), host: host)
        }
    }

    package func addresses(of host: String) async -> DNSAnswer<[String]> {
        async let six = ask(host, type: RecordType.aaaa) { Self.address($0, family: AF_INET6, octets: 16) }
        async let four = ask(host, type: RecordType.a) { Self.address($0, family: AF_INET, octets: 4) }
        switch (await six, await four) {
        case (.found(let six), .found(let four)): return .found(six + four)
        case (.found(let some), _), (_, .found(let some)): return .found(some)
        case (.failed(let reason), _), (_, .failed(let reason)): return .failed(reason)
        case (.noName, .noName): return .noName
        default: return .noRecords
        }
    }

    package func validation(of domain: String) async -> DNSValidation {
        await answer(domain, type: RecordType.mx, failed: { .failed($0) }) {
            // A signed denial too: the domain is its own exchanger then, and nobody else chose its name.
            $0.secure != 0 ? .signed : .unsigned
        }
    }

    func ask<Record: Sendable>(
        _ name: String, type: Int32, _ read: @escaping @Sendable ([UInt8]) -> Record?
    ) async -> DNSAnswer<[Record]> {
        await answer(name, type: type, failed: { .failed($0) }) { Self.records($0, read) }
    }

    /// Asks on one of our threads.
    ///
    /// - Parameters:
    ///   - failed: where there is no answer that can be relied on, from why that is.
    ///   - read: from the answer, which dies when it returns.
    private func answer<Answer: Sendable>(
        _ name: String, type: Int32, failed: @escaping @Sendable (String) -> Answer,
        _ read: @escaping @Sendable (ub_result) -> Answer
    ) async -> Answer {
        do {
            return try await threads.runIfActive { [self] () -> Answer in
                var result: UnsafeMutablePointer<ub_result>?
                let code = ub_resolve(context, name, type, RecordType.classIN, &result)
                guard code == 0, let result else { return failed(String(cString: ub_strerror(code))) }
                defer { ub_resolve_free(result) }
                let found = result.pointee
                if found.bogus != 0 { return failed("the answer for \(name) does not verify") }
                guard found.nxdomain != 0 || found.rcode == 0 else {
                    return failed("name server answered code \(found.rcode)")
                }
                return read(found)
            }
        } catch {
            return failed("the resolver is closed")
        }
    }

    private static func records<Record: Sendable>(
        _ answer: ub_result, _ read: ([UInt8]) -> Record?
    ) -> DNSAnswer<[Record]> {
        if answer.nxdomain != 0 { return .noName }
        guard answer.havedata != 0, let data = answer.data, let lengths = answer.len else { return .noRecords }
        var records: [Record] = []
        var index = 0
        while let record = data[index], index < DeliveryLimits.recordsMax {
            let bytes = UnsafeRawBufferPointer(start: record, count: Int(lengths[index]))
            if let value = read(Array(bytes)) { records.append(value) }
            index += 1
        }
        return records.isEmpty ? .noRecords : .found(records)
    }

    private static func address(_ data: [UInt8], family: Int32, octets: Int) -> String? {
        guard data.count == octets else { return nil }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(family, data, &text, socklen_t(text.count)) != nil else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// Numbers of RFC 1035 section 3.2 and RFC 3596.
enum RecordType {
    static let a: Int32 = 1
    static let ptr: Int32 = 12
    static let mx: Int32 = 15
    static let txt: Int32 = 16
    static let aaaa: Int32 = 28
    static let classIN: Int32 = 1
}

/// A domain name in wire form (RFC 1035 section 3.1); libunbound hands out none that is compressed.
enum WireName {
    private static let octetsMax = 255

    /// As text in lower case, without the last dot; empty for the root. Nil when it is no name, or a label holds what
    /// has no place in a host name.
    static func text(_ bytes: some Collection<UInt8>) -> String? {
        var rest = Array(bytes)[...]
        guard rest.count <= octetsMax else { return nil }
        var labels: [String] = []
        while let count = rest.popFirst(), count != 0 {
            guard count < 64, rest.count >= Int(count) else { return nil }
            let label = rest.prefix(Int(count))
            guard label.allSatisfy({ isHostOctet($0) }) else { return nil }
            labels.append(String(decoding: label, as: UTF8.self).lowercased())
            rest = rest.dropFirst(Int(count))
            if rest.isEmpty { return nil }
        }
        return rest.isEmpty ? labels.joined(separator: ".") : nil
    }

    private static func isHostOctet(_ octet: UInt8) -> Bool {
        switch octet {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
        default: false
        }
    }
}
