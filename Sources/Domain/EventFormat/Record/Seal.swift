// The last record of every batch: what the batch holds, chained to the batch before.
import Digests
import MailCore
import MailTypes
import Octets

/// Sixteen random bytes, drawn when a store is made or restored: a history that forks from another has a new one.
package struct Timeline: Hashable, Sendable {
    /// In the order of the bytes.
    package var high: UInt64
    package var low: UInt64
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

package struct Seal: Hashable, Sendable {
    /// Octets of the fixed body.
    package static let bodyOctets = 152

    package var firstLSN: UInt64
    /// Event records of the batch; at least 1.
    package var count: UInt32
    package var timeline: Timeline
    /// Names the process that wrote the batch.
    package var writer: UInt64
    /// The segment that bodies are appended to, and how much of it is in use.
    package var segment: UInt32
    package var offset: UInt64
    /// Body numbers below are used or lost.
    package var nextBlob: UInt64
    /// SHA-256 of the record hashes, end to end.
    package var recordsHash: SHA256Digest
    /// The seal before; zero for the first.
    package var previous: SHA256Digest
    package var seal: SHA256Digest
    package var time: Timestamp

    package static func make(
        firstLSN: UInt64, count: UInt32, timeline: Timeline, writer: UInt64, segment: UInt32, offset: UInt64,
        nextBlob: UInt64, recordsHash: SHA256Digest, previous: SHA256Digest, time: Timestamp
    ) -> Seal {
        var seal = Seal(
            firstLSN: firstLSN, count: count, timeline: timeline, writer: writer, segment: segment, offset: offset,
            nextBlob: nextBlob, recordsHash: recordsHash, previous: previous, seal: .zero, time: time)
        seal.seal = seal.computed
        return seal
    }

    /// What the seal must be: it covers the batch's records, the bodies' end, the time and the seal before.
    private var computed: SHA256Digest {
        var out = ByteWriter(capacity: 104)
        previous.withBytes { out.raw($0) }
        out.le(firstLSN)
        out.le(count)
        recordsHash.withBytes { out.raw($0) }
        out.le(segment)
        out.le(offset)
        out.le(nextBlob)
        out.le(time.rawValue)
        return SHA256Digest.of(out.bytes)
    }

    /// Whether the seal is the one its fields give. Always true of a decoded seal.
    package var isConsistent: Bool { count > 0 && firstLSN > 0 && seal == computed }

    /// The LSN a seal of this batch stands at; nil when the numbers cannot be.
    package var lsn: UInt64? {
        let (lsn, overflow) = firstLSN.addingReportingOverflow(UInt64(count))
        return overflow ? nil : lsn
    }

    /// The record that closes the batch.
    package func encode(lsn: UInt64) -> [UInt8] {
        var out = ByteWriter(capacity: RecordLayout.headerOctets + Self.bodyOctets)
        out.zeros(RecordLayout.headerOctets)
        out.le(firstLSN)
        out.le(count)
        out.be(timeline.high)
        out.be(timeline.low)
        out.le(writer)
        out.le(segment)
        out.le(offset)
        out.le(nextBlob)
        for digest in [recordsHash, previous, seal] { digest.withBytes { out.raw($0) } }
        let header = RecordHeader(
            kind: .seal, flags: [], account: .system, aseq: .zero, previousLSN: 0, time: time, type: 0, typeVersion: 1,
            metaOctets: 0, openOctets: Self.bodyOctets, personalOctets: 0)
        _ = RecordCodec.complete(&out.bytes, header, lsn: lsn)
        return out.bytes
    }

    init(body: UnsafeRawBufferPointer, time: Timestamp) throws(FormatError) {
        var reader = ByteReader(body)
        firstLSN = try reader.le()
        count = try reader.le()
        timeline = Timeline(high: try reader.be(), low: try reader.be())
        writer = try reader.le()
        segment = try reader.le()
        offset = try reader.le()
        nextBlob = try reader.le()
        recordsHash = try reader.digest()
        previous = try reader.digest()
        seal = try reader.digest()
        self.time = time
        try reader.end()
        guard isConsistent else { throw .invalid("seal does not match its fields") }
    }

    private init(
        firstLSN: UInt64, count: UInt32, timeline: Timeline, writer: UInt64, segment: UInt32, offset: UInt64,
        nextBlob: UInt64, recordsHash: SHA256Digest, previous: SHA256Digest, seal: SHA256Digest, time: Timestamp
    ) {
        self.firstLSN = firstLSN
        self.count = count
        self.timeline = timeline
        self.writer = writer
        self.segment = segment
        self.offset = offset
        self.nextBlob = nextBlob
        self.recordsHash = recordsHash
        self.previous = previous
        self.seal = seal
        self.time = time
    }
}

extension ByteReader {
    mutating func digest() throws(FormatError) -> SHA256Digest {
        guard let digest = SHA256Digest(bytes: try slice(SHA256Digest.octets)) else { throw .invalid("digest") }
        return digest
    }
}
