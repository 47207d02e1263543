import Authentication

/// Limits of administration and configuration. Each is the largest value that is still accepted.
package enum ServerLimits {
    /// Octets of a configuration file.
    package static let configurationOctetsMax = 1 << 20
    /// Keys that sign for one domain.
    package static let domainKeysMax = 4
    /// Octets of a file with a key.
    package static let keyFileOctetsMax = 64 << 10
    /// Octets of one request on the administration socket.
    package static let requestOctetsMax = 4 << 20
    /// Octets of one line of an answer; a record of the log is at most 60 KiB.
    package static let answerOctetsMax = 1 << 20
    /// Administration connections served at a time.
    package static let administrationConnectionsMax = 16
    /// Seconds an administration connection may take to send its request, or to take a line of the answer.
    package static let administrationPatienceSeconds = 30
    /// Octets of a password, as logins take them.
    package static let passwordOctetsMax = AuthenticationLimits.passwordOctetsMax
    /// Accounts in one request.
    package static let accountsPerRequestMax = 100
    /// Events looked at in one snapshot.
    package static let eventsPerSnapshotMax = 2000
    /// Messages of an import in one command.
    package static let importMessagesPerCommandMax = 100
    /// Octets of bodies of an import in one command.
    package static let importOctetsPerCommandMax = 8 << 20
    /// Octets of one list beside the messages of a Maildir that is imported.
    package static let importListOctetsMax = 256 << 20
    /// The line that begins a message in an mbox, where the length of the one before says that there is one.
    static let mboxFromLineOctetsMax = 1_024
    /// Octets from a source that wait to be taken; above, it is not read from.
    static let importWindowOctets = 1 << 20
    /// Texts asked for that the source has not sent yet, in windows of one command's messages.
    static let importWindowsAsked = 2
    /// Seconds until a source answers a connection.
    static let importConnectSeconds = 30
    /// Seconds without an octet from a source that owes an answer.
    static let importSilenceSeconds = 120
    /// Connections made for one folder, until its failure is that of the import.
    static let importAttemptsMax = 3
    /// Messages of one folder of a source.
    static let importFolderMessagesMax = 10_000_000
    /// Folders of one account of a source.
    static let importFoldersMax = 10_000
    /// Octets of a text that is over the limit of a message and is read to be dropped.
    static let importDroppedOctetsMax: UInt64 = 4 << 30
    /// Connections to a source for one account.
    package static let importConnectionsMax = 16
    /// Accounts whose mail is copied at the same time.
    package static let importAccountsAtOnceMax = 16
    /// Accounts in one run of `import imap`.
    package static let importAccountsMax = 10_000
    /// Octets of a journal of an import that are read.
    static let importJournalOctetsMax = 1 << 30
    /// Errors an import lists one by one.
    package static let importErrorsListedMax = 100
    /// Messages dropped by one round of the retention collector.
    package static let collectedPerRoundMax = 1000
    /// Entries of the queue that a list shows, where nobody asks for more...
    package static let queueListedDefault = 1_000
    /// ...and at most.
    static let queueListedMax = 1_000_000
    /// Entries of the queue that change in one transaction.
    static let queueChangedPerCommandMax = 500
    /// Entries of the queue that are named in one sentence.
    static let queueNamedMax = 20
    /// A file of authorities that other servers are judged by, in octets.
    static let authorityOctetsMax = 4 << 20
    /// A file with a secret in it: a token service's, a smart host's, in octets.
    static let secretOctetsMax = 4_096
}
