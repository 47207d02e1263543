// Looks at the first octets that the other side sends, before libssl makes room for what they announce.
//
// A handshake message begins with its length, and libssl allocates that much at once: up to 128 KiB for every client
// that sends nine octets. The guard reads record headers until the four octets of the first message's header have come
// by, in however many records, and says whether they begin a ClientHello, or to a client a ServerHello (RFC 8446 section
// 4), of acceptable size. A server may also answer with an alert, which libssl reads. Nothing is kept but those octets; it
// does not look further.

package struct HelloGuard: Sendable {
    package enum Verdict: Equatable, Sendable {
        /// It cannot be told yet.
        case undecided
        case good
        /// No TLS record, or no hello in it.
        case notTLS
        case tooLarge
    }

    private static let recordHeaderOctets = 5
    private static let messageHeaderOctets = 4
    /// RFC 8446 section 5.1.
    private static let handshakeRecord: UInt8 = 22
    private static let alertRecord: UInt8 = 21
    /// RFC 8446 section 4.
    private static let clientHello: UInt8 = 1
    private static let serverHello: UInt8 = 2

    private let isOfServer: Bool

    private var recordHeader: [UInt8] = []
    private var messageHeader: [UInt8] = []
    private var recordOctetsLeft = 0
    package private(set) var verdict = Verdict.undecided

    /// - Parameter isOfServer: a server's answer is looked at, by a client.
    package init(isOfServer: Bool = false) { self.isOfServer = isOfServer }

    /// Looks at further octets. After a verdict nothing changes.
    package mutating func look(at octets: UnsafeRawBufferPointer) {
        var rest = octets[...]
        while verdict == .undecided, let octet = rest.first {
            rest = rest.dropFirst()
            if recordOctetsLeft == 0 { readRecord(octet) } else { readMessage(octet) }
        }
    }

    private mutating func readRecord(_ octet: UInt8) {
        recordHeader.append(octet)
        // Its type, then the major version, 3 in every version of TLS.
        if recordHeader.count == 1, octet != Self.handshakeRecord, !(isOfServer && octet == Self.alertRecord) {
            verdict = .notTLS
        }
        if recordHeader.count == 2, octet != 3 { verdict = .notTLS }
        if recordHeader.count == 2, octet == 3, recordHeader[0] == Self.alertRecord { verdict = .good }
        guard verdict == .undecided else { return }
        guard recordHeader.count == Self.recordHeaderOctets else { return }
        recordOctetsLeft = Int(recordHeader[3]) << 8 | Int(recordHeader[4])
        recordHeader = []
        // An empty fragment of a handshake message is forbidden (RFC 8446 section 5.1).
        if recordOctetsLeft == 0 { verdict = .notTLS }
    }

    private mutating func readMessage(_ octet: UInt8) {
        recordOctetsLeft -= 1
        messageHeader.append(octet)
        if messageHeader.count == 1, octet != (isOfServer ? Self.serverHello : Self.clientHello) { verdict = .notTLS }
        guard messageHeader.count == Self.messageHeaderOctets else { return }
        let octets = messageHeader[1...].reduce(0) { $0 << 8 | Int($1) }
        verdict = octets > TLSLimits.helloOctetsMax ? .tooLarge : .good
    }
}
