// One look at one folder of a two-way account: list it, merge, and hand letters to the engine at once. Files of others and
// deletions are collected for the account, so that a file that went from one folder to another is seen as that.
import EventStore
import MailCore
import MailEngine
import MailTypes

/// What the looks at an account's folders leave to be done.
struct AccountLook {
    /// Files of others that were the same at two looks.
    var foreign: [(file: ForeignFile, place: FolderPlace)] = []
    /// Messages whose files were missed at two looks.
    var vanished: [(uids: UIDSet, place: FolderPlace, row: MailboxRow)] = []
    /// Those of them that were changed in the state since.
    var lost: [(uids: UIDSet, place: FolderPlace, row: MailboxRow)] = []
    var hasActed = false
    /// A folder was not listed and may have changed: what is missing elsewhere may be there.
    var hasSkipped = false

    /// A file under a name of ours becomes a message of its own, whatever the name says.
    mutating func takeAsNew(_ file: TreeFile, _ identity: ForeignFile.Identity, _ place: FolderPlace) {
        var file = ForeignFile(path: file.path, isNew: false, identity: identity)
        file.name = nil
        foreign.append((file, place))
    }
}

extension MaildirProjection {
    /// - Parameters:
    ///   - isForced: list the folder whether or not it seems changed.
    ///   - isTurn: go by its times although nothing was told of it.
    func look(
        _ place: FolderPlace, _ box: FolderImport, _ plan: AccountPlan, isForced: Bool, isTurn: Bool = true,
        _ look: inout AccountLook
    ) throws {
        if !isForced, !isTurn, box.isWatched, !box.isTouched, box.isQuiet, box.refused.isEmpty { return }
        importCounts.looks += 1
        var found = try disk.times(place.path)
        if found == nil, disk.isDirectory(place.path) {
            try makeParts(place.path, isInbox: place.path == accounts[place.account]?.path)
            found = try disk.times(place.path)
        }
        guard let times = found else {
            box.isTouched = false
            box.isQuiet = true
            return
        }
        let began = monotonicSeconds()
        if !isForced {
            let isSame = box.isQuiet && box.times == times && !(box.isWatched && box.isTouched)
            if isSame, box.refused.isEmpty || began < box.retry { return }
            if began < box.nextLook {
                box.isQuiet = false
                look.hasSkipped = true
                return
            }
        }
        guard let row = try engine.read({ try $0.mailbox(place.account, place.mailbox) }) else {
            // Deleted, and not projected yet: what others put there is taken when it is.
            look.hasSkipped = true
            return try noteClaims(place, box)
        }
        // What is told from here on may be of what the listing misses.
        box.isTouched = false
        let listing = try disk.listing(place.path, row.uidValidity, host: options.host)
        try disk.passed(.treeScanned)
        let isSecond = box.times == times
        let before = look.foreign.count
        let acted = try merge(listing, place, box, row, plan, &look)
        try noteForeign(listing, place, box, &look)
        box.ignored = listing.ignored
        box.times = times
        let isWaiting = look.foreign.count != before || !box.foreign.isEmpty
        box.isQuiet = isSecond && !acted && !isWaiting && box.missing.subtracting(box.quarantined).isEmpty
        if acted { look.hasActed = true }
        let now = monotonicSeconds()
        box.nextLook = now + (now - began) * MaildirLimits.scanRest
    }

    /// - Returns: whether there was something to do.
    private func merge(
        _ listing: TreeListing, _ place: FolderPlace, _ box: FolderImport, _ row: MailboxRow, _ plan: AccountPlan,
        _ look: inout AccountLook
    ) throws -> Bool {
        var expected = UIDSet()
        let base: FolderIndex
        if let index = place.memory.index {
            base = index
        } else {
            (base, expected) = try derivedBase(place, listing.files)
        }
        var state: [UID: WantedFile] = [:]
        let differences = TreeMerge.differences(base, listing.files).union(box.missing)
        for piece in differences.chunks(of: MaildirLimits.rowsPerSnapshotMax) {
            for message in try messages(piece, place) { state[message.uid] = message.file }
        }
        let files = try separate(listing.files, state, place, &look)
        let keywords = try keywords(place, plan, files.reduce(0) { $0 | $1.entry.letters.bits })
        let merge = TreeMerge(
            base: base, tree: files, state: state, meanings: keywords.meanings, missedBefore: box.missing)
        var agreed = merge.agreed
        try change(merge.changes, keywords, place, state, &agreed)
        place.memory.index = agreed
        for misspelt in merge.misspelt {
            try disk.rename(
                "\(place.path)/\(misspelt.file.path)", to: "\(place.path)/\(misspelt.entry.path(misspelt.file.name))",
                .fileRenamed)
        }
        if !merge.lost.isEmpty { look.lost.append((merge.lost, place, row)) }
        for extra in merge.extras { try disk.removeMessage("\(place.path)/\(extra.path)") }
        for stray in merge.strays {
            if expected.contains(stray.uid) {
                // The projection is about to remove it.
                if state[stray.uid] == nil { place.memory.index?[stray.uid] = stray.entry }
            } else {
                try takeStray(stray, place, &look)
            }
        }
        box.missing = merge.missing
        if !merge.vanished.isEmpty {
            look.vanished.append((merge.vanished, place, row))
        } else if !box.quarantined.isEmpty {
            endQuarantine(place, box)
        }
        let marked = files.filter { $0.entry.mark != base[$0.uid]?.mark ?? 0 }
        if !marked.isEmpty, let memory = accounts[place.account],
            try !lists(marked.filter { agreed[$0.uid]?.mark == $0.entry.mark }, place.path)
        {
            try writeList(place.account, place.mailbox, memory)
        }
        return !merge.changes.isEmpty || !merge.misspelt.isEmpty || !merge.lost.isEmpty || !merge.extras.isEmpty
    }

    private func endQuarantine(_ place: FolderPlace, _ box: FolderImport) {
        guard box.missing.isEmpty else { return }
        box.quarantined = UIDSet()
        report("\(place.path): the files that were missing are there again")
    }

    // MARK: Letters

    struct FolderKeywords {
        var meanings: LetterMeanings
        /// By number of the letter.
        var names: [Keyword?]
    }

    /// What letters mean in a folder: ours for the account, and those that another program defined beside them.
    /// - Parameter bits: the letters that files have there.
    func keywords(_ place: FolderPlace, _ plan: AccountPlan, _ bits: UInt32) throws -> FolderKeywords {
        let names = try letterNames(bits, plan.keywords, place)
        var known: UInt32 = 63
        for (number, name) in names.enumerated() where name != nil { known |= 1 << UInt32(number + 6) }
        let forwarded = try engine.read { try $0.forwardedKeyword(place.account) }
        let bit = forwarded.map {
            Int($0.rawValue) < MaildirLimits.keywordLettersMax ? UInt32(1) << UInt32($0.rawValue + 6) : 0
        }
        return FolderKeywords(meanings: LetterMeanings(known: known, forwarded: bit ?? 0), names: names)
    }

    /// The keywords of letters by number: ours, and those that another program's list adds where `bits` go beyond.
    func letterNames(_ bits: UInt32, _ ours: [Keyword?], _ place: FolderPlace) throws -> [Keyword?] {
        guard bits >> UInt32(ours.count + 6) != 0 else { return ours }
        let path = "\(place.path)/\(KeywordList.fileName)"
        guard let text = try disk.read(path, limit: MaildirLimits.smallFileOctetsMax) else { return ours }
        return ours + KeywordList.names(text).dropFirst(ours.count)
    }

    private func change(
        _ changes: [LetterChange: UIDSet], _ keywords: FolderKeywords, _ place: FolderPlace,
        _ state: [UID: WantedFile], _ agreed: inout FolderIndex
    ) throws {
        guard !changes.isEmpty else { return }
        var requests: [Request] = []
        var uids: [UIDSet] = []
        for (change, messages) in changes {
            for command in Self.commands(change, keywords, place.mailbox, messages) {
                requests.append(importRequest(place.account, command))
                uids.append(messages)
            }
        }
        for (outcome, uids) in zip(try perform(requests), uids) {
            switch outcome {
            case .done, .duplicate: importCounts.flagChanges += UInt64(uids.count)
            case .failed(let failure): throw failure
            case .refused(let refusal):
                // The state stays as it is, and so do the files.
                report("\(place.path): letters of \(uids.count) files were put back: \(refusal)")
                for uid in uids {
                    guard let file = state[uid], let entry = agreed[uid] else { continue }
                    let back = file.entry.beside(entry, staysInCur: true)
                    try disk.rename(
                        "\(place.path)/\(entry.path(file.name))", to: "\(place.path)/\(back.path(file.name))",
                        .fileRenamed)
                    agreed[uid] = back
                }
            }
        }
        try disk.passed(.importCommitted)
    }

    /// What gives messages the letters of a change.
    static func commands(
        _ change: LetterChange, _ keywords: FolderKeywords, _ mailbox: MailboxID, _ uids: UIDSet
    ) -> [AccountCommand] {
        var commands: [AccountCommand] = []
        for (bits, operation) in [(change.set, FlagOperation.add), (change.clear, .remove)] where bits != 0 {
            let (flags, words) = meaning(bits, keywords.names)
            commands.append(
                .changeFlags(
                    ChangeFlags(mailbox: mailbox, uids: uids, operation: operation, flags: flags, keywords: words)))
        }
        return commands
    }

    static func meaning(_ bits: UInt32, _ names: [Keyword?]) -> (SystemFlags, [Keyword]) {
        var flags: SystemFlags = []
        let all: [SystemFlags] = [.draft, .flagged, .answered, .seen, .deleted]
        for flag in all where MaildirLetters(flag, keywords: 0, forwarded: false).bits & bits != 0 {
            flags.insert(flag)
        }
        var words: [Keyword] = []
        for (number, name) in names.enumerated() where bits >> UInt32(number + 6) & 1 == 1 {
            if let name { words.append(name) }
        }
        let passed = MaildirLetters([], keywords: 0, forwarded: true).bits
        if bits & passed != 0, let word = Keyword("$Forwarded"), !words.contains(word) { words.append(word) }
        return (flags, words)
    }

    // MARK: Files that do not belong

    /// Of several files under the name of one message, those with other octets are messages of their own.
    private func separate(
        _ files: [TreeFile], _ state: [UID: WantedFile], _ place: FolderPlace, _ look: inout AccountLook
    ) throws -> [TreeFile] {
        let several = Set(zip(files, files.dropFirst()).filter { $0.uid == $1.uid }.map(\.0.uid))
        if several.isEmpty { return files }
        return try files.filter { file in
            guard several.contains(file.uid), let message = state[file.uid] else { return true }
            let path = "\(place.path)/\(file.path)"
            guard let identity = try disk.identity(path) else { return false }
            if identity.octets == UInt64(message.name.size), try hasContent(path, message) { return true }
            look.takeAsNew(file, identity, place)
            return false
        }
    }

    /// A file under a name of ours whose message is gone: one that its removal missed, or one that somebody brought back.
    private func takeStray(_ file: TreeFile, _ place: FolderPlace, _ look: inout AccountLook) throws {
        let path = "\(place.path)/\(file.path)"
        guard let identity = try disk.identity(path) else { return }
        let gone = try engine.read { try $0.expunged(place.account, place.mailbox, file.uid) }
        if let gone, gone.row.email == file.name.email,
            identity.changed <= gone.time.seconds + MaildirLimits.leftoverSeconds
        {
            look.hasActed = true
            try disk.removeMessage(path)
        } else {
            look.takeAsNew(file, identity, place)
        }
    }

    /// Remembers which messages have their files in a folder that is not theirs.
    private func noteClaims(_ place: FolderPlace, _ box: FolderImport) throws {
        var claims: [UIDValidity: [UID]] = [:]
        for part in ["cur", "new"] {
            try disk.list("\(place.path)/\(part)") { name in
                if let file = MaildirFile(parsing: name.utf8)?.name, file.host == options.host {
                    claims[file.validity, default: []].append(file.uid)
                }
                return true
            }
        }
        box.claims = claims.mapValues { UIDSet($0) }
    }

    /// Chooses the files that are as they were at the last look; remembers all for the next.
    private func noteForeign(
        _ listing: TreeListing, _ place: FolderPlace, _ box: FolderImport, _ look: inout AccountLook
    ) throws {
        var seen: [UInt64: ForeignFile.Identity] = [:]
        var resting: [UInt64: FolderImport.Refused] = [:]
        var claims: [UIDValidity: [UID]] = [:]
        let names = Dictionary(grouping: listing.foreign, by: \.identity.inode)
        for var file in listing.foreign {
            let inode = file.identity.inode
            file.twins = names[inode]?.map(\.path).filter { $0 != file.path } ?? []
            if let name = file.name, name.host == options.host { claims[name.validity, default: []].append(name.uid) }
            if let refused = box.refused[inode], monotonicSeconds() < box.retry {
                resting[inode] = refused
                continue
            }
            if seen[inode] == nil, let before = box.foreign[inode], file.identity.isUntouched(since: before) {
                look.foreign.append((file, place))
            }
            seen[inode] = file.identity
        }
        box.foreign = seen
        box.refused = resting
        if !box.told.isEmpty { box.told = box.told.filter { names[$0.key] != nil } }
        box.claims = claims.mapValues { UIDSet($0) }
    }
}
