// Values of the state tree: messages, what is left of them, what changed, and the queue.
import MailCore
import MailTypes
import Octets

extension StateValue {
    // MARK: Message

    package static let messageOctets = 48
    package static let expungedOctets = 69

    package static func encode(_ row: MessageRow) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: messageOctets) { buffer, count in
            encodeMessage(row, into: UnsafeMutableRawBufferPointer(buffer))
            count = messageOctets
        }
    }

    /// - Parameter bytes: at least 48; the first 48 are written.
    package static func encodeMessage(_ row: MessageRow, into bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count >= messageOctets)
        bytes[0] = version
        bytes[1] = row.flags.rawValue
        bytes.setLE(row.internalDate.zoneMinutes, at: 2)
        bytes.setLE(row.size, at: 4)
        bytes.setLE(row.modSeq.rawValue, at: 8)
        bytes.setLE(row.email.rawValue, at: 16)
        bytes.setLE(row.internalDate.time.rawValue, at: 24)
        bytes.setLE(row.keywordBits, at: 32)
        bytes.setLE(row.blob.rawValue, at: 40)
    }

    package static func decodeMessage(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> MessageRow {
        guard bytes.count == messageOctets else { throw .invalid("length of a message row") }
        guard bytes[0] == version else { throw .invalid("version") }
        let flags = SystemFlags(rawValue: bytes[1])
        guard flags.isSubset(of: .all) else { throw .invalid("system flags") }
        let date = InternalDate(time: try checkedTime(bytes.le(24)), zoneMinutes: bytes.le(2))
        return MessageRow(
            flags: flags, keywordBits: bytes.le(32), size: bytes.le(4), modSeq: ModSeq(bytes.le(8)),
            email: EmailID(bytes.le(16)), blob: BlobNumber(bytes.le(40)), internalDate: date)
    }

    package static func encode(_ expunged: ExpungedRow) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: expungedOctets) { buffer, count in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            encodeMessage(expunged.row, into: bytes)
            bytes.setLE(expunged.expunged.rawValue, at: 48)
            bytes.setLE(expunged.time.rawValue, at: 56)
            bytes.setLE(expunged.dueDay, at: 64)
            bytes[68] = expunged.movedOut ? 1 : 0
            count = expungedOctets
        }
    }

    package static func decodeExpunged(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> ExpungedRow {
        guard bytes.count == expungedOctets else { throw .invalid("length of an expunged row") }
        guard bytes[68] <= 1 else { throw .invalid("flags of an expunged row") }
        return ExpungedRow(
            row: try decodeMessage(UnsafeRawBufferPointer(rebasing: bytes[..<messageOctets])),
            expunged: ModSeq(bytes.le(48)), time: try checkedTime(bytes.le(56)), dueDay: bytes.le(64),
            movedOut: bytes[68] == 1)
    }

    /// - Parameter ids: strictly ascending.
    package static func encodeSpill(_ ids: [KeywordID]) -> [UInt8] {
        var out = start(1 + ids.count * 3)
        for id in ids { out.varint(UInt64(id.rawValue)) }
        return out.bytes
    }

    package static func decodeSpill(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> [KeywordID] {
        var reader = try open(bytes)
        var ids: [KeywordID] = []
        while !reader.isAtEnd {
            let id = KeywordID(try reader.varint(as: UInt16.self))
            if let last = ids.last, id <= last { throw .invalid("order of keywords") }
            ids.append(id)
        }
        return ids
    }

    // MARK: Change

    /// The rows of one event, in order of their part numbers: one, unless the sets are long.
    package static func encodeChange(_ row: ChangeRow) -> [[UInt8]] {
        let octets = 1 + uidSetOctets(row.arrived) + uidSetOctets(row.changed) + uidSetOctets(row.gone)
        if octets <= FormatLimits.changeRowOctetsMax {
            return [changePart([row.arrived.runs[...], row.changed.runs[...], row.gone.runs[...]], octets)]
        }
        return split(row)
    }

    package static func decodeChange(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> ChangeRow {
        var reader = try open(bytes)
        let row = ChangeRow(
            arrived: try reader.uidSet(), changed: try reader.uidSet(), gone: try reader.uidSet())
        try reader.end()
        return row
    }

    private typealias Runs = ArraySlice<ClosedRange<UInt32>>

    private static func changePart(_ sets: [Runs], _ octets: Int) -> [UInt8] {
        var out = start(octets)
        for runs in sets { out.uidRuns(runs) }
        return out.bytes
    }

    /// Fills one part after the other; a part ends where the next run would make it too long.
    private static func split(_ row: ChangeRow) -> [[UInt8]] {
        // Version and three counts, each of at most three octets.
        let fixedOctets = 10
        var parts: [[UInt8]] = []
        var sets: [Runs] = [[], [], []]
        var octets = fixedOctets
        for (index, set) in [row.arrived, row.changed, row.gone].enumerated() {
            var rest = set.runs[...]
            while !rest.isEmpty {
                var end: UInt32 = 0
                var taken = rest.startIndex
                while taken < rest.endIndex {
                    let more = uidRunOctets(rest[taken], after: end)
                    if octets + more > FormatLimits.changeRowOctetsMax { break }
                    octets += more
                    end = rest[taken].upperBound
                    taken += 1
                }
                sets[index] = rest[..<taken]
                rest = rest[taken...]
                if rest.isEmpty { break }
                parts.append(changePart(sets, octets))
                sets = [[], [], []]
                octets = fixedOctets
            }
        }
        parts.append(changePart(sets, octets))
        return parts
    }

    // MARK: Queue

    package static func encode(_ entry: QueueEntry) -> [UInt8] {
        var out = start(64 + entry.recipients.count * 40)
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
        return out.bytes
    }

    package static func decodeQueueEntry(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> QueueEntry {
        var reader = try open(bytes)
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
        try reader.end()
        return entry
    }
}
