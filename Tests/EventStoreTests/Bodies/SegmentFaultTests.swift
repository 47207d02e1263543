// What damage, erasing and failing calls do to stored bodies. Calls fail through the `DiskCalls` a store is given;
// damage is done to the files behind its back.
import EventFormat
import EventStore
import Glibc
import MailTypes
import Synchronization
import Testing

@Suite("Faults under the store of bodies")
struct SegmentFaultTests {
    let scratch = ScratchDirectory()

    // MARK: Damage

    @Test("one turned bit anywhere in a record is found")
    func bitFlips() throws {
        let place = BodyPlace(scratch)
        let store = try place.made()
        let size = 200_000
        let body = try store.stage(octets(size))
        let next = try store.stage(octets(50, seed: 2))
        try store.sync()
        let payload = body.offset + 72
        // Magic, number, stored and raw size, hash, header CRC; payload at both ends of a chunk; first and last CRC.
        let offsets: [UInt64] = [
            body.offset, body.offset + 9, body.offset + 17, body.offset + 25, body.offset + 40, body.offset + 65,
            payload, payload + 65_535, payload + 65_536, payload + UInt64(size) - 1, payload + UInt64(size),
            payload + UInt64(size) + 15,
        ]
        for offset in offsets {
            flipBit(place.segment(1), at: offset)
            guard case .damaged = try store.verify(body.location) else {
                Issue.record("a turned bit at \(offset - body.offset) of the record was not seen")
                continue
            }
            flipBit(place.segment(1), at: offset)
            #expect(try store.verify(body.location) == .intact)
        }
        flipBit(place.segment(1), at: payload + 100)
        #expect(try store.verify(body.location) == .damaged("CRC of chunk 0"))
        #expect(try store.verify(next.location) == .intact)
        let mixed = try store.verify(next.location, expected: body.reference.hash)
        #expect(mixed == .damaged("the header is of another body"))
    }

    @Test(
        "a body with a turned bit is an error to whoever reads it, and never bytes", arguments: [1000, 65_536, 300_000])
    func damagedReading(step: Int) throws {
        let place = BodyPlace(scratch)
        let store = try place.made()
        let size = 200_000
        let body = try store.stage(octets(size))
        try store.sync()
        #expect(try store.contents(body, step: step) == octets(size))
        let payload = body.offset + 72
        // In the payload, in its last octet, and in a CRC.
        for offset in [payload + 70_000, payload + UInt64(size) - 1, payload + UInt64(size) + 5] {
            flipBit(place.segment(1), at: offset)
            guard case .damaged = failure({ () throws(StoreError) in try store.contents(body, step: step) }) else {
                Issue.record("a turned bit at \(offset - payload) was handed out")
                continue
            }
            flipBit(place.segment(1), at: offset)
        }
        // What is whole can still be read from a body that has damage elsewhere.
        flipBit(place.segment(1), at: payload + 150_000)
        var bytes: [UInt8] = []
        try store.open(body.row).read(at: 65_530, count: 20, into: &bytes)
        #expect(bytes == Array(octets(size)[65_530..<65_550]))
    }

    @Test("behind a damaged header the walk goes on, and tells what it passed over")
    func damagedHeader() throws {
        let place = BodyPlace(scratch, segmentOctets: 4 << 20)
        let store = try place.made()
        // The second is longer than what is searched at once.
        let staged = try [1000, 2_500_000, 3000].map { try store.stage(octets($0, seed: UInt64($0))) }
        flipBit(place.segment(1), at: staged[1].offset + 17)
        let found = try store.places()
        #expect(found.blobs == [1, 3])
        #expect(found.gaps.map(\.from) == [staged[1].location])
        #expect(found.gaps.map(\.end) == [staged[2].offset])
        #expect(failure { () throws(StoreError) in try store.open(staged[1].row) } != nil)
        #expect(try store.digest(staged[2]) == digest(octets(3000, seed: 3000)))
        var seen = 0
        try store.scan { _, _ in
            seen += 1
            return false
        }
        #expect(seen == 1)
    }

    @Test("a row that points to another body is refused")
    func staleRow() throws {
        let store = try BodyPlace(scratch).made()
        let one = try store.stage(octets(500, seed: 1))
        let two = try store.stage(octets(500, seed: 2))
        var row = one.row
        row.offset = two.offset
        guard case .damaged = failure({ () throws(StoreError) in try store.open(row) }) else {
            Issue.record("another body was opened")
            return
        }
        row.offset = store.tail.offset
        #expect(failure { () throws(StoreError) in try store.open(row) } != nil)
    }

    // MARK: Erasing

    @Test("erasing leaves no byte, gives the blocks back, and leaves the neighbours as they were")
    func erase() throws {
        let place = BodyPlace(scratch, segmentOctets: 4 << 20)
        let store = try place.made()
        let before = try store.stage(octets(3000, seed: 1))
        let secret = try store.stage(octets(1 << 20, seed: 2))
        let after = try store.stage(octets(3000, seed: 3))
        try store.sync()
        let blocks = status(of: place.segment(1)).st_blocks
        let reader = try store.open(secret.row)
        try store.erase(secret.location)
        // All whole blocks within 1 MiB, in units of 512 octets.
        #expect(blocks - status(of: place.segment(1)).st_blocks >= ((1 << 20) - 8192) / 512)
        #expect(try store.verify(secret.location) == .erased)
        #expect(failure { () throws(StoreError) in try store.open(secret.row) } == .damaged("body 2 is erased"))
        #expect(try store.digest(before) == digest(octets(3000, seed: 1)))
        #expect(try store.digest(after) == digest(octets(3000, seed: 3)))
        #expect(try store.verify(before.location) == .intact)
        #expect(try store.verify(after.location) == .intact)
        #expect(try store.places().blobs == [1, 2, 3])
        // Whoever had it open reads an error and not one octet.
        var bytes: [UInt8] = []
        #expect(failure { () throws(StoreError) in try reader.read(at: 0, count: 1 << 20, into: &bytes) } != nil)
        #expect(bytes.isEmpty)
        try store.erase(secret.location)
        #expect(try store.verify(secret.location) == .erased)
        #expect(store.statistics.octetsErased > 1 << 20)
        guard case .damaged = failure({ () throws(StoreError) in try store.erase(store.location) }) else {
            Issue.record("erased behind the tail")
            return
        }
    }

    @Test("erasing cut short by a power cut still counts as erased, and can be done again", arguments: [false, true])
    func tornErase(flagReachedTheDisk: Bool) throws {
        let place = BodyPlace(scratch)
        let store = try place.made()
        let body = try store.stage(octets(5000))
        let after = try store.stage(octets(50, seed: 2))
        try store.sync()
        var header = SegmentFormat.RecordHeader(
            blob: body.reference.blob, storedOctets: 5000, rawOctets: 5000, hash: body.reference.hash)
        header.flags = .erased
        let wanted = header.encode()
        let range = flagReachedTheDisk ? 7..<8 : 64..<68
        overwrite(place.segment(1), at: body.offset + UInt64(range.lowerBound), Array(wanted[range]))
        #expect(try store.places().blobs == [1, 2])
        #expect(failure { () throws(StoreError) in try store.open(body.row) } == .damaged("body 1 is erased"))
        #expect(try store.verify(body.location) == .damaged("erased, but its bytes are still there"))
        try store.erase(body.location)
        #expect(try store.verify(body.location) == .erased)
        #expect(try store.verify(after.location) == .intact)
    }

    // MARK: Failing calls

    @Test("a failed flush stops all writing; what was stored can be read")
    func failedFlush() throws {
        let failing = Atomic<Bool>(false)
        let flushes = Atomic<Int>(0)
        var disk = DiskCalls()
        disk.flushData = { file in
            flushes.wrappingAdd(1, ordering: .relaxed)
            guard failing.load(ordering: .relaxed) else { return fdatasync(file) }
            // A flush that says "no space" has lost something all the same.
            errno = ENOSPC
            return -1
        }
        let store = try Self.withDisk(BodyPlace(scratch), disk)
        let body = try store.stage(octets(1000))
        failing.store(true, ordering: .relaxed)
        guard case .failed = failure({ () throws(StoreError) in try store.sync() }) else {
            Issue.record("a failed flush went unseen")
            return
        }
        failing.store(false, ordering: .relaxed)
        let before = flushes.load(ordering: .relaxed)
        guard case .failed = failure({ () throws(StoreError) in try store.sync() }),
            case .failed = failure({ () throws(StoreError) in try store.stage(octets(10)) })
        else {
            Issue.record("writing went on after a failed flush")
            return
        }
        #expect(flushes.load(ordering: .relaxed) == before)
        #expect(store.isStopped)
        #expect(try store.digest(body) == digest(octets(1000)))
    }

    @Test("a failed write stops all writing", arguments: [EIO, EROFS, EBADF])
    func failedWrite(_ code: Int32) throws {
        let failing = Atomic<Bool>(false)
        var disk = DiskCalls()
        disk.write = { file, bytes, count, offset in
            guard failing.load(ordering: .relaxed) else { return pwrite(file, bytes, count, offset) }
            errno = code
            return -1
        }
        let store = try Self.withDisk(BodyPlace(scratch), disk)
        failing.store(true, ordering: .relaxed)
        #expect(failure { () throws(StoreError) in try store.stage(octets(10)) } != nil)
        failing.store(false, ordering: .relaxed)
        #expect(store.isStopped)
        guard case .failed = failure({ () throws(StoreError) in try store.stage(octets(10)) }) else {
            Issue.record("a write followed a failed one")
            return
        }
    }

    @Test("short writes are continued and interrupted calls are made again")
    func shortWrites() throws {
        let calls = Atomic<Int>(0)
        var disk = DiskCalls()
        disk.write = { file, bytes, count, offset in
            if calls.wrappingAdd(1, ordering: .relaxed).newValue % 3 == 0 {
                errno = EINTR
                return -1
            }
            return pwrite(file, bytes, min(count, 70_001), offset)
        }
        disk.flushData = { file in
            if calls.wrappingAdd(1, ordering: .relaxed).newValue % 2 == 0 {
                errno = EINTR
                return -1
            }
            return fdatasync(file)
        }
        let store = try Self.withDisk(BodyPlace(scratch), disk)
        let body = try store.stage(octets(1_500_000))
        try store.sync()
        #expect(try store.digest(body) == digest(octets(1_500_000)))
        #expect(try store.verify(body.location) == .intact)
    }

    @Test("no space in the middle of a body leaves nothing of it, and the store in use", arguments: [ENOSPC, EDQUOT])
    func noSpaceInTheMiddle(_ code: Int32) throws {
        let left = Atomic<Int>(Int.max)
        var disk = DiskCalls()
        disk.write = { file, bytes, count, offset in
            // The blocks are the file's own; it is copying them that fails, so zeros over what was written do not.
            if count > 1 << 19, left.wrappingSubtract(1, ordering: .relaxed).newValue < 0 {
                errno = code
                return -1
            }
            return pwrite(file, bytes, count, offset)
        }
        let place = BodyPlace(scratch, segmentOctets: 16 << 20)
        let store = try Self.withDisk(place, disk)
        let before = try store.stage(octets(100, seed: 1))
        let tail = store.tail
        left.store(2, ordering: .relaxed)
        #expect(failure { () throws(StoreError) in try store.stage(octets(5 << 20)) } == .full)
        left.store(Int.max, ordering: .relaxed)
        #expect(store.tail == tail)
        #expect(!store.isStopped)
        let next = try store.stage(octets(100, seed: 2))
        #expect(next.location == BodyLocation(segment: 1, offset: tail.offset))
        #expect(next.reference.blob.rawValue == 2)
        try store.sync()
        #expect(try store.digest(before) == digest(octets(100, seed: 1)))
        #expect(isZero(place.segment(1), from: store.tail.offset))
    }

    @Test("a source that breaks off, or gives another number of octets, leaves nothing of its body")
    func badSource() throws {
        let store = try BodyPlace(scratch, segmentOctets: 4 << 20).made()
        let tail = store.tail
        let sources: [any BodySource] = [
            WrongSource(announced: 10, given: 9), WrongSource(announced: 10, given: 11),
            WrongSource(announced: 2_000_000, given: 1_500_000), WrongSource(announced: 10, given: 10, fails: true),
        ]
        for source in sources {
            #expect(failure { () throws(StoreError) in try store.stage(source) } != nil)
            #expect(store.tail == tail)
        }
        #expect(!store.isStopped)
        #expect(try store.stage(octets(10)).reference.blob.rawValue == 1)
        #expect(try store.places().gaps.isEmpty)
    }

    private static func withDisk(_ place: BodyPlace, _ disk: DiskCalls) throws(StoreError) -> SegmentStore {
        let store = try place.made(disk: disk)
        return store
    }
}

/// A source that does not keep its word.
private final class WrongSource: BodySource {
    let count: Int
    let given: Int
    let fails: Bool
    let hash = ContentHash.zero

    init(announced: Int, given: Int, fails: Bool = false) {
        count = announced
        self.given = given
        self.fails = fails
    }

    func read(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) {
        var failure: StoreError?
        octets(given).withUnsafeBytes { bytes in
            do throws(StoreError) { try body(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
        if fails { throw .damaged("the source broke off") }
    }
}
