// Trees made as the state has them, whatever is there: on request, and where nothing tells what is there.
//
// A note in `.letterlog/rebuilding`, with the account's number or `all`, says that a tree is being made. It is on stable
// storage before the first file is touched and goes when a checkpoint has made all of them durable; a run that finds one
// makes the tree again. In a two-way account that comes before anybody looks, since what is missing there would be taken
// for deleted; and what a power cut may have left half-written is read, and not believed by its size.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes

extension MaildirProjection {
    private static let everything = "all"
    private var notes: String { stateDirectory + "/rebuilding" }

    /// Makes the tree of one account, or of all, equal to the state whatever is there now. In place: files that are
    /// right stay, so nothing is copied twice, readers keep their files and a crash leaves a tree that is no worse.
    package func rebuild(_ account: AccountID? = nil) throws {
        try openIfNeeded()
        do {
            if let account {
                rebuilding.insert(account)
                try note("\(account.rawValue)")
                try converge(account)
            } else {
                try rebuildAll()
            }
        } catch {
            // Nobody takes what is missing in a one-way tree for deleted; who asked has been told.
            if let account, try plan(account)?.mode != .twoWay {
                rebuilding.remove(account)
                try disk.remove("\(notes)/\(account.rawValue)")
            } else if account == nil, !hasImports {
                isRebuildingAll = false
                try disk.remove("\(notes)/\(Self.everything)")
            }
            throw error
        }
    }

    /// Makes all trees as the state has them. It is noted also where no checkpoint can be used: the one that is there may
    /// look like one as soon as the log has grown to where it was.
    func rebuildAll() throws {
        isRebuildingAll = true
        try note(Self.everything)
        try convergeAll()
    }

    private func converge(_ account: AccountID) throws {
        accounts[account] = nil
        var work = AccountWork(first: .zero)
        work.everything = true
        try project(account, work, isReplay: true)
        if rebuilding.remove(account) != nil { rebuilt.insert(account) }
    }

    private func convergeAll() throws {
        accounts = [:]
        var all: [(Int, AccountID)] = []
        try engine.read { state in
            try state.accounts { account, head in
                if account >= .firstPersonal { all.append((head.status == .removed ? 0 : 1, account)) }
                return true
            }
        }
        for (_, account) in all.sorted(by: { $0 < $1 }) {
            try converge(account)
            forgetOldest()
        }
        if isRebuildingAll {
            isRebuildingAll = false
            isRebuiltAll = true
        }
    }

    // MARK: Notes

    private func note(_ name: String) throws {
        try disk.makeDirectory(notes)
        try disk.sync(stateDirectory)
        try disk.replaceDurably(notes, name, with: "", .rebuildNoted)
    }

    /// Takes up what an interrupted run has left.
    func rememberRebuilds() throws {
        try disk.list(notes) { name in
            if name == Self.everything { isRebuildingAll = true }
            if let number = UInt32(name) { rebuilding.insert(AccountID(number)) }
            return true
        }
    }

    /// Begins again what a crash or a failure has broken off.
    func finishRebuilds() throws {
        if isRebuildingAll { try convergeAll() }
        for account in rebuilding.sorted() { try converge(account) }
    }

    /// To be called when all that was written is on stable storage.
    func forgetRebuilds() throws {
        guard isRebuilt else { return }
        for account in rebuilt where !rebuilding.contains(account) { try disk.remove("\(notes)/\(account.rawValue)") }
        if isRebuiltAll, !isRebuildingAll { try disk.remove("\(notes)/\(Self.everything)") }
        try disk.sync(notes)
        rebuilt = []
        isRebuiltAll = false
    }

    /// To be called when a sync has failed: what was made since the last may be lost, so it is made once more before the notes
    /// go.
    func repeatRebuilds() {
        rebuilding.formUnion(rebuilt)
        isRebuildingAll = isRebuildingAll || isRebuiltAll
        rebuilt = []
        isRebuiltAll = false
    }

    /// Notes are left of trees that are made.
    var isRebuilt: Bool { isRebuiltAll || !rebuilt.isEmpty }

    /// Whether a file has all that it should have. It is read where a power cut may have taken part of it.
    func isWhole(_ path: String, _ file: WantedFile) throws -> Bool {
        guard let status = try disk.status(path), Int(status.st_size) == Int(file.name.size) else { return false }
        return try !isDistrusted(status) || hasContent(path, file)
    }

    /// Whether a file that is whole may be so in the page cache alone.
    func isVolatile(_ path: String) throws -> Bool {
        guard isCacheDistrusted, let status = try disk.status(path) else { return false }
        return isDistrusted(status)
    }

    private func isDistrusted(_ status: stat) -> Bool {
        distrusted.map { MaildirDisk.nanoseconds(status.st_ctim) >= $0 } ?? false
    }
}
