/// Limits of the Maildir projection.
package enum MaildirLimits {
    /// Events read in one snapshot.
    package static let sliceEventsMax = 1000
    /// Messages that the events of one slice may name; one larger event is taken alone.
    static let sliceMessagesMax = 20_000
    /// Message rows read in one snapshot, so that it stays far below the 2 seconds a snapshot may last.
    static let rowsPerSnapshotMax = 2000
    /// Octets of a body held at a time.
    static let pieceOctets = 1 << 20
    /// Octets of list lines held before they are written.
    static let listBufferOctets = 1 << 16
    /// Entries of all file indexes in memory, 9 octets each. The mailbox being worked on may exceed it alone.
    static let indexEntriesMax = 1 << 20
    /// Mailboxes remembered, with or without an index.
    static let mailboxesRememberedMax = 20_000
    /// Accounts whose folders are remembered.
    static let accountsRememberedMax = 2000
    /// Octets of a folder's or account's directory name that are still written out; NAME_MAX is 255.
    static let directoryNameOctetsMax = 240
    /// Keywords that have a letter, as in Dovecot.
    static let keywordLettersMax = 26
    /// Stale lines in a list that never make it worth rewriting.
    static let staleLinesFree = 16
    /// A list is rewritten when one line in so many is stale.
    static let staleLinesShare = 4
    /// Differences reported by one check.
    static let differencesMax = 1000
    /// Octets of the end of a list that are read to find its last line.
    static let listTailOctets = 1024
    /// Octets of a small file of ours that are read to compare it.
    static let smallFileOctetsMax = 16 << 20
    /// Octets of a list's first line.
    static let listHeaderOctetsMax = 512

    // Two-way accounts

    /// Messages of a folder whose files may go within `vanishedSeconds` without anybody being asked.
    static let vanishedFree = 10
    /// Beyond `vanishedFree`, one message in so many.
    static let vanishedShare = 5
    /// And so many in any case.
    static let vanishedMax = 50
    /// For how long files that went count together; seconds.
    static let vanishedSeconds = 60.0
    /// Time for looking at directories in one go, after which the projection gets its turn; seconds.
    static let scanSecondsMax = 0.2
    /// A folder is listed again after so many times what listing it took.
    static let scanRest = 10.0
    /// Files of others taken in one go, from one folder.
    static let adoptionsMax = 64
    /// Time for taking files in one look at an account; seconds.
    static let adoptionSecondsMax = 1.0
    /// Files of others that are remembered between two looks, in one folder; the rest waits for its turn.
    static let foreignFilesMax = 20_000
    /// Octets that the files taken in one go may have together, but for the first.
    static let adoptionOctetsMax = 64 << 20
    /// Time after which a file that was refused is tried again; seconds.
    static let refusedSeconds = 60.0
    /// Messages named by the log behind what was projected, over which the state counts and not the tree; for a start
    /// after a long time.
    static let windowMessagesMax = 100_000
    /// Events of an account that are read to find what became of a file that was a message before; beyond them it becomes
    /// one more.
    static let followedEventsMax = 10_000
    /// How often a file that was away, so that its message was deleted, becomes a message again while the engine remembers
    /// the first.
    static let returnsMax = 100
    /// How long after its deletion the file of a message that turns up counts as one that was missed; seconds.
    static let leftoverSeconds: Int64 = 60
    /// Looks at one account in a row until it is settled; each may take `adoptionsMax` files and more.
    static let settleLooksMax = 1000
    /// Directories that are watched for two-way accounts, two of each folder and one of each account. The kernel needs
    /// about a kilobyte for each; `fs.inotify.max_user_watches` may allow fewer. Accounts beyond are looked at every second.
    package static let watchesMax = 200_000
    /// Time after which an account that could not be watched whole is tried again; seconds.
    static let watchRetrySeconds = 60.0
    /// Time between two looks at an account that is watched and of which nothing was told; seconds.
    static let turnSeconds = 30.0
    /// Octets of news about directories read at a time...
    static let watchBufferOctets = 1 << 16
    /// ...and how many times in one go.
    static let watchReadsMax = 64
    /// Directories of others in an account that may become folders; the rest waits until these are gone.
    static let strangersMax = 10_000
    /// How far ahead of the clock a file's time may lie to be believed; seconds.
    static let fileTimeAheadMax: Int64 = 86_400
}
