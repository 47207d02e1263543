// Which files of ours a folder holds: for each UID its letters, and whether it lies in `new/`. 9 octets a message, so a
// mailbox of a million costs 9 MB while it is worked on; the rest of each name follows from the message's row.
import MailTypes

/// Where a message's file lies and with which letters.
struct FolderEntry: Equatable {
    /// In `new/`, which has no letters.
    var isNew: Bool
    var letters: MaildirLetters
    /// The number that mbsync gave the file in its name, `,U=<mark>`; 0 without. It stays as long as the file does.
    var mark: UInt32 = 0
}

/// Ascending by UID. Mail arrives at the end, so an insertion moves nothing as a rule.
struct FolderIndex {
    private static let removedSinglyMax = 16

    private var uids: [UInt32] = []
    private var letters: [UInt32] = []
    private var isNew: [Bool] = []
    /// The few that have one.
    private var marks: [UInt32: UInt32] = [:]

    var count: Int { uids.count }

    private func position(_ uid: UInt32) -> Int {
        var low = 0
        var high = uids.count
        if let last = uids.last, last < uid { return high }
        while low < high {
            let middle = (low + high) / 2
            if uids[middle] < uid { low = middle + 1 } else { high = middle }
        }
        return low
    }

    subscript(_ uid: UID) -> FolderEntry? {
        get {
            let at = position(uid.rawValue)
            guard at < uids.count, uids[at] == uid.rawValue else { return nil }
            return entry(at)
        }
        set {
            let at = position(uid.rawValue)
            let isThere = at < uids.count && uids[at] == uid.rawValue
            mark(uid.rawValue, newValue?.mark ?? 0)
            switch (newValue, isThere) {
            case (let entry?, true):
                letters[at] = entry.letters.bits
                isNew[at] = entry.isNew
            case (let entry?, false):
                uids.insert(uid.rawValue, at: at)
                letters.insert(entry.letters.bits, at: at)
                isNew.insert(entry.isNew, at: at)
            case (nil, true):
                uids.remove(at: at)
                letters.remove(at: at)
                isNew.remove(at: at)
            case (nil, false): break
            }
        }
    }

    private func entry(_ at: Int) -> FolderEntry {
        FolderEntry(
            isNew: isNew[at], letters: MaildirLetters(bits: letters[at]), mark: marks.isEmpty ? 0 : marks[uids[at]] ?? 0
        )
    }

    private mutating func mark(_ uid: UInt32, _ mark: UInt32) {
        if mark > 0 { marks[uid] = mark } else if !marks.isEmpty { marks[uid] = nil }
    }

    /// All, ascending; their positions go from 0 to `count`.
    func element(at position: Int) -> (uid: UID, entry: FolderEntry) { (UID(uids[position]), entry(position)) }

    init() {}

    /// From entries in any order, as a directory gives them. Of two with one UID the first stays.
    init(_ found: [(uid: UInt32, entry: FolderEntry)]) {
        // Stable, so that the first stays the first.
        let sorted = found.enumerated().sorted { ($0.element.uid, $0.offset) < ($1.element.uid, $1.offset) }
        uids.reserveCapacity(found.count)
        letters.reserveCapacity(found.count)
        isNew.reserveCapacity(found.count)
        for (_, (uid, entry)) in sorted where uids.last != uid {
            uids.append(uid)
            letters.append(entry.letters.bits)
            isNew.append(entry.isNew)
            mark(uid, entry.mark)
        }
    }

    /// Removes a few by moving what follows, many in one pass over all.
    mutating func remove(_ gone: UIDSet) {
        if gone.count <= Self.removedSinglyMax {
            for uid in gone { self[uid] = nil }
            return
        }
        var kept = 0
        for at in uids.indices {
            if gone.contains(UID(uids[at])) {
                mark(uids[at], 0)
                continue
            }
            uids[kept] = uids[at]
            letters[kept] = letters[at]
            isNew[kept] = isNew[at]
            kept += 1
        }
        uids.removeSubrange(kept...)
        letters.removeSubrange(kept...)
        isNew.removeSubrange(kept...)
    }
}
