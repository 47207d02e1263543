// Keys of the tables beside the state tree, and the row of a remembered command.
import MailTypes
import Octets

/// Keys of `log`.
package enum LogKey {
    package static func encode(_ lsn: UInt64) -> [UInt8] {
        withUnsafeBytes(of: lsn.bigEndian) { [UInt8]($0) }
    }

    package static func parse(_ key: UnsafeRawBufferPointer) throws(FormatError) -> UInt64 {
        var reader = ByteReader(key)
        let lsn: UInt64 = try reader.be()
        try reader.end()
        return lsn
    }
}

/// Keys of `blob`.
package enum BlobKey {
    package static func encode(_ blob: BlobNumber) -> [UInt8] { LogKey.encode(blob.rawValue) }
    package static func parse(_ key: UnsafeRawBufferPointer) throws(FormatError) -> BlobNumber {
        BlobNumber(try LogKey.parse(key))
    }
}

/// Keys of `dedup`: whole days fall out of the window together.
package enum DedupKey {
    package static func encode(day: UInt32, account: AccountID, command: CommandID) -> [UInt8] {
        var key = ByteWriter(capacity: 24)
        key.be(day)
        key.be(account.rawValue)
        key.be(command.high)
        key.be(command.low)
        return key.bytes
    }

    package static func parse(
        _ key: UnsafeRawBufferPointer
    ) throws(FormatError) -> (day: UInt32, account: AccountID, command: CommandID) {
        var reader = ByteReader(key)
        let parts = (
            day: try reader.be(UInt32.self), account: AccountID(try reader.be()),
            command: CommandID(high: try reader.be(), low: try reader.be())
        )
        try reader.end()
        return parts
    }
}

/// What a retryable command did.
package struct DedupRow: Hashable, Sendable {
    /// Of the command's last event.
    package var lsn: UInt64
    /// Position of the account after it.
    package var aseq: ModSeq
    package init(lsn: UInt64, aseq: ModSeq) {
        self.lsn = lsn
        self.aseq = aseq
    }

    package func encode() -> [UInt8] {
        var out = StateValue.start(17)
        out.le(lsn)
        out.le(aseq.rawValue)
        return out.bytes
    }

    package static func decode(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> DedupRow {
        var reader = try StateValue.open(bytes)
        let row = DedupRow(lsn: try reader.le(), aseq: ModSeq(try reader.le()))
        try reader.end()
        return row
    }
}

/// Keys of `gc`; UID 0 means a whole deleted mailbox.
package enum CollectionKey {
    package static func encode(day: UInt32, account: AccountID, mailbox: MailboxID, uid: UID) -> [UInt8] {
        var key = ByteWriter(capacity: 16)
        key.be(day)
        key.be(account.rawValue)
        key.be(mailbox.rawValue)
        key.be(uid.rawValue)
        return key.bytes
    }

    package static func parse(
        _ key: UnsafeRawBufferPointer
    ) throws(FormatError) -> (day: UInt32, account: AccountID, mailbox: MailboxID, uid: UID) {
        var reader = ByteReader(key)
        let parts = (
            day: try reader.be(UInt32.self), account: AccountID(try reader.be()),
            mailbox: MailboxID(try reader.be()), uid: UID(try reader.be())
        )
        try reader.end()
        return parts
    }
}
