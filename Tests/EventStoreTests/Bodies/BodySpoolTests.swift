import Digests
import EventFormat
import EventStore
import Glibc
import MailTypes
import Testing

extension BodySpool {
    func append(_ bytes: [UInt8]) throws(StoreError) {
        var failure: StoreError?
        bytes.withUnsafeBytes { run in
            do throws(StoreError) { try append(run) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

@Suite("Bodies on their way in")
struct BodySpoolTests {
    let scratch = ScratchDirectory()

    static let cases: [(size: Int, piece: Int, isInFile: Bool)] = [
        (0, 1, false), (1, 1, false), (1 << 20, 8191, false), ((1 << 20) + 1, 8191, true),
        ((1 << 20) + 1, 1 << 21, true), (5 << 20, 78_000, true), (300_000, 78, false),
    ]

    @Test("a body is what was appended, in memory or in a file without a name", arguments: cases)
    func spools(_ row: (size: Int, piece: Int, isInFile: Bool)) throws {
        let bytes = octets(row.size)
        let spool = BodySpool(directory: scratch.path)
        for start in stride(from: 0, to: row.size, by: row.piece) {
            try spool.append(Array(bytes[start..<min(start + row.piece, row.size)]))
        }
        #expect(spool.count == row.size)
        #expect(spool.isInFile == row.isInFile)
        #expect(names(in: scratch.path).isEmpty)
        let body = try spool.finish()
        #expect(body.count == row.size)
        #expect(body.hash == ContentHash(SHA256Digest.of(bytes)))
        #expect(body is SpooledBody == row.isInFile)
        for _ in 0..<2 {
            var read: [UInt8] = []
            var longest = 0
            try body.read { run in
                longest = max(longest, run.count)
                read += run
            }
            #expect(digest(read) == digest(bytes))
            #expect(longest <= 1 << 20)
        }
        // And from any place, in pieces that fit nothing.
        for (offset, count) in [
            (0, 10), (row.size / 2, 70_000), (max(0, row.size - 5), 10), (row.size, 1), (0, row.size),
        ] {
            var read: [UInt8] = [7]
            try body.read(at: offset, count: count, into: &read)
            #expect(read.dropFirst().elementsEqual(bytes[offset..<min(row.size, offset + count)]))
        }
    }

    @Test("an octet over the largest body is refused, and nothing of its piece is taken")
    func limit() throws {
        let spool = BodySpool(directory: scratch.path, thresholdOctets: 100, octetsMax: 1000)
        try spool.append(octets(999))
        guard case .unusable = failure({ () throws(StoreError) in try spool.append(octets(2)) }) else {
            Issue.record("more than the limit was taken")
            return
        }
        #expect(spool.count == 999)
        #expect(spool.room == 1)
        try spool.append(Array(octets(1000).suffix(1)))
        #expect(try spool.finish().hash == ContentHash(SHA256Digest.of(octets(1000))))
    }

    @Test("a directory that is not there is an error when a file is needed, not before")
    func noDirectory() throws {
        let spool = BodySpool(directory: scratch.path + "/none", thresholdOctets: 100)
        try spool.append(octets(100))
        #expect(failure { () throws(StoreError) in try spool.append(octets(1)) } != nil)
    }

    @Test("a body in memory has the hash of its bytes")
    func memory() throws {
        // FIPS 180-4, the example of one block: "abc".
        let body = MemoryBody(Array("abc".utf8))
        #expect(
            body.hash.digest.description == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        var runs: [Int] = []
        try MemoryBody(octets((2 << 20) + 5)).read { runs.append($0.count) }
        #expect(runs == [1 << 20, 1 << 20, 5])
    }

    @Test("a spooled body goes into a segment")
    func intoTheStore() throws {
        let store = try BodyPlace(scratch).made()
        let spool = BodySpool(directory: scratch.path)
        for piece in 0..<50 { try spool.append(octets(60_000, seed: UInt64(piece))) }
        let staged = try store.stage(try spool.finish())
        #expect(try store.verify(staged.location) == .intact)
        #expect(try store.digest(staged) == digest((0..<50).flatMap { octets(60_000, seed: $0) }))
    }
}
