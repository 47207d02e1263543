// Values of the state tree: messages, what is left of them, what changed, and the queue.
import MailCore
import MailTypes
import Octets

extension StateValue {
    // MARK: Message

    /// Version 1 of a row of a message, without the moment it was saved; and version 2.
    static let unsavedMessageOctets = 48
    package static let messageOctets = 56
    /// What an expunged row has behind the row of the message.
    private static let expungeOctets = 21
    private static let savedVersion: UInt8 = 2

    package static func encode(_ row: MessageRow) -> [UInt8] { messageBytes(row, extra: 0) { _ in } }

    private static func messageBytes(
        _ row: MessageRow, extra: Int, _ more: (UnsafeMutableRawBufferPointer) -> Void
    ) -> [UInt8] {
        let own = row.saved == nil ? unsavedMessageOctets : messageOctets
        return [UInt8](unsafeUninitializedCapacity: own + extra) { buffer, count in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            bytes[0] = row.saved == nil ? version : savedVersion
            bytes[1] = row.flags.rawValue
            bytes.setLE(row.internalDate.zoneMinutes, at: 2)
            bytes.setLE(row.size, at: 4)
            bytes.setLE(row.modSeq.rawValue, at: 8)
            bytes.setLE(row.email.rawValue, at: 16)
            bytes.setLE(row.internalDate.time.rawValue, at: 24)
            bytes.setLE(row.keywordBits, at: 32)
            bytes.setLE(row.blob.rawValue, at: 40)
            if let saved = row.saved { bytes.setLE(saved.rawValue, at: 48) }
            more(UnsafeMutableRawBufferPointer(rebasing: bytes[own...]))
            count = own + extra
        }
    }

    package static func decodeMessage(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> MessageRow {
        guard let octets = messageOctets(of: bytes), bytes.count == octets else {
            throw .invalid("version or length of a message row")
        }
        let flags = SystemFlags(rawValue: bytes[1])
        guard flags.isSubset(of: .all) else { throw .invalid("system flags") }
        let date = InternalDate(time: try checkedTime(bytes.le(24)), zoneMinutes: bytes.le(2))
        return MessageRow(
            flags: flags, keywordBits: bytes.le(32), size: bytes.le(4), modSeq: ModSeq(bytes.le(8)),
            email: EmailID(bytes.le(16)), blob: BlobNumber(bytes.le(40)),
            saved: octets == messageOctets ? try checkedTime(bytes.le(48)) : nil, internalDate: date)
    }

    /// By its version; nil for one that is not known.
    private static func messageOctets(of bytes: UnsafeRawBufferPointer) -> Int? {
        switch bytes.first {
        case version: unsavedMessageOctets
        case savedVersion: messageOctets
        default: nil
        }
    }

    package static func encode(_ expunged: ExpungedRow) -> [UInt8] {
        messageBytes(expunged.row, extra: expungeOctets) { bytes in
            bytes.setLE(expunged.expunged.rawValue, at: 0)
            bytes.setLE(expunged.time.rawValue, at: 8)
            bytes.setLE(expunged.dueDay, at: 16)
            bytes[20] = expunged.movedOut ? 1 : 0
        }
    }

    package static func decodeExpunged(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> ExpungedRow {
        guard let octets = messageOctets(of: bytes), bytes.count == octets + expungeOctets else {
            throw .invalid("version or length of an expunged row")
        }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[octets...])
        guard rest[20] <= 1 else { throw .invalid("flags of an expunged row") }
        return ExpungedRow(
            row: try decodeMessage(UnsafeRawBufferPointer(rebasing: bytes[..<octets])),
            expunged: ModSeq(rest.le(0)), time: try checkedTime(rest.le(8)), dueDay: rest.le(16),
            movedOut: rest[20] == 1)
    }

    /// Whether `older` is what `row` was before version 2: the same without the moment it was saved.
    ///
    /// - Parameter row: a row of a live or an expunged message, in either version.
    package static func isUnsaved(_ older: [UInt8], of row: [UInt8]) -> Bool {
        guard row.first == savedVersion, row.count >= messageOctets, older.first == version else { return false }
        return older.dropFirst().elementsEqual(row[1..<unsavedMessageOctets] + row[messageOctets...])
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

    package static func encodeUIDL(_ uidl: String) -> [UInt8] {
        var out = start(1 + uidl.utf8.count)
        out.raw(uidl.utf8)
        return out.bytes
    }

    package static func decodeUIDL(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> String {
        var reader = try open(bytes)
        return try reader.rest()
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
}
