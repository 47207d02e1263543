import IMAP
import MailTypes
import Testing

@Suite struct SequenceSetTests {
    /// RFC 9051 section 9, `sequence-set`: both examples of the text.
    @Test func examplesOfTheText() {
        #expect(set((2, 2), (4, 7), (9, 9), (12, 0)).sequenceNumbers(count: 15) == [2...2, 4...7, 9...9, 12...15])
        #expect(set((0, 4), (5, 7)).sequenceNumbers(count: 10) == [4...10])
    }

    @Test func rangesInEitherOrderAndOverlapping() {
        #expect(set((4, 2)).sequenceNumbers(count: 4) == [2...4])
        #expect(set((3, 5), (1, 1), (2, 4), (9, 9), (8, 8)).sequenceNumbers(count: 9) == [1...5, 8...9])
        #expect(set((1, .max), (.max, .max)).uids(last: UID(7)).runs == [1...UInt32.max])
    }

    /// A number above the count, or `*` in an empty mailbox, is BAD.
    @Test func numbersOutOfRange() {
        #expect(set((1, 5)).sequenceNumbers(count: 4) == nil)
        #expect(set((0, 0)).sequenceNumbers(count: 0) == nil)
        #expect(SequenceSet.saved.sequenceNumbers(count: 0) == [])
    }

    /// `3291:*` includes the last UID, even if that is less than 3291.
    @Test func starIsTheLastUID() {
        #expect(set((3291, 0)).uids(last: UID(7)).runs == [7...3291])
        #expect(set((0, 0)).uids(last: UID(7)).runs == [7...7])
        #expect(set((0, 0)).uids(last: nil).isEmpty)
        #expect(set((1, 0), (4, 4)).uids(last: nil).runs == [4...4])
    }

    @Test func description() {
        #expect(set((2, 2), (4, 0), (0, 0)).description == "2,4:*,*")
        #expect(SequenceSet.saved.description == "$")
        #expect(SequenceSet.all.isAll)
    }
}
