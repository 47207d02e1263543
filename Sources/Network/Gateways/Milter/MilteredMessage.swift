// A message on its way from filter to filter: its header in memory, its body where it was stored. A filter's changes count when
// it has said its last word, all of them or none; a new body is stored as any other before the next filter sees it.
import EventStore
import MailEngine
import MailTypes
import Milter
import NIOCore

/// A recipient that a filter adds.
struct AddedRecipient {
    let address: Address
    /// As RCPT has them, without looking at them.
    let parameters: [String]
}

/// What a filter wants done to a message, until it has said its verdict.
struct MilterChanges {
    /// Of the header, in their order.
    var header: [MilterChange] = []
    /// Nil within is the null path.
    var sender: Address??
    var added: [AddedRecipient] = []
    var removed: [Address] = []
    var quarantine: String?

    /// - Throws: where it names no address.
    mutating func take(_ change: MilterChange) throws(MilterFault) {
        switch change {
        case .addField, .insertField, .changeField: header.append(change)
        case .changeSender(let path): sender = .some(try Self.address(path))
        case .addRecipient(let path, let parameters):
            guard let address = try Self.address(path) else { throw .malformed }
            added.append(AddedRecipient(address: address, parameters: parameters))
        case .removeRecipient(let path):
            guard let address = try Self.address(path) else { throw .malformed }
            removed.append(address)
        case .quarantine(let reason): quarantine = reason
        case .body: break
        }
    }

    /// A path with its brackets, or an address without; nil is the null path.
    private static func address(_ path: [UInt8]) throws(MilterFault) -> Address? {
        var octets = path[...]
        while octets.first == 32 { octets = octets.dropFirst() }
        while octets.last == 32 { octets = octets.dropLast() }
        if octets.first == UInt8(ascii: "<") {
            guard octets.last == UInt8(ascii: ">") else { throw .malformed }
            octets = octets.dropFirst().dropLast()
        }
        if octets.isEmpty { return nil }
        guard let text = String(validating: octets, as: UTF8.self), let address = Address(text),
            !address.localPart.contains(where: { "<>\"\\ ".contains($0) })
        else { throw .malformed }
        return address
    }
}

final class MilteredMessage {
    /// Until when the filters may take for it, all together.
    let deadline: NIODeadline
    private(set) var header: MilterHeader
    private(set) var source: any BodySource
    /// Octets of `source` before its body.
    private(set) var bodyStart: Int
    private(set) var changes = MilterChanges()
    private(set) var isBodyNew = false

    /// - Parameter bodyStart: where the header of `source` ends.
    init(_ header: MilterHeader, _ source: any BodySource, bodyStart: Int) {
        self.header = header
        self.source = source
        self.bodyStart = bodyStart
        deadline = .now() + GatewayLimits.milterMessageMax
    }

    var bodyOctets: Int { source.count - bodyStart }
    var isChanged: Bool { isBodyNew || header.isChanged }

    /// Does what a filter has asked for.
    ///
    /// - Parameter body: instead of the one there is.
    func apply(_ new: MilterChanges, body: (any BodySource)?, leadingSpace: Bool) {
        for change in new.header { header.apply(change, leadingSpace: leadingSpace) }
        if let sender = new.sender {
            changes.sender = .some(sender)
            header.setReturnPath(sender.map { "<\($0)>" } ?? "<>")
        }
        // A later filter may take out what an earlier one has added.
        let gone = Set(new.removed.map(\.directoryKey))
        changes.added.removeAll { gone.contains($0.address.directoryKey) }
        var known = Set(changes.added.map(\.address.directoryKey))
        for recipient in new.added where known.insert(recipient.address.directoryKey).inserted {
            changes.added.append(recipient)
        }
        changes.removed += new.removed
        changes.quarantine = changes.quarantine ?? new.quarantine
        if let body {
            source = body
            bodyStart = 0
            isBodyNew = true
        }
    }

    /// What is to be stored, when something has changed; reads all of it: not on an event loop.
    static func rewritten(
        _ header: MilterHeader, _ source: any BodySource, bodyStart: Int
    ) throws(StoreError) -> any BodySource {
        let beginning = source.count > bodyStart ? header.octetsBeforeBody : header.octets
        return try RewrittenBody(beginning, instead: bodyStart, of: source)
    }
}
