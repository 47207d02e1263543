// The three-way merge of one folder, values in and values out: what we last put there or agreed to, what lies there now,
// and what the state has now.
//
// A letter that differs from the base was changed by somebody else, and the change goes to the state unless the state has
// it already. With two values a letter cannot be changed by both sides in different ways, so nothing is ever overruled.
// A file that is gone was deleted, unless the state changed the message meanwhile: then it is written again. A message
// that the state has no more is the projection's to remove, whatever was done to its file.
import MailTypes

/// A message file of ours, as a listing shows it.
struct TreeFile: Sendable {
    var name: MaildirName
    var entry: FolderEntry
    /// Below the folder.
    var path: String
    var uid: UID { name.uid }
}

/// What a file's letters say that the state does not.
struct LetterChange: Hashable, Sendable {
    var set: UInt32
    var clear: UInt32
}

/// Which letters mean something, and what.
struct LetterMeanings: Sendable {
    /// Those that stand for a flag or a keyword; others cannot become an event.
    var known: UInt32
    /// The keyword letter of `$Forwarded`, which is also P; 0 without one.
    var forwarded: UInt32 = 0

    private static let passed = MaildirLetters([], keywords: 0, forwarded: true).bits

    /// What was changed from `base` to `tree`, as letters to set and to clear in `state`.
    func change(base: UInt32, tree: UInt32, state: UInt32) -> LetterChange {
        var tree = tree
        var differs = (tree ^ base) & known
        // Whoever changes one of the two means both.
        let twins = forwarded | Self.passed
        if forwarded != 0, differs & twins != 0 {
            let isSet = differs & Self.passed != 0 ? tree & Self.passed != 0 : tree & forwarded != 0
            tree = isSet ? tree | twins : tree & ~twins
            differs |= twins
        }
        return LetterChange(set: differs & tree & ~state, clear: differs & ~tree & state)
    }
}

/// What the merge of one folder asks for.
struct TreeMerge {
    /// Letters for the state to take, with the messages that need the same.
    var changes: [LetterChange: UIDSet] = [:]
    /// Not there at the second look in a row, and not changed in the state: deleted by somebody else.
    var vanished = UIDSet()
    /// Not there now.
    var missing = UIDSet()
    /// Not there at the second look, but changed in the state since: to be written again.
    var lost = UIDSet()
    /// Files with letters that mean nothing, or spelled in another way, and how they should lie.
    var misspelt: [Misspelt] = []
    /// Second files of a message.
    var extras: [TreeFile] = []
    /// Files under names of ours that the state does not know.
    var strays: [TreeFile] = []
    /// The base of the next merge.
    var agreed: FolderIndex

    struct Misspelt {
        var file: TreeFile
        var entry: FolderEntry
    }

    /// Messages whose rows a merge needs: the others are as they were.
    /// - Parameter tree: ascending by UID.
    static func differences(_ base: FolderIndex, _ tree: [TreeFile]) -> UIDSet {
        var found = UIDSet()
        var at = 0
        var last: UID?
        for file in tree {
            while at < base.count, base.element(at: at).uid < file.uid {
                found.insertAtEnd(base.element(at: at).uid)
                at += 1
            }
            let isBase = at < base.count && base.element(at: at).uid == file.uid
            let isSame = isBase && isUntouched(file, base.element(at: at).entry)
            if isBase { at += 1 }
            if last == file.uid {
                if found.last != file.uid { found.insertAtEnd(file.uid) }
            } else if !isSame {
                found.insertAtEnd(file.uid)
            }
            last = file.uid
        }
        while at < base.count {
            found.insertAtEnd(base.element(at: at).uid)
            at += 1
        }
        return found
    }

    private static func isUntouched(_ file: TreeFile, _ entry: FolderEntry) -> Bool {
        file.entry == entry && file.path == entry.path(file.name)
    }

    /// - Parameters:
    ///   - tree: ascending by UID; several of one UID may be there.
    ///   - state: the messages of `differences`; one that is not in it is gone.
    ///   - missedBefore: what the look before this one did not find; its messages are in `state` too.
    init(
        base: FolderIndex, tree: [TreeFile], state: [UID: WantedFile], meanings: LetterMeanings, missedBefore: UIDSet
    ) {
        agreed = base
        var at = tree.startIndex
        for uid in Self.differences(base, tree).union(missedBefore) {
            while at < tree.endIndex, tree[at].uid < uid { at += 1 }
            var files: [TreeFile] = []
            while at < tree.endIndex, tree[at].uid == uid {
                files.append(tree[at])
                at += 1
            }
            merge(uid, base[uid], files, state[uid], meanings, wasMissed: missedBefore.contains(uid))
        }
    }

    private mutating func merge(
        _ uid: UID, _ base: FolderEntry?, _ files: [TreeFile], _ state: WantedFile?, _ meanings: LetterMeanings,
        wasMissed: Bool
    ) {
        guard let state else {
            // With a base, the projection has yet to remove it.
            if base == nil { strays += files } else if files.isEmpty { agreed[uid] = nil }
            return
        }
        // Of several, the one that somebody touched counts; the names decide between equals.
        let ours = files.filter { $0.name == state.name }.sorted { a, b in
            let (isOld, isOther) = (base == a.entry, base == b.entry)
            return isOld != isOther ? isOther : a.path < b.path
        }
        strays += files.filter { $0.name != state.name }
        guard let file = ours.first else {
            guard let base else { return }
            missing.insertAtEnd(uid)
            guard wasMissed else { return }
            if base.letters.bits & meanings.known != state.entry.letters.bits & meanings.known {
                lost.insertAtEnd(uid)
            } else {
                vanished.insertAtEnd(uid)
            }
            return
        }
        extras += ours.dropFirst()
        let wanted = state.entry.letters.bits
        let change = meanings.change(
            base: base?.letters.bits ?? wanted, tree: file.entry.letters.bits, state: wanted)
        if change.set | change.clear != 0 { changes[change, default: UIDSet()].insertAtEnd(uid) }
        var entry = file.entry
        let meaningless = entry.letters.bits & ~meanings.known
        if meaningless != wanted & ~meanings.known {
            entry.letters.bits = entry.letters.bits & meanings.known | wanted & ~meanings.known
        }
        // What the state changed while the file was away has not reached it.
        if wasMissed, change.set | change.clear == 0 { entry.letters.bits = wanted }
        if entry.letters.bits != 0 { entry.isNew = false }
        agreed[uid] = entry
        if file.path != entry.path(file.name) { misspelt.append(Misspelt(file: file, entry: entry)) }
    }

    /// Whether so much is gone that somebody should be asked first.
    /// - Parameter all: messages in the folder before.
    static func isMass(_ vanished: Int, of all: Int) -> Bool {
        vanished > MaildirLimits.vanishedFree
            && (vanished > MaildirLimits.vanishedMax || vanished * MaildirLimits.vanishedShare > all)
    }
}
