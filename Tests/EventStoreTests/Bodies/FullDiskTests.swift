import EventFormat
import EventStore
import Glibc
import MailTypes
import Testing

/// A small file system in memory. Mounting needs root; without it the tests fail, because a full disk is a promise.
private final class SmallDisk {
    let path: String
    private let scratch = ScratchDirectory()

    init(octets: Int) throws {
        path = scratch.path + "/disk"
        mkdir(path, 0o700)
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(octets)") == 0 else {
            throw StoreError.unusable("mounting a tmpfs for this test: \(String(cString: strerror(errno)))")
        }
    }

    deinit { umount2(path, Int32(MNT_DETACH)) }

    /// Takes all the space that is left.
    func fill() {
        let file = Glibc.open(path + "/filling", O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
        defer { close(file) }
        let block = [UInt8](repeating: 1, count: 4096)
        while Glibc.write(file, block, block.count) > 0 {}
    }

    func empty() { unlink(path + "/filling") }
}

@Suite("A full disk under the store of bodies")
struct FullDiskTests {
    @Test("bodies are taken until no segment can be made; the store is whole then, and goes on when there is room")
    func fullAtASegment() throws {
        let disk = try SmallDisk(octets: 3 << 20)
        let place = BodyPlace(directory: disk.path, segmentOctets: 512 << 10, ballastOctets: 256 << 10)
        let store = try place.made()
        var staged: [StagedBody] = []
        var error: StoreError?
        while error == nil, staged.count < 1000 {
            error = failure { () throws(StoreError) in
                staged.append(try store.stage(octets(30_000, seed: UInt64(staged.count))))
            }
        }
        #expect(error == .full)
        #expect(staged.count > 60)
        #expect(!store.isStopped)
        try store.sync()
        for (index, body) in staged.enumerated() {
            #expect(try store.digest(body) == digest(octets(30_000, seed: UInt64(index))), "body \(index)")
        }
        #expect(try store.places().places == staged.map(\.location))
        #expect(failure { () throws(StoreError) in try store.stage(octets(600_000)) } == .full)
        try store.erase(staged[0].location)
        for body in staged[1..<30] { try store.erase(body.location) }
        let next = try store.stage(octets(30_000, seed: 77))
        #expect(next.reference.blob.rawValue == UInt64(staged.count) + 1)
        #expect(try store.digest(next) == digest(octets(30_000, seed: 77)))
        store.close()
        let again = try place.open(tail: store.tail, nextBlob: store.nextBlob)
        #expect(try again.digest(next) == digest(octets(30_000, seed: 77)))
    }

    @Test("what has been allocated can be filled on a full disk")
    func allocatedAhead() throws {
        let disk = try SmallDisk(octets: 3 << 20)
        let place = BodyPlace(directory: disk.path, segmentOctets: 512 << 10)
        let store = try place.made()
        _ = try store.stage(octets(10))
        store.close()
        let tail = store.tail
        disk.fill()
        let again = try place.open(tail: tail, nextBlob: 2)
        // The rest of this segment, and the one that was prepared.
        for seed in 0..<30 as Range<UInt64> { _ = try again.stage(octets(30_000, seed: seed)) }
        try again.sync()
        #expect(failure { () throws(StoreError) in for _ in 0..<10 { _ = try again.stage(octets(30_000)) } } == .full)
        disk.empty()
        _ = try again.stage(octets(30_000))
        #expect(try again.places().gaps.isEmpty)
    }

    @Test("a store opens on a full disk though its last segment has given space back")
    func openOnAFullDisk() throws {
        let disk = try SmallDisk(octets: 3 << 20)
        let place = BodyPlace(directory: disk.path, segmentOctets: 512 << 10)
        let store = try place.made()
        let first = try store.stage(octets(30_000))
        let tail = store.tail
        for _ in 0..<18 { _ = try store.stage(octets(30_000)) }
        store.close()
        #expect(store.tail.segment == 2)
        // What opening frees is gone at once, as it would be on a disk that others fill.
        unlink(place.path + "/spare")
        unlink(place.segment(2))
        disk.fill()
        let again = try place.open(tail: tail, nextBlob: 2)
        #expect(try again.digest(first) == digest(octets(30_000)))
        #expect(failure { () throws(StoreError) in for _ in 0..<20 { _ = try again.stage(octets(30_000)) } } == .full)
        disk.empty()
        #expect(try again.stage(octets(30_000)).reference.size == 30_000)
    }

    @Test("a store is not half made, and a spool says that the disk is full")
    func createAndSpool() throws {
        let disk = try SmallDisk(octets: 1 << 20)
        let place = BodyPlace(directory: disk.path, segmentOctets: 2 << 20)
        #expect(failure { () throws(StoreError) in try place.create() } == .full)
        #expect(names(in: place.path).isEmpty)
        let spool = BodySpool(directory: disk.path, thresholdOctets: 1000)
        #expect(
            failure { () throws(StoreError) in
                for _ in 0..<20 { try spool.append(octets(100_000)) }
                _ = try spool.finish()
            } == .full)
    }

    @Test("ballast is what a full disk can still give")
    func ballast() throws {
        let disk = try SmallDisk(octets: 2 << 20)
        let store = try BodyPlace(directory: disk.path, segmentOctets: 64 << 10, ballastOctets: 512 << 10).made()
        disk.fill()
        let path = disk.path + "/more"
        let bytes = octets(256 << 10)
        let file = Glibc.open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
        defer { close(file) }
        #expect(Glibc.write(file, bytes, bytes.count) <= 0)
        try store.releaseBallast()
        #expect(Glibc.write(file, bytes, bytes.count) == bytes.count)
        disk.fill()
        #expect(failure { () throws(StoreError) in try store.restoreBallast() } == .full)
        #expect(!store.holdsBallast)
        disk.empty()
        try store.restoreBallast()
        #expect(store.holdsBallast)
    }
}
