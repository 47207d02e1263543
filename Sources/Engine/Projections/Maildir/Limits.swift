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
}
