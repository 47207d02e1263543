/// STORE or UID STORE (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3).
package struct StoreRequest: Equatable, Sendable {
    package enum Operation: Equatable, Sendable {
        /// FLAGS
        case replace
        /// +FLAGS
        case add
        /// -FLAGS
        case remove
    }

    package var isUID: Bool
    package var set: SequenceSet
    package var operation: Operation
    package var flags: IMAPFlags
    /// .SILENT: no FETCH for flags the client knows by its own command; MODSEQ is still told.
    package var isSilent: Bool
    /// 0 fails for every message.
    package var unchangedSince: UInt64?

    package init(
        isUID: Bool, set: SequenceSet, operation: Operation, flags: IMAPFlags, isSilent: Bool = false,
        unchangedSince: UInt64? = nil
    ) {
        self.isUID = isUID
        self.set = set
        self.operation = operation
        self.flags = flags
        self.isSilent = isSilent
        self.unchangedSince = unchangedSince
    }
}
