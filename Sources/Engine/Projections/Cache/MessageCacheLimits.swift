/// Limits of the parse cache.
package enum MessageCacheLimits {
    /// Octets of a message that are read at a time.
    static let pieceOctets = 1 << 16
    /// New rows after which all that wait are put in one transaction.
    static let rowsPerPut = 128
    /// Rows that wait; each is at most `CacheLimits.rowOctetsMax`.
    static let pendingRowsMax = 1024
    /// Message rows that a check reads in one snapshot, so that it stays far below the 2 seconds one may last.
    static let rowsPerSnapshotMax = 2000
}
