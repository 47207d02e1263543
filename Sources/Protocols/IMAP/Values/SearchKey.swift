import MailTypes

/// A condition on a message (RFC 9051 section 6.4.4, RFC 3501 section 6.4.4). Strings are octets in the search's charset.
///
/// Depth and number of keys are bounded by `IMAPLimits`, so a recursive walk is safe.
package indirect enum SearchKey: Equatable, Sendable {
    case all
    /// All of them; at least two.
    case and([SearchKey])
    case or(SearchKey, SearchKey)
    case not(SearchKey)
    /// Message numbers, perhaps `$`.
    case sequence(SequenceSet)
    case uid(SequenceSet)
    /// ANSWERED and its like. UNSEEN and its like come as `not` of this.
    case flag(SystemFlags)
    case keyword(Keyword)
    /// RFC 3501: RECENT; NEW comes as RECENT and UNSEEN, OLD as NOT RECENT.
    case recent
    /// BCC, CC, FROM, TO, SUBJECT and HEADER: the field's name in upper case, and what it contains; empty: the field is
    /// there.
    case header(String, [UInt8])
    case body([UInt8])
    case text([UInt8])
    case before(CalendarDay)
    case on(CalendarDay)
    case since(CalendarDay)
    case sentBefore(CalendarDay)
    case sentOn(CalendarDay)
    case sentSince(CalendarDay)
    case larger(UInt64)
    case smaller(UInt64)
    /// At least this MODSEQ (RFC 7162 section 3.1.5). The entry name, where the client gave one, makes no difference: a
    /// message has one MODSEQ for all its flags.
    case modSeq(UInt64)
    /// RFC 5032: INTERNALDATE more than so many seconds ago, or within them.
    case older(UInt32)
    case younger(UInt32)
    /// RFC 8514.
    case savedBefore(CalendarDay)
    case savedOn(CalendarDay)
    case savedSince(CalendarDay)
    case saveDateSupported
    /// RFC 8474: as the client wrote them.
    case emailID(String)
    case threadID(String)
}

extension SearchKey {
    /// Some key asks for MODSEQ; then SEARCH answers with one (RFC 7162 section 3.1.5).
    package var usesModSeq: Bool {
        switch self {
        case .modSeq: true
        case .and(let keys): keys.contains { $0.usesModSeq }
        case .or(let a, let b): a.usesModSeq || b.usesModSeq
        case .not(let key): key.usesModSeq
        default: false
        }
    }
}
