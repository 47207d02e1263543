// The UIDs of a selected mailbox as a set with ranks: message sequence number to UID and back.
//
// Blocks of 4,096 UIDs, 512 bytes each, shared between copies until one of them changes: a million UIDs in one mailbox
// cost 122 KiB once, however many sessions look at it. Rejected: an array of UIDs (4 MB each, O(n) removal) and runs
// (cheap when dense, 12 MB when every second message is gone).
import MailTypes

/// A set of UIDs that knows the rank of each (RFC 9051 section 2.3.1.2: sequence numbers are 1...EXISTS, ascending).
package struct UIDMap: Sendable {
    private static let uidsPerBlock: UInt32 = 4096
    private static let wordsPerBlock = 64

    private struct Block: Sendable {
        var words: [UInt64]
        var count: Int
    }

    private var blocks: [UInt32: Block] = [:]
    /// Block numbers, ascending, with the count of UIDs in all blocks before each.
    private var order: [(number: UInt32, before: Int)] = []
    /// How many UIDs: EXISTS.
    package private(set) var count = 0

    package init() {}

    package init(_ uids: some Sequence<UID>) {
        for uid in uids { insertKeepingOrderStale(uid) }
        rebuildOrder()
    }

    package var isEmpty: Bool { count == 0 }

    package func contains(_ uid: UID) -> Bool {
        guard let block = blocks[uid.rawValue / Self.uidsPerBlock] else { return false }
        let bit = Int(uid.rawValue % Self.uidsPerBlock)
        return block.words[bit / 64] >> UInt64(bit % 64) & 1 == 1
    }

    /// The sequence number of a UID that is in the map.
    package func sequenceNumber(of uid: UID) -> UInt32? {
        guard contains(uid) else { return nil }
        return UInt32(rank(below: uid) + 1)
    }

    /// The UID with that sequence number, 1...count.
    package func uid(at sequenceNumber: UInt32) -> UID? {
        let wanted = Int(sequenceNumber)
        guard wanted >= 1, wanted <= count else { return nil }
        var low = 0
        var high = order.count - 1
        while low < high {
            let middle = (low + high + 1) / 2
            if order[middle].before < wanted { low = middle } else { high = middle - 1 }
        }
        guard let block = blocks[order[low].number] else { return nil }
        var rest = wanted - order[low].before
        for (index, word) in block.words.enumerated() {
            let ones = word.nonzeroBitCount
            if rest > ones {
                rest -= ones
                continue
            }
            var bits = word
            for _ in 1..<rest { bits &= bits - 1 }
            let bit = UInt32(index * 64 + bits.trailingZeroBitCount)
            return UID(order[low].number * Self.uidsPerBlock + bit)
        }
        return nil
    }

    /// How many UIDs of the map are below `uid`.
    package func rank(below uid: UID) -> Int {
        let number = uid.rawValue / Self.uidsPerBlock
        var low = 0
        var high = order.count
        while low < high {
            let middle = (low + high) / 2
            if order[middle].number < number { low = middle + 1 } else { high = middle }
        }
        guard low < order.count, order[low].number == number, let block = blocks[number] else {
            return low < order.count ? order[low].before : count
        }
        let bit = Int(uid.rawValue % Self.uidsPerBlock)
        var rank = order[low].before
        for index in 0..<(bit / 64) { rank += block.words[index].nonzeroBitCount }
        return rank + (block.words[bit / 64] & ((1 << UInt64(bit % 64)) - 1)).nonzeroBitCount
    }

    package var last: UID? { count == 0 ? nil : uid(at: UInt32(count)) }

    package mutating func insert(_ uids: UIDSet) {
        for uid in uids { insertKeepingOrderStale(uid) }
        rebuildOrder()
    }

    package mutating func remove(_ uids: UIDSet) {
        for uid in uids {
            let number = uid.rawValue / Self.uidsPerBlock
            let bit = Int(uid.rawValue % Self.uidsPerBlock)
            let mask: UInt64 = 1 << UInt64(bit % 64)
            guard let block = blocks[number], block.words[bit / 64] & mask != 0 else { continue }
            blocks[number]?.words[bit / 64] &= ~mask
            blocks[number]?.count -= 1
            count -= 1
            if block.count == 1 { blocks[number] = nil }
        }
        rebuildOrder()
    }

    /// The UIDs of the map that are in `set`, however wide the set.
    package func intersection(_ set: UIDSet) -> UIDSet {
        var result = UIDSet()
        for run in set.runs {
            let first = rank(below: UID(run.lowerBound))
            let end = rank(below: UID(run.upperBound)) + (contains(UID(run.upperBound)) ? 1 : 0)
            guard first < end else { continue }
            for index in first..<end { if let uid = uid(at: UInt32(index + 1)) { result.insertAtEnd(uid) } }
        }
        return result
    }

    /// All UIDs, ascending.
    package var uids: UIDSet {
        var result = UIDSet()
        for entry in order {
            guard let block = blocks[entry.number] else { continue }
            for (index, word) in block.words.enumerated() {
                var bits = word
                while bits != 0 {
                    let bit = UInt32(index * 64 + bits.trailingZeroBitCount)
                    result.insertAtEnd(UID(entry.number * Self.uidsPerBlock + bit))
                    bits &= bits - 1
                }
            }
        }
        return result
    }

    private mutating func insertKeepingOrderStale(_ uid: UID) {
        let number = uid.rawValue / Self.uidsPerBlock
        let bit = Int(uid.rawValue % Self.uidsPerBlock)
        let mask: UInt64 = 1 << UInt64(bit % 64)
        if blocks[number] == nil {
            blocks[number] = Block(words: [UInt64](repeating: 0, count: Self.wordsPerBlock), count: 0)
        }
        guard let word = blocks[number]?.words[bit / 64], word & mask == 0 else { return }
        blocks[number]?.words[bit / 64] |= mask
        blocks[number]?.count += 1
        count += 1
    }

    /// O(blocks): 244 for a million dense UIDs.
    private mutating func rebuildOrder() {
        var before = 0
        order = blocks.keys.sorted().map { number in
            defer { before += blocks[number]?.count ?? 0 }
            return (number, before)
        }
    }
}
