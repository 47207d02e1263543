// The three-way merge of one folder as a pure function: rows of cases, and seeded runs of both sides against the rule that
// the result must follow.
import MailCore
import MailTypes
import Testing

@testable import Projections

private func entry(_ letters: String, isNew: Bool = false, mark: UInt32 = 0) -> FolderEntry {
    FolderEntry(isNew: isNew, letters: MaildirLetters(spelled: letters.utf8), mark: mark)
}

private func name(_ uid: UInt32, size: UInt32 = 5) -> MaildirName {
    MaildirName(
        seconds: 1, validity: UIDValidity(1), uid: UID(uid), email: EmailID(UInt64(uid)), host: "letterlog", size: size)
}

private func file(_ uid: UInt32, _ entry: FolderEntry, path: String? = nil) -> TreeFile {
    TreeFile(name: name(uid), entry: entry, path: path ?? entry.path(name(uid)))
}

private func message(_ uid: UInt32, _ letters: String) -> WantedFile {
    WantedFile(name: name(uid), entry: entry(letters), blob: BlobNumber(1))
}

private let meanings = LetterMeanings(known: 63 | 1 << 6 | 1 << 7, forwarded: 1 << 7)

private func merge(
    base: String?, tree: [FolderEntry], state: String?, missedBefore: Bool = false
) -> TreeMerge {
    var index = FolderIndex()
    if let base { index[UID(1)] = entry(base) }
    return TreeMerge(
        base: index, tree: tree.map { file(1, $0) }.sorted { $0.path < $1.path },
        state: state.map { [UID(1): message(1, $0)] } ?? [:], meanings: meanings,
        missedBefore: missedBefore ? UIDSet(UID(1)) : UIDSet())
}

@Suite("Maildir three-way merge")
struct TreeMergeTests {
    @Test(
        "a letter changed by others goes to the state, one changed in the state stays",
        arguments: [
            // base, tree, state, set, clear
            ("", "S", "", "S", ""), ("S", "", "S", "", "S"), ("S", "FS", "S", "F", ""), ("", "S", "F", "S", ""),
            ("S", "F", "ST", "F", "S"), ("", "S", "S", "", ""), ("S", "S", "", "", ""), ("a", "", "aF", "", "a"),
            ("", "P", "", "Pb", ""), ("", "b", "S", "Pb", ""), ("Pb", "b", "Pb", "", "Pb"), ("Pb", "P", "Pb", "", "Pb"),
        ])
    func letters(_ row: (String, String, String, String, String)) {
        let merge = merge(base: row.0, tree: [entry(row.1)], state: row.2)
        let (set, clear) = (entry(row.3).letters.bits, entry(row.4).letters.bits)
        let expected = set | clear == 0 ? [:] : [LetterChange(set: set, clear: clear): UIDSet(UID(1))]
        #expect(merge.changes == expected)
        #expect(merge.agreed[UID(1)]?.letters == entry(row.1).letters)
        #expect(merge.missing.isEmpty && merge.extras.isEmpty && merge.strays.isEmpty)
    }

    @Test("what is as it was left asks for nothing, however the state stands")
    func untouched() {
        for state in ["S", "FS", ""] {
            let merge = merge(base: "S", tree: [entry("S")], state: state)
            #expect(merge.changes.isEmpty && merge.misspelt.isEmpty)
        }
    }

    @Test("out of new/ and a mark are agreed to and are no change")
    func place() {
        var index = FolderIndex()
        index[UID(1)] = entry("", isNew: true)
        let merge = TreeMerge(
            base: index, tree: [file(1, entry("", mark: 7))], state: [UID(1): message(1, "")], meanings: meanings,
            missedBefore: UIDSet())
        #expect(merge.changes.isEmpty && merge.misspelt.isEmpty)
        #expect(merge.agreed[UID(1)] == entry("", mark: 7))
    }

    @Test("letters that mean nothing are taken out, and other spellings put right")
    func misspelt() {
        let odd = merge(base: "S", tree: [entry("Sz")], state: "S")
        #expect(odd.changes.isEmpty)
        #expect(odd.misspelt.map(\.entry) == [entry("S")])
        var index = FolderIndex()
        index[UID(1)] = entry("S")
        let swapped = TreeMerge(
            base: index, tree: [file(1, entry("FS"), path: "cur/" + name(1).base + ":2,SF")],
            state: [UID(1): message(1, "S")], meanings: meanings, missedBefore: UIDSet())
        #expect(swapped.changes.count == 1)
        #expect(swapped.misspelt.map(\.entry) == [entry("FS")])
    }

    @Test("a deletion needs two looks and an unchanged message")
    func deletion() {
        #expect(merge(base: "S", tree: [], state: "S").vanished.isEmpty)
        #expect(merge(base: "S", tree: [], state: "S").missing == UIDSet(UID(1)))
        #expect(merge(base: "S", tree: [], state: "S", missedBefore: true).vanished == UIDSet(UID(1)))
        let changed = merge(base: "S", tree: [], state: "FS", missedBefore: true)
        #expect(changed.vanished.isEmpty && changed.lost == UIDSet(UID(1)))
        // Deleted on both sides, or in the state alone: nothing to ask for.
        #expect(merge(base: "S", tree: [], state: nil, missedBefore: true).agreed.count == 0)
        let removed = merge(base: "S", tree: [entry("FS")], state: nil)
        #expect(removed.changes.isEmpty && removed.strays.isEmpty && removed.agreed.count == 1)
    }

    @Test("of two files of a message the touched one counts, and strange ones are strays")
    func several() {
        let two = merge(base: "S", tree: [entry("S"), entry("FS")], state: "S")
        #expect(two.changes.keys.first?.set == entry("F").letters.bits)
        #expect(two.extras.map(\.entry) == [entry("S")])
        #expect(merge(base: nil, tree: [entry("S")], state: nil).strays.count == 1)
        let other = TreeMerge(
            base: FolderIndex(), tree: [TreeFile(name: name(1, size: 9), entry: entry(""), path: "cur/x")],
            state: [UID(1): message(1, "")], meanings: meanings, missedBefore: UIDSet())
        #expect(other.strays.count == 1 && other.changes.isEmpty)
    }

    @Test(
        "much at once is asked about",
        arguments: [
            (1, 1, false), (10, 10, false), (11, 54, true), (11, 55, false), (50, 1000, false), (51, 10_000, true),
        ])
    func mass(_ row: (Int, Int, Bool)) { #expect(TreeMerge.isMass(row.0, of: row.1) == row.2) }

    @Test("both sides at random: what either changed holds, and a second merge asks for nothing", arguments: 0..<200)
    func random(seed: UInt64) {
        var random = Seeded(seed)
        let count: UInt32 = 12
        var base = FolderIndex()
        var tree: [UInt32: UInt32] = [:]
        var state: [UInt32: UInt32] = [:]
        for uid in 1...count {
            let bits = random.next(below: 256)
            base[UID(uid)] = FolderEntry(isNew: false, letters: MaildirLetters(bits: bits & 0x7F))
            tree[uid] = bits & 0x7F
            state[uid] = bits & 0x7F
        }
        var meanings = meanings
        meanings.forwarded = 0
        let began = tree
        for _ in 0..<30 {
            let uid = random.next(below: count) + 1
            let bit = UInt32(1) << random.next(below: 7)
            switch random.next(below: 10) {
            case 0: tree[uid] = nil
            case 1: state[uid] = nil
            case 2...5: if let old = tree[uid] { tree[uid] = old ^ bit }
            default: if let old = state[uid] { state[uid] = old ^ bit }
            }
        }
        // The rule, said once more: a message lives while the state has it and its file is there or it was changed.
        var expected: [UInt32: UInt32] = [:]
        for uid in 1...count {
            guard let now = state[uid], let old = began[uid] else { continue }
            if let there = tree[uid] {
                expected[uid] = now ^ ((there ^ old) & ~(now ^ old))
            } else if now != old {
                expected[uid] = now
            }
        }
        var missed = UIDSet()
        var quiet = 0
        for round in 0..<6 {
            let files = tree.sorted { $0.key < $1.key }.map {
                file($0.key, FolderEntry(isNew: false, letters: MaildirLetters(bits: $0.value)))
            }
            var rows: [UID: WantedFile] = [:]
            for uid in TreeMerge.differences(base, files).union(missed) {
                rows[uid] = state[uid.rawValue].map {
                    WantedFile(
                        name: name(uid.rawValue),
                        entry: FolderEntry(isNew: false, letters: MaildirLetters(bits: $0)), blob: BlobNumber(1))
                }
            }
            let merge = TreeMerge(base: base, tree: files, state: rows, meanings: meanings, missedBefore: missed)
            #expect(merge.extras.isEmpty && merge.strays.isEmpty && merge.misspelt.isEmpty)
            for (change, uids) in merge.changes {
                for uid in uids { state[uid.rawValue] = state[uid.rawValue].map { $0 & ~change.clear | change.set } }
            }
            for uid in merge.vanished { state[uid.rawValue] = nil }
            base = merge.agreed
            missed = merge.missing.subtracting(merge.lost).subtracting(merge.vanished)
            let isQuiet = merge.changes.isEmpty && merge.vanished.isEmpty && merge.lost.isEmpty && missed.isEmpty
            quiet = isQuiet ? quiet + 1 : 0
            // The projector: files as the state has them.
            for uid in 1...count {
                if let bits = state[uid] {
                    guard tree[uid] != nil || merge.lost.contains(UID(uid)) else { continue }
                    tree[uid] = bits
                    base[UID(uid)] = FolderEntry(isNew: false, letters: MaildirLetters(bits: bits))
                } else {
                    tree[uid] = nil
                    base[UID(uid)] = nil
                }
            }
            if round == 5 { #expect(quiet >= 2, "seed \(seed)") }
        }
        #expect(state == expected, "seed \(seed)")
        #expect(tree == expected, "seed \(seed)")
    }
}

/// Numbers that depend on the seed alone.
struct Seeded {
    private var state: UInt64
    init(_ seed: UInt64) {
        // Not in steps of the sequence, or the next seed would give the same numbers one later.
        state = seed &* 0xD134_2543_DE82_EF95 &+ 0x1234_5678_9ABC_DEF1
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    mutating func next(below limit: UInt32) -> UInt32 { UInt32(next() % UInt64(limit)) }
}
