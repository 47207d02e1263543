import NIOCore

/// Failed logins by client address, each forgiven after a while.
///
/// Kept by address and not by account, so that nobody can lock an owner out from elsewhere.
struct FailureLedger: Sendable {
    private struct Entry {
        var failures: Int
        /// From here on the next forgiveness counts.
        var since: NIODeadline
    }

    private let options: AuthenticationOptions
    private var entries: [String: Entry] = [:]

    init(_ options: AuthenticationOptions) { self.options = options }

    var count: Int { entries.count }

    /// Failures of the address that are not yet forgiven.
    func failures(of client: String, at now: NIODeadline) -> Int {
        entries[client].map { forgiven($0, at: now).failures } ?? 0
    }

    mutating func note(failureOf client: String, at now: NIODeadline) {
        var entry = entries[client].map { forgiven($0, at: now) } ?? Entry(failures: 0, since: now)
        if entries.count >= AuthenticationLimits.ledgerEntriesMax, entries[client] == nil { makeRoom(at: now) }
        entry.failures = min(entry.failures + 1, options.failuresMax + 1)
        entries[client] = entry
    }

    /// How long an answer to an address with that many failures is held back.
    func delay(failures: Int) -> TimeAmount {
        guard failures > 0 else { return .zero }
        let doublings = min(failures - 1, 30)
        return min(options.delayMax, .nanoseconds(options.delayFirst.nanoseconds << Int64(doublings)))
    }

    private func forgiven(_ entry: Entry, at now: NIODeadline) -> Entry {
        let period = options.forgivenessPeriod.nanoseconds
        let spans = period > 0 ? (now - entry.since).nanoseconds / period : Int64(entry.failures)
        guard spans > 0 else { return entry }
        let failures = max(0, Int64(entry.failures) - spans)
        return Entry(failures: Int(failures), since: entry.since + .nanoseconds(spans * period))
    }

    /// Drops the forgiven; where none is, an arbitrary half, so that the room is made once and not at every failure.
    private mutating func makeRoom(at now: NIODeadline) {
        entries = entries.filter { forgiven($0.value, at: now).failures > 0 }
        guard entries.count >= AuthenticationLimits.ledgerEntriesMax else { return }
        for key in entries.keys.prefix(entries.count / 2) { entries[key] = nil }
    }
}
