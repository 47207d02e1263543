// Which folders of two-way accounts were touched, as inotify(7) tells, so that a quiet tree costs nothing.
//
// It says where to look and never what happened: the looks go by what lies there. So whatever is not seen costs time and
// nothing else. Each account is looked at in turn all the same (`MaildirLimits.turnSeconds`), for file systems that tell
// nothing and for directories that were exchanged above ours; an account that cannot be watched whole, because the
// machine's watches or ours are used up, is looked at as often as without.
//
// Watches are on directories as they are, not on names: after a change of folders they are set anew by their names.
import Glibc
import MailTypes

final class TreeWatch {
    struct Place: Hashable {
        var account: AccountID
        /// Nil for the account's own directory, where folders come and go.
        var mailbox: MailboxID?
        /// `new`, rather than `cur`.
        var isNew = false
    }

    enum Outcome {
        case watched
        /// There is no such directory.
        case absent
        /// No more can be watched.
        case refused
    }

    /// What was touched since it was last asked for.
    enum Touch {
        /// Files of a folder.
        case files(AccountID, MailboxID)
        /// Folders of an account, or a directory of it that is now another one.
        case folders(AccountID)
        /// More than was kept.
        case everything
    }

    private static let fileEvents =
        UInt32(IN_CREATE) | UInt32(IN_DELETE) | UInt32(IN_MOVED_FROM) | UInt32(IN_MOVED_TO) | UInt32(IN_CLOSE_WRITE)
    private static let folderEvents =
        UInt32(IN_CREATE) | UInt32(IN_DELETE) | UInt32(IN_MOVED_FROM) | UInt32(IN_MOVED_TO)
    /// The directory itself is gone or is called otherwise, or its file system went.
    private static let lossEvents =
        UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF) | UInt32(IN_IGNORED) | UInt32(IN_UNMOUNT)
    private static let conditions = UInt32(IN_ONLYDIR) | UInt32(IN_DONT_FOLLOW) | UInt32(IN_EXCL_UNLINK)
    private static let headerOctets = MemoryLayout<inotify_event>.size

    private let watchesMax: Int
    /// Opened for the first watch; nil while there is none, or none to be had.
    private var descriptor: Int32?
    private var isRefused = false
    private var places: [Int32: Place] = [:]
    private var watches: [AccountID: [Place: Int32]] = [:]
    private var buffer = [UInt8](repeating: 0, count: MaildirLimits.watchBufferOctets)

    init(watchesMax: Int) { self.watchesMax = watchesMax }

    deinit { if let descriptor { close(descriptor) } }

    var count: Int { places.count }

    private func open() -> Int32? {
        if descriptor == nil, !isRefused {
            let opened = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
            if opened >= 0 { descriptor = opened } else { isRefused = true }
        }
        return descriptor
    }

    /// Watches a directory, or goes on watching it when it is the same.
    func add(_ place: Place, _ path: String) -> Outcome {
        guard let descriptor = open() else { return .refused }
        let known = watches[place.account]?[place]
        guard known != nil || places.count < watchesMax else { return .refused }
        let events = (place.mailbox == nil ? Self.folderEvents : Self.fileEvents) | UInt32(IN_MOVE_SELF)
        let watch = inotify_add_watch(descriptor, path, events | UInt32(IN_DELETE_SELF) | Self.conditions)
        guard watch >= 0 else {
            guard errno == ENOENT || errno == ENOTDIR else { return .refused }
            if let known { drop(known) }
            return .absent
        }
        if let known, known != watch { drop(known) }
        // Under the name of another place before: that one is asked for again.
        if let other = places[watch], other != place { watches[other.account]?[other] = nil }
        places[watch] = place
        watches[place.account, default: [:]][place] = watch
        return .watched
    }

    /// Ends the watches of an account, but for those of these mailboxes and its directory.
    func forget(_ account: AccountID, but kept: Set<MailboxID> = [], keepsHome: Bool = false) {
        for (place, watch) in watches[account] ?? [:] {
            let isKept = place.mailbox.map(kept.contains) ?? keepsHome
            if !isKept { drop(watch) }
        }
    }

    private func drop(_ watch: Int32) {
        if let descriptor { inotify_rm_watch(descriptor, watch) }
        lose(watch)
    }

    private func lose(_ watch: Int32) {
        guard let place = places.removeValue(forKey: watch) else { return }
        watches[place.account]?[place] = nil
        if watches[place.account]?.isEmpty ?? false { watches[place.account] = nil }
    }

    /// Takes what has been told since the last call, up to a bound; the rest is there for the next.
    func drain(_ touched: (Touch) -> Void) {
        guard let descriptor else { return }
        for _ in 0..<MaildirLimits.watchReadsMax {
            let count = read(descriptor, &buffer, buffer.count)
            // Nothing more, or a signal: what is there stays there.
            guard count > 0 else { return }
            take(count, touched)
        }
    }

    private func take(_ count: Int, _ touched: (Touch) -> Void) {
        var at = 0
        while at + Self.headerOctets <= count {
            let event = buffer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: inotify_event.self) }
            at += Self.headerOctets + Int(event.len)
            if event.mask & UInt32(IN_Q_OVERFLOW) != 0 {
                touched(.everything)
                continue
            }
            guard let place = places[event.wd] else { continue }
            if event.mask & Self.lossEvents != 0 {
                if event.mask & UInt32(IN_IGNORED) != 0 { lose(event.wd) } else { drop(event.wd) }
                touched(.folders(place.account))
            }
            if let mailbox = place.mailbox {
                touched(.files(place.account, mailbox))
            } else if event.mask & UInt32(IN_ISDIR) != 0 {
                touched(.folders(place.account))
            }
        }
    }
}

extension MaildirProjection {
    /// Notes which trees were touched.
    func takeNews() {
        watch.drain { touch in
            switch touch {
            case .files(let account, let mailbox):
                imports[account]?.isTouched = true
                imports[account]?.folders[mailbox]?.isTouched = true
            case .folders(let account): imports[account]?.touchAll()
            case .everything: for memo in imports.values { memo.touchAll() }
            }
        }
    }

    /// Watches an account's directory and folders, as they are now. What happened before is for the look that follows.
    func watchFolders(_ account: AccountID, _ memory: AccountMemory, _ memo: AccountImport) {
        let now = monotonicSeconds()
        guard now >= memo.nextWatch else { return }
        watch.forget(account, but: Set(memory.folders.keys), keepsHome: true)
        var outcomes = [watch.add(TreeWatch.Place(account: account), memory.path)]
        for (mailbox, folder) in memory.folders where !outcomes.contains(.refused) {
            let path = memory.path(of: folder)
            let parts = [("cur", false), ("new", true)].map { part, isNew in
                watch.add(TreeWatch.Place(account: account, mailbox: mailbox, isNew: isNew), path + "/" + part)
            }
            let box = memo.folder(mailbox)
            box.isWatched = parts == [.watched, .watched]
            box.isTouched = true
            // Of a folder that is gone and waits for a word, the account's directory tells when it comes back.
            let isAwaited = memo.quarantinedFolders.contains(mailbox)
            outcomes += isAwaited ? parts.filter { $0 != .absent } : parts
        }
        if outcomes.contains(.refused) {
            watch.forget(account)
            for box in memo.folders.values { box.isWatched = false }
            memo.nextWatch = now + MaildirLimits.watchRetrySeconds
        }
        // What is not there is for the look that follows, and then watched or forgotten.
        memo.isWatched = outcomes.allSatisfy { $0 == .watched }
    }
}
