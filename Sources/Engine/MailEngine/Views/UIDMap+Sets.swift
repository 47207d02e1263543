// Sets taken out of a map, a word of 64 UIDs at a time: what a sequence set names, what is unseen, what is deleted.
import MailTypes

extension UIDMap {
    /// All UIDs, ascending.
    package var uids: UIDSet { collect { block, word in block.live(word) } }
    package var unseen: UIDSet { collect { block, word in block.live(word) & ~block.seen(word) } }
    package var seen: UIDSet { collect { block, word in block.seen(word) } }
    package var deleted: UIDSet { collect { block, word in block.deleted(word) } }
    package var undeleted: UIDSet { collect { block, word in block.live(word) & ~block.deleted(word) } }

    package var unseenCount: Int { count { block, word in block.live(word) & ~block.seen(word) } }
    package var deletedCount: Int { count { block, word in block.deleted(word) } }

    /// The first message without `\Seen` (RFC 3501 section 7.1, response code UNSEEN).
    package var firstUnseen: UID? {
        for block in blocks {
            for word in 0..<Self.wordsPerBlock {
                let bits = block.live(word) & ~block.seen(word)
                guard bits != 0 else { continue }
                return UID(block.number * Self.uidsPerBlock + UInt32(word * 64 + bits.trailingZeroBitCount))
            }
        }
        return nil
    }

    /// The UIDs of the map that are in `set`, however wide the set.
    package func intersection(_ set: UIDSet) -> UIDSet {
        var runs = RunBuilder()
        for run in set.runs {
            let first = run.lowerBound / Self.uidsPerBlock
            for index in blocks.indices(from: first) {
                let block = blocks[index]
                let base = block.number * Self.uidsPerBlock
                guard base <= run.upperBound else { break }
                let low = run.lowerBound > base ? Int(run.lowerBound - base) : 0
                let high = Int(min(run.upperBound - base, Self.uidsPerBlock - 1))
                for word in (low / 64)...(high / 64) {
                    var bits = block.live(word)
                    if word == low / 64 { bits &= ~0 << UInt64(low % 64) }
                    if word == high / 64 { bits &= ~0 >> UInt64(63 - high % 64) }
                    runs.add(bits, base: base + UInt32(word * 64))
                }
            }
        }
        return runs.set
    }

    /// The UIDs under the sequence numbers of a range; those outside 1...count name nothing.
    package func uids(at numbers: ClosedRange<UInt32>) -> UIDSet {
        let last = min(Int(numbers.upperBound), count)
        guard last >= 1, numbers.lowerBound <= UInt32(last), let low = uid(at: max(1, numbers.lowerBound)),
            let high = uid(at: UInt32(last))
        else { return UIDSet() }
        return intersection(UIDSet(low...high))
    }

    /// The sequence numbers of UIDs that are all in the map, ascending.
    package func sequenceNumbers(of uids: UIDSet) -> [ClosedRange<UInt32>] {
        var ranges: [ClosedRange<UInt32>] = []
        for run in uids.runs {
            let first = UInt32(rank(below: UID(run.lowerBound)) + 1)
            let last = first + (run.upperBound - run.lowerBound)
            if let previous = ranges.last, previous.upperBound + 1 == first {
                ranges[ranges.count - 1] = previous.lowerBound...last
            } else {
                ranges.append(first...last)
            }
        }
        return ranges
    }

    private func collect(_ bits: (Block, Int) -> UInt64) -> UIDSet {
        var runs = RunBuilder()
        for block in blocks {
            let base = block.number * Self.uidsPerBlock
            for word in 0..<Self.wordsPerBlock { runs.add(bits(block, word), base: base + UInt32(word * 64)) }
        }
        return runs.set
    }

    private func count(_ bits: (Block, Int) -> UInt64) -> Int {
        var count = 0
        for block in blocks {
            for word in 0..<Self.wordsPerBlock { count += bits(block, word).nonzeroBitCount }
        }
        return count
    }
}

extension UIDMap {
    /// Sequence numbers of UIDs that are asked for in ascending order: each costs the way from the one before.
    package struct Ranks: Sendable {
        private let blocks: [Block]
        private var block = 0
        private var word = 0
        /// UIDs before that word.
        private var before: UInt32 = 0

        fileprivate init(_ blocks: [Block]) { self.blocks = blocks }

        /// Nil for a UID that is not in the map. A UID below the last one starts the walk anew.
        package mutating func sequenceNumber(of uid: UID) -> UInt32? {
            let number = uid.rawValue / UIDMap.uidsPerBlock
            let bit = Int(uid.rawValue % UIDMap.uidsPerBlock)
            if block == blocks.count || blocks[block].number > number
                || blocks[block].number == number && word > bit / 64
            {
                (block, word, before) = (0, 0, 0)
            }
            while block < blocks.count, blocks[block].number < number {
                if word == 0 {
                    before += UInt32(blocks[block].count)
                } else {
                    for index in word..<UIDMap.wordsPerBlock { count(index) }
                }
                block += 1
                word = 0
            }
            guard block < blocks.count, blocks[block].number == number else { return nil }
            while word < bit / 64 {
                count(word)
                word += 1
            }
            let bits = blocks[block].live(word)
            let mask = UInt64(1) << UInt64(bit % 64)
            guard bits & mask != 0 else { return nil }
            return before + UInt32((bits & (mask - 1)).nonzeroBitCount) + 1
        }

        private mutating func count(_ index: Int) { before += UInt32(blocks[block].live(index).nonzeroBitCount) }
    }

    package var ranks: Ranks { Ranks(blocks) }
}

extension [UIDMap.Block] {
    /// The places of the blocks from that number on.
    fileprivate func indices(from number: UInt32) -> Range<Int> {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low..<count
    }
}

/// Makes runs of words that come in ascending order.
private struct RunBuilder {
    var runs: [ClosedRange<UInt32>] = []

    var set: UIDSet {
        guard let set = UIDSet(validating: runs) else { preconditionFailure("words came out of order") }
        return set
    }

    mutating func add(_ word: UInt64, base: UInt32) {
        var bits = word
        while bits != 0 {
            let low = bits.trailingZeroBitCount
            let length = (~(bits >> UInt64(low))).trailingZeroBitCount
            add(base + UInt32(low), base + UInt32(low + length - 1))
            if low + length == 64 { return }
            bits &= ~0 << UInt64(low + length)
        }
    }

    private mutating func add(_ low: UInt32, _ high: UInt32) {
        if let last = runs.last, last.upperBound &+ 1 == low {
            runs[runs.count - 1] = last.lowerBound...high
        } else {
            runs.append(low...high)
        }
    }
}
