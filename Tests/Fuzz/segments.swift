// Segment files with anything in them: the scan finds every sound record that no other covers, reports all else, and
// stays within the file; a store opened on them keeps what lies before the tail, gives what it can back, and takes more.
//
// Bytes: flags; then steps that lay out a segment (`Layout`). What follows them is an offset for a row.
import Digests
import EventFormat
import Glibc
import MailTypes

@testable import EventStore

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSegments(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard let flags = input.first, input.count <= 4_096 else { return 0 }
    let layout = Layout(input.dropFirst())
    removeFiles(scratch)
    layout.write()
    let directory = SegmentDirectory(path: scratch, storeUUID: uuid, shard: 0, disk: DiskCalls())
    let found = scan(directory, layout)
    if flags & 1 == 0 { open(layout, found) } else { setAside(layout) }
    return 0
}

private let uuid = [UInt8](repeating: 7, count: 16)

/// In memory, and removed when the process ends.
private let scratch: String = {
    let path = "/dev/shm/letterlog-fuzz-\(getpid())"
    precondition(mkdir(path, 0o700) == 0 || errno == EEXIST)
    atexit {
        removeFiles(scratch)
        rmdir(scratch)
    }
    return path
}()

private func removeFiles(_ path: String) {
    guard let stream = opendir(path) else { return }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name == "." || name == ".." { continue }
        let child = "\(path)/\(name)"
        if unlink(child) != 0 {
            removeFiles(child)
            rmdir(child)
        }
    }
}

private struct Built {
    var offset: Int
    var octets: Int
    var payload: [UInt8]
    var hash: ContentHash
    var isErased: Bool
}

/// A segment made by steps of two bytes each, which say what comes next and how much of it.
private struct Layout {
    var bytes: [UInt8]
    private(set) var built: [Built] = []
    private(set) var tail = 0
    private var sound: [UInt8] = []
    private(set) var rowOffset: UInt64 = 0

    init(_ input: ArraySlice<UInt8>) {
        bytes = SegmentFormat.FileHeader(storeUUID: uuid, shard: 0, segment: 1).encode()
        var rest = input
        var flips: [(at: UInt64, with: UInt8)] = []
        while let step = rest.popFirst(), let amount = rest.popFirst(), bytes.count < 1 << 19 {
            switch step % 8 {
            case 0: record(Int(amount), isErased: false)
            case 1: record(Int(amount) * 300, isErased: false)
            case 2: record(Int(amount), isErased: true)
            case 3:
                bytes += rest.prefix(Int(amount))
                rest = rest.dropFirst(Int(amount))
            case 4: header(storedOctets: number(&rest, 4))
            case 5: bytes += [UInt8](repeating: 0, count: 8 * Int(amount))
            case 6: flips.append((number(&rest, 4), amount))
            default:
                align()
                tail = bytes.count
            }
            align()
        }
        if tail == 0 { tail = bytes.count }
        sound = bytes
        for flip in flips { bytes[Int(flip.at % UInt64(bytes.count))] ^= flip.with }
        rowOffset = number(&rest, 8)
    }

    /// Its bytes are as they were laid out.
    func isSound(_ record: Built) -> Bool {
        bytes[record.offset..<(record.offset + record.octets)]
            .elementsEqual(sound[record.offset..<(record.offset + record.octets)])
    }

    var hasSoundHeader: Bool {
        bytes[..<SegmentFormat.headerOctets].elementsEqual(sound[..<SegmentFormat.headerOctets])
    }

    func write() {
        guard let file = fopen("\(scratch)/00000001.seg", "w") else { preconditionFailure("no scratch file") }
        precondition(fwrite(bytes, 1, bytes.count, file) == bytes.count)
        fclose(file)
    }

    private mutating func align() {
        while bytes.count % SegmentFormat.alignment != 0 { bytes.append(0) }
    }

    private func number(_ rest: inout ArraySlice<UInt8>, _ octets: Int) -> UInt64 {
        let value = rest.prefix(octets).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        rest = rest.dropFirst(octets)
        return value
    }

    private mutating func header(storedOctets: UInt64) {
        bytes += SegmentFormat.RecordHeader(
            blob: BlobNumber(UInt64(built.count + 1)), storedOctets: storedOctets, rawOctets: storedOctets, hash: .zero
        ).encode()
    }

    private mutating func record(_ count: Int, isErased: Bool) {
        align()
        let offset = bytes.count
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ built.count) | 1 }
        let hash = ContentHash(SHA256Digest.of(payload))
        bytes += SegmentFormat.RecordHeader(
            blob: BlobNumber(UInt64(built.count + 1)), storedOctets: UInt64(count), rawOctets: UInt64(count),
            hash: hash,
            flags: isErased ? .erased : []
        ).encode()
        let octets = SegmentFormat.recordOctets(payload: count)
        if !isErased {
            bytes += payload
            for from in stride(from: 0, to: count, by: SegmentFormat.chunkOctets) {
                let crc = CRC32C.checksum(Array(payload[from..<min(count, from + SegmentFormat.chunkOctets)]))
                withUnsafeBytes(of: crc.littleEndian) { bytes += $0 }
            }
        }
        bytes += [UInt8](repeating: 0, count: offset + octets - bytes.count)
        built.append(Built(offset: offset, octets: octets, payload: payload, hash: hash, isErased: isErased))
    }
}

private typealias Found = (range: Range<Int>, header: SegmentFormat.RecordHeader)

private func scan(_ directory: SegmentDirectory, _ layout: Layout) -> [Found] {
    let tail = BodyLocation(segment: 1, offset: UInt64(layout.tail))
    var scan = SegmentScan(directory, tail: tail)
    var found: [Found] = []
    let visit = { (location: BodyLocation, header: SegmentFormat.RecordHeader) in
        let offset = Int(location.offset)
        let end = offset + SegmentFormat.recordOctets(payload: Int(header.storedOctets))
        precondition(
            location.segment == 1 && offset % SegmentFormat.alignment == 0 && end <= layout.tail, "a place outside")
        precondition(offset >= found.last?.range.upperBound ?? SegmentFormat.headerOctets, "records that overlap")
        found.append((offset..<end, header))
        return true
    }
    guard (try? scan.run(visit)) != nil else { preconditionFailure("a readable file cannot be scanned") }
    guard layout.hasSoundHeader else {
        precondition(found.isEmpty && scan.gaps.count == 1, "a segment of nobody was read")
        return []
    }
    checkCoverage(found, scan.gaps, layout)
    var first = SegmentScan(directory, tail: tail)
    var visits = 0
    let stop = { (_: BodyLocation, _: SegmentFormat.RecordHeader) in
        visits += 1
        return false
    }
    try? first.run(stop)
    precondition(visits == min(1, found.count), "the scan did not stop")
    return found
}

/// Every sound record is found unless one that was found covers it; what is neither record nor gap is zeros.
private func checkCoverage(_ found: [Found], _ gaps: [SegmentGap], _ layout: Layout) {
    for record in layout.built where record.offset + record.octets <= layout.tail && layout.isSound(record) {
        let isFound = found.contains { $0.range.lowerBound == record.offset && $0.header.hash == record.hash }
        let isCovered = found.contains { $0.range.lowerBound != record.offset && $0.range.contains(record.offset) }
        precondition(isFound || isCovered, "a sound record was not found")
    }
    var free = IndexSet(from: SegmentFormat.headerOctets, to: layout.tail)
    for record in found { free.remove(record.range) }
    for gap in gaps {
        precondition(
            gap.from.segment == 1 && gap.from.offset < gap.end && gap.end <= UInt64(layout.tail), "a gap outside")
        free.remove(Int(gap.from.offset)..<Int(gap.end))
    }
    for run in free.runs { precondition(layout.bytes[run].allSatisfy { $0 == 0 }, "bytes that nobody speaks of") }
}

/// Disjoint ranges from which others are taken, each wholly within one of them.
private struct IndexSet {
    private(set) var runs: [Range<Int>]

    init(from: Int, to: Int) { runs = from < to ? [from..<to] : [] }

    mutating func remove(_ range: Range<Int>) {
        guard
            let index = runs.firstIndex(where: {
                $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound
            })
        else { preconditionFailure("a range that was given twice") }
        let run = runs[index]
        runs.replaceSubrange(
            index...index,
            with: [run.lowerBound..<range.lowerBound, range.upperBound..<run.upperBound].filter { !$0.isEmpty })
    }
}

// MARK: A store on it

private func open(_ layout: Layout, _ found: [Found]) {
    let options = SegmentOptions(segmentOctets: 16_384, ballastOctets: 0, prezero: false)
    guard
        let store = try? SegmentStore.open(
            directory: scratch, storeUUID: uuid, shard: 0, options: options, tail: (1, UInt64(layout.tail)),
            nextBlob: 40)
    else {
        precondition(!layout.hasSoundHeader, "a store whose segments reach its tail was not opened")
        return
    }
    defer { store.close() }
    precondition(store.nextBlob >= 40)
    for record in layout.built where record.offset + record.octets <= layout.tail && layout.isSound(record) {
        check(store, record)
    }
    for record in found { _ = try? store.verify(BodyLocation(segment: 1, offset: UInt64(record.range.lowerBound))) }
    let row = BlobRow(
        segment: 1, offset: layout.rowOffset, storedOctets: 5, rawOctets: 5, references: 1, hash: .zero)
    if let body = try? store.open(row) { precondition(body.size == 5) }
    _ = try? store.verify(BodyLocation(segment: 1, offset: layout.rowOffset))

    let more = [UInt8](repeating: 0x41, count: 100 + layout.tail % 64)
    guard let staged = try? store.stage(MemoryBody(more)), (try? store.sync()) != nil else {
        preconditionFailure("an opened store takes no body")
    }
    let place = Built(
        offset: Int(staged.offset), octets: 0, payload: more, hash: staged.reference.hash, isErased: false)
    check(store, place, segment: staged.segment)
    if let record = layout.built.first(where: { $0.offset + $0.octets <= layout.tail && layout.isSound($0) }) {
        let location = BodyLocation(segment: 1, offset: UInt64(record.offset))
        guard (try? store.erase(location)) != nil else { preconditionFailure("a body cannot be erased") }
        precondition((try? store.verify(location)) == .erased, "an erased body is still there")
    }
}

private func check(_ store: SegmentStore, _ record: Built, segment: UInt32 = 1) {
    let location = BodyLocation(segment: segment, offset: UInt64(record.offset))
    let wanted = record.isErased ? BodyCheck.erased : .intact
    precondition((try? store.verify(location, expected: record.hash)) == wanted, "a sound record does not verify")
    let size = UInt64(record.payload.count)
    let row = BlobRow(
        segment: segment, offset: location.offset, storedOctets: size, rawOctets: size, references: 1, hash: record.hash
    )
    guard let body = try? store.open(row) else {
        precondition(record.isErased, "a sound body cannot be opened")
        return
    }
    precondition(!record.isErased && body.size == record.payload.count, "a body of another length")
    var octets: [UInt8] = []
    guard (try? body.read(at: 0, count: body.size + 1, into: &octets)) != nil else {
        preconditionFailure("a sound body cannot be read")
    }
    precondition(octets == record.payload, "another body")
}

/// What lay behind the tail is all in the new directory, and nothing of it is left.
private func setAside(_ layout: Layout) {
    let moved: String?
    do {
        moved = try SegmentStore.setAside(
            directory: scratch, storeUUID: uuid, shard: 0, tail: (1, UInt64(layout.tail)), reason: "fuzz")
    } catch {
        preconditionFailure("what lies behind the tail cannot be set aside")
    }
    let behind = layout.bytes[layout.tail...]
    precondition((moved == nil) == behind.allSatisfy { $0 == 0 }, "set aside without need, or not at all")
    let left = contents("\(scratch)/00000001.seg")
    precondition(left.prefix(layout.tail).elementsEqual(layout.bytes[..<layout.tail]), "bytes before the tail changed")
    guard let moved else { return }
    precondition(left.dropFirst(layout.tail).allSatisfy { $0 == 0 }, "bytes behind the tail are left")
    let kept = contents("\(moved)/00000001.seg")
    let end = (behind.lastIndex { $0 != 0 } ?? layout.tail) + 1
    precondition(
        kept.count >= end && kept[layout.tail..<end].elementsEqual(layout.bytes[layout.tail..<end]), "bytes lost")
}

private func contents(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "r") else { preconditionFailure("no file") }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = fread(&bytes, 1, bytes.count, file)
    return Array(bytes[..<count])
}
