import InputSupport
import MailEngine
import MailTypes
import Testing

@Suite("UIDMap")
struct UIDMapTests {
    @Test("agrees with a sorted array, whatever is inserted and removed")
    func agreesWithArray() {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<40 {
            var map = UIDMap()
            var model: Set<UInt32> = []
            for _ in 0..<30 {
                let uids = UIDSet((0..<random.below(60)).map { _ in UID(UInt32(random.below(20_000)) + 1) })
                if random.below(3) == 0 {
                    map.remove(uids)
                    for uid in uids { model.remove(uid.rawValue) }
                } else {
                    map.insert(uids)
                    for uid in uids { model.insert(uid.rawValue) }
                }
                let sorted = model.sorted()
                #expect(map.count == sorted.count)
                #expect(map.uids.map(\.rawValue) == sorted)
                for (index, uid) in sorted.enumerated().filter({ $0.offset % 7 == 0 }) {
                    #expect(map.sequenceNumber(of: UID(uid)) == UInt32(index + 1))
                    #expect(map.uid(at: UInt32(index + 1)) == UID(uid))
                }
                var ranks = map.ranks
                for (index, uid) in sorted.enumerated().filter({ $0.offset % 3 == 0 }) {
                    #expect(ranks.sequenceNumber(of: UID(uid)) == UInt32(index + 1))
                }
                if let first = sorted.first { #expect(ranks.sequenceNumber(of: UID(first)) == 1) }
                let probe = UInt32(random.below(20_000)) + 1
                #expect(map.rank(below: UID(probe)) == sorted.filter { $0 < probe }.count)
                #expect(map.contains(UID(probe)) == model.contains(probe))
                let low = UInt32(random.below(20_000)) + 1
                let range = UIDSet(UID(low)...UID(low + 900))
                let inRange = sorted.filter { $0 >= low && $0 <= low + 900 }
                #expect(map.intersection(range).map(\.rawValue) == inRange)
                let numbers = map.sequenceNumbers(of: map.intersection(range)).flatMap { Array($0) }
                #expect(numbers == inRange.map { UInt32(sorted.firstIndex(of: $0)! + 1) })
                if let first = numbers.first, let last = numbers.last {
                    #expect(map.uids(at: first...last).map(\.rawValue) == inRange)
                    #expect(map.uids(at: 0...UInt32.max).map(\.rawValue) == sorted)
                }
            }
        }
    }

    @Test("sequence numbers outside 1...EXISTS name nothing")
    func bounds() {
        let map = UIDMap([UID(5), UID(4096), UID(.max)])
        #expect(map.uid(at: 0) == nil)
        #expect(map.uid(at: 4) == nil)
        #expect(map.uid(at: 3) == UID(.max))
        #expect(map.last == UID(.max))
        #expect(map.sequenceNumber(of: UID(6)) == nil)
        #expect(map.intersection(UIDSet(UID(1)...UID(.max))).count == 3)
    }

    @Test("copies do not share changes")
    func valueSemantics() {
        let one = UIDMap([UID(1), UID(2)])
        var other = one
        other.remove(UIDSet(UID(1)))
        #expect(one.count == 2)
        #expect(other.sequenceNumber(of: UID(2)) == 1)
    }
}
