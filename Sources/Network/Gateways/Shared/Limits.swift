import NIOCore

/// Every bound of this room that nobody sets, in one place.
enum GatewayLimits {
    /// Octets taken from a socket at a time.
    static let readOctetsMax = 64 << 10
    /// The first read of a connection that receives messages, and of one that receives commands only.
    static let messageReadOctets = 16 << 10
    static let commandReadOctets = 2 << 10
    /// Command octets handed to a machine before its replies are looked at: a short command can have a long reply, so
    /// this bounds what piles up for a client that does not read. At least one command line of any protocol.
    static let commandWindowOctets = 4 << 10
    /// Replies gathered before they are given to the socket.
    static let outputOctets = 32 << 10
    /// A connection with that many octets to write makes nothing more for its client...
    static let unsentOctetsHigh = 64 << 10
    /// ...until they have come down to this.
    static let unsentOctetsLow = 32 << 10
    /// Part of a message that is read from the store at a time.
    static let bodyChunkOctets = 64 << 10
    /// Messages up to this size are read on the event loop; larger ones by the threads for files.
    static let inlineBodyOctetsMax = 32 << 10
    /// Part of a listing that is written at a time.
    static let listingChunkOctets = 16 << 10
    /// Octets of a large body that wait for a thread to write them; above, its client is not read from.
    static let bodyBacklogOctetsMax = 256 << 10
    /// Octets from the start of a message in which its topmost Received field is looked for.
    static let repeatHeaderOctetsMax = 16 << 10
    /// Connections waiting to be accepted, for each listener.
    static let listenBacklog = 1_024
    /// How old the engine's figures may be when it is asked whether it takes mail.
    static let admissionAgeMax = TimeAmount.milliseconds(20)
    /// Octets of the body of an HTTP request, which no page here reads.
    static let httpBodyOctetsMax = 64 << 10
    /// Octets of a Unix socket's path (`sun_path` of unix(7), less its NUL).
    static let socketPathOctetsMax = 107
    /// How long a client may take to close after our last words have been written.
    static let lingerMax = TimeAmount.seconds(2)
    /// The same when the node stops.
    static let stoppingLingerMax = TimeAmount.milliseconds(200)
    /// How long a stopped listener waits for answers of the engine that no client is there to hear.
    static let lateAnswersMax = TimeAmount.seconds(5)
    /// Lines of one kind that a crowd of clients can cause, written in each `noticePeriod`; the rest is told as a number.
    static let noticesPerPeriodMax = 20
    static let noticePeriod = TimeAmount.seconds(60)
    /// Messages whose checks have not ended; above, a message is taken without.
    static let checksMax = 1_000
    /// Connections to filters; above, a transaction is put off.
    static let milterConnectionsMax = 2_000
    /// How long a connection to a filter may take, where the site allows for no less.
    static let milterConnectMax = TimeAmount.seconds(10)
    /// How long all filters together may take for a message after its last octet, whatever they say: a client waits for ten
    /// minutes (RFC 5321 section 4.5.3.2.6).
    static let milterMessageMax = TimeAmount.seconds(480)
    /// How long a message may wait for its release (RFC 4865): 30 days.
    static let holdSecondsMax = 2_592_000
    /// Octets of the header of a message that is handed in for sending.
    static let submittedHeaderOctetsMax = 1 << 20

    // IMAP

    /// How long one slice of reading may take before the thread is another session's.
    static let imapSliceMax = TimeAmount.milliseconds(20)
    /// Octets that one slice may make, or little more.
    static let imapSliceOctets = 64 << 10
    /// Rows of messages, or of changes, that are read on the event loop; more are read by the reading threads.
    static let imapInlineRowsMax = 256
    /// Messages whose octets are read on the event loop, when together they are no more than `inlineBodyOctetsMax`.
    static let imapInlineBodiesMax = 4
    /// Rows that are read with one look at the state, for items that the rows answer...
    static let imapRowBatchMessages = 1_024
    /// ...and for those that need the messages themselves.
    static let imapBodyBatchMessages = 16
    /// Messages whose sort keys are gathered with one look at the state.
    static let imapSortBatchMessages = 256
    /// Messages that a reading thread puts in order, or numbers that it writes, in one step; for more there is a thread of
    /// its own.
    static let imapInlineOrderMax = 4_096
    /// Octets of the sort keys, or of the references, of one SORT or THREAD.
    static let imapSortOctetsMax = 256 << 20
    /// Octets of a header from which HEADER.FIELDS takes.
    static let imapHeaderOctetsMax = 1 << 20
    /// Octets of headers that are read for the HEADER.FIELDS of one message in one FETCH.
    static let imapHeaderItemsOctetsMax = 8 << 20
    /// Octets of one APPEND up to which its next message begins in memory; later ones are files at once...
    static let imapAppendMemoryOctetsMax = 4 << 20
    /// ...and from there on it may have no more messages than this.
    static let imapAppendFilesMax = 64
    /// Characters that are kept of what a client says it is.
    static let imapClientNameMax = 200
    /// An idle client hears something this often: some routers forget a connection after two minutes.
    static let imapKeepAliveEvery = TimeAmount.seconds(110)
    /// A long search says how far it is this often.
    static let imapProgressEvery = TimeAmount.seconds(10)
}
