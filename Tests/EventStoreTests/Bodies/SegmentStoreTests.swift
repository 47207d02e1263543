// The store of bodies on a sound disk: what goes in comes out, and the files look as they should.
import EventFormat
import EventStore
import Foundation
import Glibc
import MailTypes
import Testing

@Suite("Bodies in segments")
struct SegmentStoreTests {
    let scratch = ScratchDirectory()

    /// Around the chunk of 64 KiB that one CRC covers, the run of 1 MiB that is written at once, and a segment.
    static let sizes = [
        0, 1, 7, 8, 10_240, 65_535, 65_536, 65_537, 1_048_504, 1_048_575, 1_048_576, 1_048_577, 5 << 20,
    ]

    @Test("a body comes back as it went in", arguments: sizes)
    func roundTrip(_ size: Int) throws {
        let store = try BodyPlace(scratch).made()
        let bytes = octets(size)
        // Something before it, so that it does not begin at a block.
        _ = try store.stage(octets(33))
        let staged = try store.stage(bytes)
        let after = try store.stage(octets(100, seed: 9))
        try store.sync()
        #expect(staged.reference.size == UInt32(size))
        #expect(try store.digest(staged) == digest(bytes))
        #expect(try store.digest(after) == digest(octets(100, seed: 9)))
        #expect(try store.verify(staged.location, expected: staged.reference.hash) == .intact)
        #expect(try store.verify(after.location) == .intact)
    }

    @Test("the bytes on disk are those of the format: header, payload, a CRC for each 64 KiB, zeros to 8")
    func layout() throws {
        let place = BodyPlace(scratch)
        let store = try place.made()
        // RFC 3720 appendix B.4: the CRC-32C of 32 octets of zeros is 8A9136AA.
        let staged = try store.stage([UInt8](repeating: 0, count: 32))
        #expect(staged.segment == 1)
        #expect(staged.offset == 4096)
        let record = Array(contents(of: place.segment(1), from: 4096).prefix(112))
        #expect(Array(record[..<8]) == Array("LBDY".utf8) + [1, 0, 0, 0])
        // Number, stored and raw size, eight octets each.
        for (offset, value) in [(8, 1), (16, 32), (24, 32)] as [(Int, UInt8)] {
            #expect(record[offset..<(offset + 8)].elementsEqual([value, 0, 0, 0, 0, 0, 0, 0]))
        }
        // FIPS 180-4, the digest of 32 zeros: 66687aadf862bd77...
        #expect(record[32..<40].elementsEqual([0x66, 0x68, 0x7A, 0xAD, 0xF8, 0x62, 0xBD, 0x77]))
        #expect(isZero(Array(record[72..<104])))
        #expect(record[104..<112].elementsEqual([0xAA, 0x36, 0x91, 0x8A, 0, 0, 0, 0]))
        #expect(store.tail == (1, 4096 + 112))
    }

    @Test(
        "a row whose offset no file can have names no body",
        arguments: [UInt64.max, 0x8000_0000_0000_0000, 0x7FFF_FFFF_FFFF_FFF8, 0x100_0000_0000] as [UInt64])
    func farOffsets(_ offset: UInt64) throws {
        let store = try BodyPlace(scratch).made()
        var row = try store.stage(octets(5)).row
        row.offset = offset
        #expect(throws: StoreError.self) { try store.open(row) }
        #expect(try store.verify(BodyLocation(segment: 1, offset: offset)) == .damaged("no valid header"))
    }

    @Test("the scan reports what is left of a body at the end of a file, however little", arguments: [1, 8, 71, 72])
    func scrapsAreReported(_ left: Int) throws {
        let place = BodyPlace(scratch)
        let store = try place.made()
        _ = try store.stage(octets(20))
        let cut = try store.stage(octets(30))
        #expect(truncate(place.path + "/00000001.seg", Int(cut.offset) + left) == 0)
        var found = 0
        let gaps = try store.scan { _, _ in
            found += 1
            return true
        }
        #expect(found == 1)
        #expect(gaps.map(\.from) == [cut.location])
        #expect(gaps.map(\.end) == [cut.offset + UInt64(left)])
    }

    @Test("ranges of a body: from the middle, across a chunk, over the end, beyond it")
    func ranges() throws {
        let store = try BodyPlace(scratch).made()
        let bytes = octets(150_000)
        let handle = try store.open(try store.stage(bytes).row)
        #expect(handle.size == 150_000)
        let cases: [(offset: Int, count: Int, expected: Range<Int>)] = [
            (0, 10, 0..<10), (65_530, 12, 65_530..<65_542), (149_990, 100, 149_990..<150_000), (150_000, 1, 0..<0),
            (200_000, 5, 0..<0), (5, 0, 0..<0), (0, 150_000, 0..<150_000), (-1, 5, 0..<0),
        ]
        for row in cases {
            var read: [UInt8] = [42]
            try handle.read(at: row.offset, count: row.count, into: &read)
            #expect(digest(read) == digest([42] + bytes[row.expected]), "\(row.offset), \(row.count)")
        }
    }

    @Test("what does not fit goes to the next segment; the one before gives its end back")
    func roll() throws {
        let place = BodyPlace(scratch, segmentOctets: 256 << 10)
        let store = try place.made()
        var staged: [StagedBody] = []
        for index in 0..<20 { staged.append(try store.stage(octets(60_000, seed: UInt64(index)))) }
        try store.sync()
        // Four of 60,080 octets fit into 256 KiB less the header.
        #expect(staged.map(\.segment) == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5])
        #expect(staged.map(\.reference.blob.rawValue) == Array(1...20))
        for (index, body) in staged.enumerated() {
            #expect(try store.digest(body) == digest(octets(60_000, seed: UInt64(index))), "body \(index)")
        }
        let record = SegmentFormat.recordOctets(payload: 60_000)
        #expect(status(of: place.segment(1)).st_size == 4096 + 4 * record)
        #expect(status(of: place.segment(5)).st_size == 256 << 10)
        #expect(store.statistics.segments == 5)
        #expect(store.statistics.octets == UInt64(4 * (4096 + 4 * record) + 256 << 10))
        let found = try store.places()
        #expect(found.places == staged.map(\.location))
        #expect(found.gaps.isEmpty)
        store.close()
    }

    @Test("a body larger than a segment gets one of its own, and the next body another")
    func largerThanASegment() throws {
        let place = BodyPlace(scratch, segmentOctets: 64 << 10)
        let store = try place.made()
        let small = try store.stage(octets(10))
        let large = try store.stage(octets(3 << 20, seed: 2))
        let after = try store.stage(octets(5000, seed: 3))
        try store.sync()
        #expect([small.segment, large.segment, after.segment] == [1, 2, 3])
        #expect(try store.digest(large) == digest(octets(3 << 20, seed: 2)))
        #expect(try store.verify(large.location) == .intact)
        #expect(try store.digest(small) == digest(octets(10)))
        #expect(try store.digest(after) == digest(octets(5000, seed: 3)))
        let reopened = try BodyPlace(directory: scratch.path, segmentOctets: 64 << 10)
            .open(tail: store.tail, nextBlob: store.nextBlob)
        #expect(try reopened.digest(large) == digest(octets(3 << 20, seed: 2)))
        #expect(reopened.statistics.segments == 3)
    }

    @Test("files are the owner's alone, and a child process gets none of them")
    func permissions() throws {
        let place = BodyPlace(scratch, ballastOctets: 8192)
        let store = try place.made()
        let body = try store.open(try store.stage(octets(10)).row)
        #expect(status(of: place.path).st_mode & 0o777 == 0o700)
        for name in names(in: place.path) {
            #expect(status(of: "\(place.path)/\(name)").st_mode & 0o777 == 0o600, "\(name)")
        }
        for name in names(in: "/proc/self/fd") {
            guard let file = Int32(name) else { continue }
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)")
            guard target?.hasPrefix(place.path) == true else { continue }
            #expect(fcntl(file, F_GETFD) & FD_CLOEXEC != 0)
        }
        withExtendedLifetime(body) {}
    }

    @Test("a store is not made over another one, and can be made over one that was never finished")
    func createTwice() throws {
        let place = BodyPlace(scratch)
        try place.create()
        try place.create()
        let store = try place.open()
        _ = try store.stage(octets(10))
        store.close()
        guard case .unusable = failure({ () throws(StoreError) in try place.create() }) else {
            Issue.record("a second create was let through")
            return
        }
        #expect(try place.open(tail: store.tail).places().places.count == 1)
    }

    @Test("an open body survives the deletion of its segment, and more segments are read than are kept open")
    func handlesAndFiles() throws {
        let place = BodyPlace(scratch, segmentOctets: 8192)
        let store = try place.made()
        var staged: [StagedBody] = []
        for index in 0..<(BodyLimits.openSegmentsMax + 10) {
            staged.append(try store.stage(octets(4000, seed: UInt64(index))))
        }
        let first = try store.open(staged[0].row)
        for (index, body) in staged.enumerated() {
            #expect(try store.digest(body) == digest(octets(4000, seed: UInt64(index))))
        }
        #expect(store.statistics.segmentsOpen == BodyLimits.openSegmentsMax)
        unlink(place.segment(1))
        var bytes: [UInt8] = []
        try first.read(at: 0, count: 4000, into: &bytes)
        #expect(digest(bytes) == digest(octets(4000, seed: 0)))
        #expect(failure { () throws(StoreError) in try store.open(staged[0].row) } != nil)
    }

    @Test("readers see whole bodies while the writer appends")
    func concurrentReaders() async throws {
        let store = try BodyPlace(scratch, segmentOctets: 512 << 10).made()
        let (staged, feed) = AsyncStream<(StagedBody, UInt64)>.makeStream()
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    var wrong = 0
                    for await (body, seed) in staged {
                        let expected = octets(Int(body.reference.size), seed: seed)
                        if try store.contents(body, step: 4096) != expected { wrong += 1 }
                    }
                    return wrong
                }
            }
            for seed in 0..<120 as Range<UInt64> {
                feed.yield((try store.stage(octets(Int(seed * 977 % 40_000), seed: seed)), seed))
                if seed % 8 == 7 { try store.sync() }
            }
            feed.finish()
            for try await wrong in group { #expect(wrong == 0) }
        }
        #expect(try store.places().blobs == Array(1...120))
    }

    @Test("ballast holds its blocks until they are wanted")
    func ballast() throws {
        let place = BodyPlace(scratch, ballastOctets: 1 << 20)
        let store = try place.made()
        let path = place.path + "/ballast"
        #expect(Int(status(of: path).st_blocks) * 512 >= 1 << 20)
        #expect(store.holdsBallast)
        try store.releaseBallast()
        #expect(status(of: path).st_blocks == 0)
        #expect(!store.holdsBallast)
        try store.restoreBallast()
        #expect(Int(status(of: path).st_blocks) * 512 >= 1 << 20)
        #expect(store.holdsBallast)
    }
}
