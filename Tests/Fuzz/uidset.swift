import MailTypes
import Octets

// UID sets: the coding of events and change rows has one form for each set, and the algebra agrees with that of plain
// sets of numbers.
//
// Bytes: what kind of input follows. Even: a coded set. Odd: the origin of a window of 64 numbers, then pairs that put
// runs into two sets within it.
@testable import EventFormat

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzUIDSet(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard let kind = input.first else { return 0 }
    if kind % 2 == 0 { decode(Array(input.dropFirst())) } else { compare(input.dropFirst()) }
    return 0
}

private func decode(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { buffer in
        var reader = ByteReader(buffer)
        guard let uids = try? reader.uidSet() else { return }
        let used = Array(bytes[..<reader.position])
        var writer = ByteWriter(capacity: used.count)
        writer.uidSet(uids)
        precondition(writer.bytes == used, "two codings of one set")
        precondition(uidSetOctets(uids) == used.count, "a set measured wrongly")
        precondition(UIDSet(validating: uids.runs) == uids, "runs that a set must not have")
        precondition(uids.runs.isEmpty == uids.isEmpty && (uids.count == 0) == uids.isEmpty)
    }
}

/// The lowest numbers, the highest, and a place where nothing special is.
private let origins: [UInt32] = [1, UInt32.max - 63, 100_000]

private func compare(_ input: ArraySlice<UInt8>) {
    var rest = input
    guard let kind = rest.popFirst() else { return }
    let origin = origins[Int(kind) % origins.count]
    var plain: [Set<UInt32>] = [[], []]
    var built = [UIDSet(), UIDSet()]
    while let at = rest.popFirst(), let length = rest.popFirst() {
        let which = Int(at >> 6) & 1
        let low = UInt32(at & 63)
        let high = min(63, low + UInt32(length & 15))
        let run = UID(origin + low)...UID(origin + high)
        if length & 16 == 0 {
            built[which].formUnion(UIDSet(run))
            plain[which].formUnion(origin + low...origin + high)
        } else {
            built[which].subtract(UIDSet(run))
            plain[which].subtract(origin + low...origin + high)
        }
    }
    check(built[0], plain[0])
    check(built[1], plain[1])
    check(built[0].union(built[1]), plain[0].union(plain[1]))
    check(built[0].intersection(built[1]), plain[0].intersection(plain[1]))
    check(built[0].subtracting(built[1]), plain[0].subtracting(plain[1]))
    let size = Int(kind / 3) % 20 + 1
    let chunks = built[0].chunks(of: size)
    check(chunks.reduce(UIDSet()) { $0.union($1) }, plain[0])
    precondition(
        chunks.dropLast().allSatisfy { $0.count == size } && chunks.allSatisfy { (1...size).contains($0.count) })
    precondition(zip(chunks, chunks.dropFirst()).allSatisfy { $0.last! < $1.first! }, "chunks out of order")
    // The window and what touches it.
    for offset in 0..<UInt32(64) {
        let uid = UID(origin + offset)
        precondition(built[0].contains(uid) == plain[0].contains(origin + offset), "contains is wrong")
    }
}

private func check(_ set: UIDSet, _ plain: Set<UInt32>) {
    let sorted = plain.sorted()
    precondition(set.map(\.rawValue) == sorted, "other members")
    precondition(set.count == plain.count && set.isEmpty == plain.isEmpty, "another count")
    precondition(set.first?.rawValue == sorted.first && set.last?.rawValue == sorted.last, "other ends")
    precondition(UIDSet(sorted.map { UID($0) }) == set, "the same members in another form")
    precondition(UIDSet(validating: set.runs) == set, "runs that a set must not have")
    var writer = ByteWriter(capacity: 16)
    writer.uidSet(set)
    writer.bytes.withUnsafeBytes { buffer in
        var reader = ByteReader(buffer)
        precondition((try? reader.uidSet()) == set && reader.isAtEnd, "what was coded does not come back")
    }
}
