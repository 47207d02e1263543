// A message of the queue as an attempt sees it, and what its octets ask of the next host.
import EventStore
import MailCore
import MailTypes

/// Some recipients of an entry that share a domain.
struct DomainGroup: Sendable {
    /// Empty for addresses that have none.
    let domain: String
    /// Into the entry's recipients.
    var indexes: [UInt16]
}

/// An entry as it stood when the attempt began.
struct QueuedMessage: Sendable {
    let id: QueueID
    let entry: QueueEntry
    /// Recipients that wait, by the domain of their address.
    let waiting: [DomainGroup]

    init(id: QueueID, entry: QueueEntry) {
        self.id = id
        self.entry = entry
        var groups: [DomainGroup] = []
        var places: [String: Int] = [:]
        for (index, recipient) in entry.recipients.enumerated() where recipient.state == .waiting {
            let domain = Address(recipient.address)?.domain ?? ""
            if let place = places[domain] {
                groups[place].indexes.append(UInt16(index))
            } else {
                places[domain] = groups.count
                groups.append(DomainGroup(domain: domain, indexes: [UInt16(index)]))
            }
        }
        waiting = groups
    }

    /// RFC 8689 section 4.2.1: a message with the null sender goes all the same.
    var requiresTLS: Bool { entry.wishes.flags.contains(.requireTLS) && !entry.mailFrom.isEmpty }

    func recipient(_ index: UInt16) -> QueueEntry.Recipient { entry.recipients[Int(index)] }
}

/// What the octets of a message ask of the next host.
struct BodyNature: Sendable {
    var is8Bit = false
    /// The header has octets above 127 (RFC 6532).
    var hasUTF8Header = false
    /// Where the message begins as it leaves: behind our own Return-Path, which is the last host's to write (RFC 5321
    /// section 4.4).
    var start = 0

    /// Reads the body once; not on an event loop.
    init(of body: any BodyHandle) throws(StoreError) {
        start = try Self.start(of: body)
        var offset = start
        var isHeader = true
        var lineOctets = 0
        while offset < body.size {
            var octets: [UInt8] = []
            try body.read(at: offset, count: DeliveryLimits.bodyRunOctets, into: &octets)
            guard !octets.isEmpty else { return }
            offset += octets.count
            guard isHeader else {
                if octets.contains(where: { $0 >= 0x80 }) {
                    is8Bit = true
                    return
                }
                continue
            }
            for octet in octets {
                if octet >= 0x80 {
                    is8Bit = true
                    if isHeader { hasUTF8Header = true }
                }
                guard isHeader else { continue }
                if octet == 0x0A {
                    isHeader = lineOctets > 0
                    lineOctets = 0
                } else if octet != 0x0D {
                    lineOctets += 1
                }
            }
        }
    }

    /// Return-Path is one line, which trace headers fold never: a path has no space in it.
    private static func start(of body: any BodyHandle) throws(StoreError) -> Int {
        let name = Array("return-path:".utf8)
        var octets: [UInt8] = []
        try body.read(at: 0, count: DeliveryLimits.returnPathOctetsMax, into: &octets)
        guard octets.prefix(name.count).map({ $0 | 0x20 }) == name.map({ $0 | 0x20 }),
            let end = octets.firstIndex(of: 0x0A), end + 1 < octets.count, octets[end + 1] != 0x20,
            octets[end + 1] != 0x09
        else { return 0 }
        return end + 1
    }
}
