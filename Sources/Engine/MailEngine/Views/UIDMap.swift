// The UIDs of a selected mailbox as a set with ranks: message sequence number to UID and back; and beside each UID
// whether the message is seen and whether it is deleted, so that UNSEEN and SEARCH UNSEEN need no walk over the rows.
//
// Blocks of 4,096 UIDs, 1,536 octets each, shared between copies until one of them changes: a million UIDs in one
// mailbox cost 366 KiB once, however many sessions look at it. Rejected: an array of UIDs (4 MB each, O(n) removal) and
// runs (cheap when dense, 12 MB when every second message is gone).
import MailTypes

/// A set of UIDs that knows the rank of each (RFC 9051 section 2.3.1.2: sequence numbers are 1...EXISTS, ascending).
package struct UIDMap: Sendable {
    static let uidsPerBlock: UInt32 = 4096
    static let wordsPerBlock = 64

    /// Which UIDs, which of them are seen, which deleted: `wordsPerBlock` words each. Bits of the second and third part
    /// are only set where one of the first is.
    struct Block: Sendable {
        let number: UInt32
        var words = [UInt64](repeating: 0, count: 3 * wordsPerBlock)
        var count = 0

        func live(_ word: Int) -> UInt64 { words[word] }
        func seen(_ word: Int) -> UInt64 { words[UIDMap.wordsPerBlock + word] }
        func deleted(_ word: Int) -> UInt64 { words[2 * UIDMap.wordsPerBlock + word] }
    }

    /// Ascending; none is empty.
    private(set) var blocks: [Block] = []
    /// How many UIDs are in all blocks before each.
    private var before: [Int] = []
    /// How many UIDs: EXISTS.
    package private(set) var count = 0

    package init() {}

    package init(_ uids: some Sequence<UID>) {
        for uid in uids { insertKeepingRanksStale(uid) }
        rebuildRanks()
    }

    package var isEmpty: Bool { count == 0 }

    /// The place of the block of that number, or where it would stand.
    private func place(of number: UInt32) -> Int {
        let guess = Int(number)
        if guess < blocks.count, blocks[guess].number == number { return guess }
        var low = 0
        var high = blocks.count
        while low < high {
            let middle = (low + high) / 2
            if blocks[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func bit(_ uid: UID, part: Int) -> Bool {
        let place = place(of: uid.rawValue / Self.uidsPerBlock)
        guard place < blocks.count, blocks[place].number == uid.rawValue / Self.uidsPerBlock else { return false }
        let bit = Int(uid.rawValue % Self.uidsPerBlock)
        return blocks[place].words[part * Self.wordsPerBlock + bit / 64] >> UInt64(bit % 64) & 1 == 1
    }

    package func contains(_ uid: UID) -> Bool { bit(uid, part: 0) }
    package func isSeen(_ uid: UID) -> Bool { bit(uid, part: 1) }
    package func isDeleted(_ uid: UID) -> Bool { bit(uid, part: 2) }

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
        var high = blocks.count - 1
        while low < high {
            let middle = (low + high + 1) / 2
            if before[middle] < wanted { low = middle } else { high = middle - 1 }
        }
        let block = blocks[low]
        var rest = wanted - before[low]
        for index in 0..<Self.wordsPerBlock {
            let ones = block.live(index).nonzeroBitCount
            if rest > ones {
                rest -= ones
                continue
            }
            var bits = block.live(index)
            for _ in 1..<rest { bits &= bits - 1 }
            let bit = UInt32(index * 64 + bits.trailingZeroBitCount)
            return UID(block.number * Self.uidsPerBlock + bit)
        }
        return nil
    }

    /// How many UIDs of the map are below `uid`.
    package func rank(below uid: UID) -> Int {
        let number = uid.rawValue / Self.uidsPerBlock
        let place = place(of: number)
        guard place < blocks.count else { return count }
        guard blocks[place].number == number else { return before[place] }
        let bit = Int(uid.rawValue % Self.uidsPerBlock)
        var rank = before[place]
        for index in 0..<(bit / 64) { rank += blocks[place].live(index).nonzeroBitCount }
        return rank + (blocks[place].live(bit / 64) & ((1 << UInt64(bit % 64)) - 1)).nonzeroBitCount
    }

    package var last: UID? { count == 0 ? nil : uid(at: UInt32(count)) }

    // MARK: Changes

    /// Adds a UID above all others. `ranksAreStale` until `endAppending`.
    mutating func append(_ uid: UID, seen: Bool, deleted: Bool) {
        let number = uid.rawValue / Self.uidsPerBlock
        if blocks.last?.number != number { blocks.append(Block(number: number)) }
        let bit = Int(uid.rawValue % Self.uidsPerBlock)
        let (word, mask) = (bit / 64, UInt64(1) << UInt64(bit % 64))
        let last = blocks.count - 1
        blocks[last].words[word] |= mask
        if seen { blocks[last].words[Self.wordsPerBlock + word] |= mask }
        if deleted { blocks[last].words[2 * Self.wordsPerBlock + word] |= mask }
        blocks[last].count += 1
        count += 1
    }

    mutating func endAppending() { rebuildRanks() }

    package mutating func insert(_ uids: UIDSet) {
        for uid in uids { insertKeepingRanksStale(uid) }
        rebuildRanks()
    }

    /// Notes the flags of a UID of the map; another is passed over.
    package mutating func mark(_ uid: UID, seen: Bool, deleted: Bool) {
        let number = uid.rawValue / Self.uidsPerBlock
        let place = place(of: number)
        guard place < blocks.count, blocks[place].number == number else { return }
        let bit = Int(uid.rawValue % Self.uidsPerBlock)
        let (word, mask) = (bit / 64, UInt64(1) << UInt64(bit % 64))
        let block = blocks[place]
        guard block.live(word) & mask != 0 else { return }
        // Compared first: a write would end the sharing of the block.
        if (block.seen(word) & mask != 0) != seen { blocks[place].words[Self.wordsPerBlock + word] ^= mask }
        if (block.deleted(word) & mask != 0) != deleted { blocks[place].words[2 * Self.wordsPerBlock + word] ^= mask }
    }

    package mutating func remove(_ uids: UIDSet) {
        for uid in uids {
            let number = uid.rawValue / Self.uidsPerBlock
            let place = place(of: number)
            guard place < blocks.count, blocks[place].number == number else { continue }
            let bit = Int(uid.rawValue % Self.uidsPerBlock)
            let (word, mask) = (bit / 64, UInt64(1) << UInt64(bit % 64))
            guard blocks[place].words[word] & mask != 0 else { continue }
            for part in 0..<3 { blocks[place].words[part * Self.wordsPerBlock + word] &= ~mask }
            blocks[place].count -= 1
            count -= 1
        }
        blocks.removeAll { $0.count == 0 }
        rebuildRanks()
    }

    private mutating func insertKeepingRanksStale(_ uid: UID) {
        let number = uid.rawValue / Self.uidsPerBlock
        let place = place(of: number)
        if place == blocks.count || blocks[place].number != number { blocks.insert(Block(number: number), at: place) }
        let bit = Int(uid.rawValue % Self.uidsPerBlock)
        let (word, mask) = (bit / 64, UInt64(1) << UInt64(bit % 64))
        guard blocks[place].words[word] & mask == 0 else { return }
        blocks[place].words[word] |= mask
        blocks[place].count += 1
        count += 1
    }

    /// O(blocks): 244 for a million dense UIDs.
    private mutating func rebuildRanks() {
        var sum = 0
        before.removeAll(keepingCapacity: true)
        before.reserveCapacity(blocks.count)
        for block in blocks {
            before.append(sum)
            sum += block.count
        }
    }

    /// Octets of its blocks, shared or not.
    var octets: Int { blocks.count * (3 * Self.wordsPerBlock * 8 + 64) }
}
