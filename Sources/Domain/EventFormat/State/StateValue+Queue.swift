// The row of a message in the outbound queue. Version 1 is written while it says all there is to say.
import MailCore
import MailTypes
import Octets

extension StateValue {
    private static let wishesVersion: UInt8 = 2

    package static func encode(_ entry: QueueEntry) -> [UInt8] {
        var out = ByteWriter(capacity: 64 + entry.recipients.count * 40)
        let isPlain = entry.isPlain
        out.u8(isPlain ? version : wishesVersion)
        out.zeros(3)
        out.le(entry.size)
        out.le(entry.blob.rawValue)
        out.le(entry.accepted.rawValue)
        out.le(entry.nextAttempt.rawValue)
        out.sized(entry.mailFrom)
        out.varint(UInt64(entry.recipients.count))
        for recipient in entry.recipients {
            out.u8(recipient.state.rawValue)
            out.varint(UInt64(recipient.attempts))
            out.varint(UInt64(recipient.lastCode))
            out.sized(recipient.address)
        }
        if !isPlain { writeWishes(of: entry, to: &out) }
        return out.bytes
    }

    private static func writeWishes(of entry: QueueEntry, to out: inout ByteWriter) {
        let wishes = entry.wishes
        out.u8((entry.isHeld ? 1 : 0) | (wishes.holdUntil == nil ? 0 : 2) | (wishes.deliverBy == nil ? 0 : 4))
        out.varint(UInt64(wishes.flags.rawValue))
        if let time = wishes.holdUntil { out.le(time.rawValue) }
        if let time = wishes.deliverBy { out.le(time.rawValue) }
        out.sized(wishes.envelopeID)
        for recipient in entry.recipients {
            out.u8(recipient.notify.rawValue)
            out.sized(recipient.original)
            out.sized(recipient.lastHost)
            out.sized(recipient.lastText)
        }
    }

    package static func decodeQueueEntry(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> QueueEntry {
        var reader = ByteReader(bytes)
        let rowVersion = try reader.u8()
        guard rowVersion == version || rowVersion == wishesVersion else { throw .invalid("version") }
        try reader.zeros(3)
        let size: UInt32 = try reader.le()
        var entry = QueueEntry(
            blob: BlobNumber(try reader.le()), size: size, accepted: try reader.time(), nextAttempt: try reader.time(),
            mailFrom: try reader.sizedText(), recipients: [])
        let count = try reader.varint()
        guard count <= UInt64(reader.remaining) else { throw .invalid("count of recipients") }
        for _ in 0..<count {
            let state: RecipientState = try choice(try reader.u8(), "state of a recipient")
            let attempts = try reader.varint(as: UInt32.self)
            let code = try reader.varint(as: UInt16.self)
            entry.recipients.append(
                QueueEntry.Recipient(
                    address: try reader.sizedText(), state: state, attempts: attempts, lastCode: code))
        }
        if rowVersion == wishesVersion { try readWishes(of: &entry, from: &reader) }
        try reader.end()
        return entry
    }

    private static func readWishes(
        of entry: inout QueueEntry, from reader: inout ByteReader
    ) throws(FormatError) {
        let present = try reader.u8()
        let flags = QueueFlags(rawValue: try reader.varint(as: UInt16.self))
        guard present <= 7, flags.isSubset(of: .all) else { throw .invalid("wishes of a queue entry") }
        entry.isHeld = present & 1 != 0
        let holdUntil = present & 2 == 0 ? nil : try reader.time()
        let deliverBy = present & 4 == 0 ? nil : try reader.time()
        entry.wishes = QueueWishes(
            flags: flags, holdUntil: holdUntil, deliverBy: deliverBy, envelopeID: try reader.sizedText())
        for index in entry.recipients.indices {
            let notify = QueueNotify(rawValue: try reader.u8())
            guard notify.isSubset(of: .all) else { throw .invalid("reports wanted of a recipient") }
            entry.recipients[index].notify = notify
            entry.recipients[index].original = try reader.sizedText()
            entry.recipients[index].lastHost = try reader.sizedText()
            entry.recipients[index].lastText = try reader.sizedText()
        }
        guard !entry.isPlain else { throw .invalid("version of a queue entry") }
    }
}

extension QueueEntry {
    /// Nothing in it is beyond version 1 of its row.
    fileprivate var isPlain: Bool {
        !isHeld && wishes == QueueWishes()
            && recipients.allSatisfy {
                $0.notify.isEmpty && $0.original.isEmpty && $0.lastHost.isEmpty && $0.lastText.isEmpty
            }
    }
}
