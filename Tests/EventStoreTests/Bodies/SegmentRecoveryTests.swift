// What opening makes of what a crash, or a log whose end does not verify, has left behind the tail.
import EventFormat
import Glibc
import MailTypes
import Testing

@testable import EventStore

@Suite("Opening a store of bodies")
struct SegmentRecoveryTests {
    let scratch = ScratchDirectory()

    @Test("bodies behind the tail are gone, their space is used again, their numbers are not")
    func tailInTheMiddle() throws {
        let place = BodyPlace(scratch)
        let store = try place.made()
        let kept = try store.stage(octets(5000, seed: 1))
        let tail = store.tail
        let next = store.nextBlob
        let lost = try store.stage(octets(70_000, seed: 2))
        _ = try store.stage(octets(70_000, seed: 3))
        try store.sync()
        store.close()

        let again = try place.open(tail: tail, nextBlob: next)
        #expect(again.tail == tail)
        #expect(try again.places().places == [kept.location])
        #expect(try again.digest(kept) == digest(octets(5000, seed: 1)))
        #expect(failure { () throws(StoreError) in try again.open(lost.row) } != nil)
        let new = try again.stage(octets(100, seed: 4))
        #expect(new.location == lost.location)
        #expect(new.reference.blob.rawValue == 4)
        try again.sync()
        // Behind the shorter record nothing of the longer ones is left.
        let found = try again.places()
        #expect(found.blobs == [1, 4])
        #expect(status(of: place.segment(1)).st_size == place.options.segmentOctets)
        #expect(isZero(place.segment(1), from: again.tail.offset))
    }

    @Test("segments behind the tail's are removed, and the tail's takes its whole size again")
    func laterSegments() throws {
        let place = BodyPlace(scratch, segmentOctets: 128 << 10)
        let store = try place.made()
        let kept = try store.stage(octets(50_000, seed: 1))
        let tail = store.tail
        for seed in 2..<9 as Range<UInt64> { _ = try store.stage(octets(50_000, seed: seed)) }
        _ = try store.stage(octets(400_000, seed: 10))
        try store.sync()
        store.close()
        #expect(status(of: place.segment(1)).st_size < place.options.segmentOctets)

        let again = try place.open(tail: tail, nextBlob: 2)
        #expect(again.statistics.segments == 1)
        #expect(names(in: place.path).filter { $0.hasSuffix(".seg") } == ["00000001.seg"])
        #expect(status(of: place.segment(1)).st_size == place.options.segmentOctets)
        #expect(Int(status(of: place.segment(1)).st_blocks) * 512 >= place.options.segmentOctets)
        #expect(isZero(place.segment(1), from: tail.offset))
        let new = try again.stage(octets(10))
        #expect(new.location == BodyLocation(segment: 1, offset: tail.offset))
        #expect(new.reference.blob.rawValue == 10)
        #expect(try again.digest(kept) == digest(octets(50_000, seed: 1)))
    }

    @Test("an empty log leaves no body")
    func emptyLog() throws {
        let place = BodyPlace(scratch)
        let store = try place.made()
        _ = try store.stage(octets(5000))
        try store.sync()
        store.close()
        let again = try place.open()
        #expect(try again.places().places.isEmpty)
        #expect(again.tail == (1, 4096))
        #expect(try again.stage(octets(1)).reference.blob.rawValue == 2)
    }

    @Test("a record torn behind the tail is no record")
    func tornRecord() throws {
        let place = BodyPlace(scratch)
        let store = try place.made()
        let kept = try store.stage(octets(5000, seed: 1))
        let tail = store.tail
        _ = try store.stage(octets(9000, seed: 2))
        store.close()
        // The second half of the record did not reach the disk; nor did part of its header.
        overwrite(place.segment(1), at: tail.offset + 4000, [UInt8](repeating: 0, count: 5100))
        let again = try place.open(tail: tail, nextBlob: 2)
        #expect(try again.places().places == [kept.location])
        #expect(isZero(place.segment(1), from: tail.offset))
        again.close()
        overwrite(place.segment(1), at: tail.offset + 24, octets(300))
        let third = try place.open(tail: tail, nextBlob: 2)
        #expect(try third.places().places == [kept.location])
        #expect(isZero(place.segment(1), from: tail.offset))
    }

    @Test("bytes that look like a record cannot use up the numbers")
    func forgedNumber() throws {
        let place = BodyPlace(scratch)
        let store = try place.made()
        store.close()
        let forged = SegmentFormat.RecordHeader(
            blob: BlobNumber(UInt64.max - 1), storedOctets: 10, rawOctets: 10, hash: .zero)
        overwrite(place.segment(1), at: 4096, forged.encode())
        #expect(try place.open(tail: store.tail, nextBlob: 7).stage(octets(1)).reference.blob.rawValue == 7)
    }

    @Test("segments that do not reach the tail, or are another store's, are damage")
    func unreachableTail() throws {
        let place = BodyPlace(scratch)
        let store = try place.made()
        _ = try store.stage(octets(5000))
        let tail = store.tail
        store.close()
        let offsets: [(segment: UInt32, offset: UInt64)] = [
            (2, 4096), (1, 2 << 20), (1, tail.offset + 4), (1, 8),
        ]
        for tail in offsets {
            guard case .damaged = failure({ () throws(StoreError) in try place.open(tail: tail) }) else {
                Issue.record("opened with the tail at \(tail)")
                continue
            }
        }
        let other = [UInt8](repeating: 9, count: 16)
        guard
            case .damaged = failure({ () throws(StoreError) in
                try SegmentStore.open(
                    directory: place.path, storeUUID: other, shard: 0, options: place.options, tail: tail, nextBlob: 2)
            })
        else {
            Issue.record("opened as another store")
            return
        }
        // None of the refusals has touched anything.
        #expect(try place.open(tail: tail, nextBlob: 2).places().blobs == [1])
        flipBit(place.segment(1), at: 30)
        guard case .damaged = failure({ () throws(StoreError) in try place.open(tail: tail) }) else {
            Issue.record("opened with a damaged file header")
            return
        }
    }

    @Test("what lies behind a tail in doubt is kept aside, whole and readable")
    func setAside() throws {
        let place = BodyPlace(scratch, segmentOctets: 128 << 10)
        let store = try place.made()
        let kept = try store.stage(octets(50_000, seed: 1))
        let tail = store.tail
        for seed in 2..<6 as Range<UInt64> { _ = try store.stage(octets(50_000, seed: seed)) }
        try store.sync()
        let before = try store.places()
        store.close()

        func move() throws(StoreError) -> String? {
            try SegmentStore.setAside(
                directory: place.path, storeUUID: BodyPlace.uuid, shard: 0, tail: tail, reason: "the last seal is wrong"
            )
        }
        let aside = try #require(try move())
        #expect(names(in: aside) == ["00000001.seg", "00000002.seg", "00000003.seg", "reason"])
        let moved = try SegmentStore.open(
            directory: aside, storeUUID: BodyPlace.uuid, shard: 0, options: place.options, tail: store.tail,
            nextBlob: store.nextBlob)
        let found = try moved.places()
        #expect(found.blobs == [2, 3, 4, 5])
        #expect(found.places == Array(before.places.dropFirst()))
        for place in found.places { #expect(try moved.verify(place) == .intact) }
        moved.close()
        // There is nothing more to move, and what is left opens.
        #expect(try move() == nil)
        let again = try place.open(tail: tail, nextBlob: 2)
        #expect(try again.digest(kept) == digest(octets(50_000, seed: 1)))
        #expect(try again.places().places == [kept.location])
    }

    @Test("the segment prepared ahead is used by the next run")
    func spareIsKept() throws {
        let place = BodyPlace(scratch, segmentOctets: 64 << 10)
        let store = try place.made()
        store.close()
        let spare = status(of: place.path + "/spare").st_ino
        let again = try place.open()
        _ = try again.stage(octets(40_000))
        _ = try again.stage(octets(40_000))
        #expect(status(of: place.segment(2)).st_ino == spare)
    }

    @Test("a segment whose preparation is given up leaves no file")
    func preparationIsGivenUp() throws {
        let directory = SegmentDirectory(
            path: scratch.path, storeUUID: [UInt8](repeating: 1, count: 16), shard: 0, disk: .system)
        var asked = 0
        #expect(throws: FileFault.self) {
            _ = try directory.allocate(
                directory.sparePath, octets: UInt64(3 * BodyLimits.zeroStepOctets), prezero: true
            ) {
                asked += 1
                return asked == 2
            }
        }
        #expect(asked == 2)
        #expect(access(directory.sparePath, F_OK) != 0)
        // What was whole before anybody gave up stays.
        _ = try directory.allocate(directory.sparePath, octets: UInt64(BodyLimits.zeroStepOctets), prezero: true) {
            true
        }
        #expect(access(directory.sparePath, F_OK) == 0)
    }
}
