// Failed logins, each forgiven after a while: who is slowed, and who is refused without a look at the password.
//
// Counted in four tables, since each catches what the others do not:
// - (neighbourhood, name): somebody guesses one password. Refused at `failuresMax`. Others' logins to the same account
//   from elsewhere are as free as before, so nobody can lock an owner out.
// - neighbourhood, and district: somebody tries one password with many names. Refused at `neighbourhoodFailuresMax` and
//   `districtFailuresMax`. This machine is not counted: a webmail's address is everybody's.
// - name: many machines guess one password, a few times each. From `nameFailuresMax` on, logins to that name are slowed,
//   and none is refused.
// A neighbourhood from which a name has logged in before is known to it for a while. There the name is never refused,
// only slowed, and no count but the pair's own touches it: an owner whose old telephone keeps trying the old password,
// or whose webmail is used by an attacker, still gets in. Guessing there costs `knownDelayMax` each, and `slotsMax` run
// at a time.
//
// Names are kept as keyed hashes of 64 bits: nothing here names anybody, and a name costs the same however long it is.
// Every table has a bound; when it is full, what is forgiven goes first, then those with the fewest failures.
//
// Pure: the caller brings the time.
import MailTypes
import NIOCore

struct FailureLedger: Sendable {
    /// What a login may do.
    enum Standing: Equatable {
        /// The password is looked at, and the answer held back that long.
        case heard(delay: TimeAmount)
        /// Answered as a wrong password is, without a look at it.
        case refused(delay: TimeAmount)
        /// Too many from there are held back already.
        case tryLater
    }

    private let options: AuthenticationOptions
    private var pairs: FailureTable<Pair>
    private var neighbourhoods: FailureTable<IPNetwork>
    private var districts: FailureTable<IPNetwork>
    private var names: FailureTable<Int>
    /// Where a name has logged in from, and until when that counts.
    private var known: [Int: [Place: NIODeadline]] = [:]
    /// Ends of answers that are held back.
    private var slots: [Pair: [NIODeadline]] = [:]

    /// Nil is this machine's Unix sockets.
    private typealias Place = IPNetwork?

    private struct Pair: Hashable {
        var place: Place
        var name: Int
    }

    init(_ options: AuthenticationOptions) {
        self.options = options
        let period = options.forgivenessPeriod
        pairs = FailureTable(period, countMax: options.failuresMax)
        neighbourhoods = FailureTable(period, countMax: options.neighbourhoodFailuresMax)
        districts = FailureTable(period, countMax: options.districtFailuresMax)
        names = FailureTable(period, countMax: options.nameFailuresMax)
    }

    /// Entries of the fullest table.
    var count: Int { max(pairs.count, neighbourhoods.count, districts.count, names.count, known.count, slots.count) }

    /// What a login of `name` from there may do now. One that is heard takes a slot until its delay is over.
    mutating func stand(_ name: String, from source: LoginSource, at now: NIODeadline) -> Standing {
        let name = Self.key(name)
        let pair = Pair(place: source.neighbourhood, name: name)
        let failures = pairs.failures(of: pair, at: now)
        let isKnown = isKnown(name, source.neighbourhood, at: now)
        if !isKnown, failures >= options.failuresMax || isRefused(source, at: now) {
            return .refused(delay: options.delayMax)
        }
        let delay = delay(name, failures: failures, isKnown: isKnown, source, at: now)
        guard failures >= options.slotsFromFailures else { return .heard(delay: delay) }
        return takeSlot(pair, until: now + delay, at: now) ? .heard(delay: delay) : .tryLater
    }

    /// Whose turn it is among those that wait.
    func rank(_ name: String, from source: LoginSource, at now: NIODeadline) -> LoginRank {
        let name = Self.key(name)
        if isKnown(name, source.neighbourhood, at: now) { return .known }
        let pair = pairs.failures(of: Pair(place: source.neighbourhood, name: name), at: now)
        let around = source.neighbourhood.map { neighbourhoods.failures(of: $0, at: now) } ?? 0
        return pair > 0 || around > 0 ? .suspect : .fresh
    }

    /// Counts a failure.
    /// - Returns: how long its answer is held back.
    @discardableResult
    mutating func note(failureOf name: String, from source: LoginSource, at now: NIODeadline) -> TimeAmount {
        let name = Self.key(name)
        let pair = Pair(place: source.neighbourhood, name: name)
        pairs.note(pair, at: now)
        names.note(name, at: now)
        if !source.isLocal, let neighbourhood = source.neighbourhood, let district = source.district {
            neighbourhoods.note(neighbourhood, at: now)
            districts.note(district, at: now)
        }
        return delay(
            name, failures: pairs.failures(of: pair, at: now),
            isKnown: isKnown(name, source.neighbourhood, at: now), source, at: now)
    }

    /// The place is known to the name from now on.
    mutating func note(successOf name: String, from source: LoginSource, at now: NIODeadline) {
        let name = Self.key(name)
        if known.count >= AuthenticationLimits.ledgerEntriesMax, known[name] == nil {
            known = known.filter { $0.value.values.contains { $0 > now } }
            if known.count >= AuthenticationLimits.ledgerEntriesMax { known = [:] }
        }
        var places = known[name, default: [:]]
        if places.count >= AuthenticationLimits.knownPlacesMax, places[source.neighbourhood] == nil,
            let oldest = places.min(by: { $0.value < $1.value })
        {
            places[oldest.key] = nil
        }
        places[source.neighbourhood] = now + options.knownLifetime
        known[name] = places
    }

    // MARK: Rules

    private func isRefused(_ source: LoginSource, at now: NIODeadline) -> Bool {
        guard !source.isLocal, let neighbourhood = source.neighbourhood, let district = source.district else {
            return false
        }
        return neighbourhoods.failures(of: neighbourhood, at: now) >= options.neighbourhoodFailuresMax
            || districts.failures(of: district, at: now) >= options.districtFailuresMax
    }

    private func isKnown(_ name: Int, _ place: Place, at now: NIODeadline) -> Bool {
        known[name]?[place].map { $0 > now } ?? false
    }

    /// It holds for every answer, good or bad, so that a client cannot tell a wrong password by its delay and hang up.
    private func delay(
        _ name: Int, failures: Int, isKnown: Bool, _ source: LoginSource, at now: NIODeadline
    ) -> TimeAmount {
        guard !isKnown else { return min(options.knownDelayMax, delay(failures: failures)) }
        var delay = delay(failures: failures)
        if !source.isLocal, let neighbourhood = source.neighbourhood {
            // A neighbourhood that fails with many names is slowed like one that fails with a single one, later.
            let others = neighbourhoods.failures(of: neighbourhood, at: now) - options.failuresMax
            delay = max(delay, self.delay(failures: others))
        }
        if names.failures(of: name, at: now) >= options.nameFailuresMax { delay = max(delay, options.nameDelay) }
        return delay
    }

    /// After that many failures; it doubles with each.
    func delay(failures: Int) -> TimeAmount {
        guard failures > 0 else { return .zero }
        let doublings = min(failures - 1, 30)
        return min(options.delayMax, .nanoseconds(options.delayFirst.nanoseconds << Int64(doublings)))
    }

    private mutating func takeSlot(_ pair: Pair, until end: NIODeadline, at now: NIODeadline) -> Bool {
        if slots.count >= AuthenticationLimits.ledgerEntriesMax {
            slots = slots.filter { $0.value.contains { $0 > now } }
            // Each holds back an answer of a connection that is there, so this is bounded by connections.
            if slots.count >= AuthenticationLimits.ledgerEntriesMax { return false }
        }
        var taken = slots[pair, default: []].filter { $0 > now }
        guard taken.count < options.slotsMax else { return false }
        taken.append(end)
        slots[pair] = taken
        return true
    }

    /// One name in all its spellings; those over the limit of a name share a key, since they are nobody's.
    private static func key(_ name: String) -> Int {
        var hasher = Hasher()
        if name.utf8.count <= AuthenticationLimits.loginOctetsMax { hasher.combine(name.lowercased()) }
        return hasher.finalize()
    }
}

/// Failures by some key, one of them forgiven after each period.
struct FailureTable<Key: Hashable & Sendable>: Sendable {
    private struct Entry {
        var failures: Int
        /// From here on the next forgiveness counts.
        var since: NIODeadline
    }

    private let period: Int64
    private let countMax: Int
    private var entries: [Key: Entry] = [:]

    /// - Parameter countMax: more failures than these are not remembered, so that a wait of their number of periods is
    ///   enough however many there were.
    init(_ period: TimeAmount, countMax: Int) {
        self.period = period.nanoseconds
        self.countMax = countMax
    }

    var count: Int { entries.count }

    /// Those that are not yet forgiven.
    func failures(of key: Key, at now: NIODeadline) -> Int {
        entries[key].map { forgiven($0, at: now).failures } ?? 0
    }

    mutating func note(_ key: Key, at now: NIODeadline) {
        var entry = entries[key].map { forgiven($0, at: now) } ?? Entry(failures: 0, since: now)
        if entries.count >= AuthenticationLimits.ledgerEntriesMax, entries[key] == nil { makeRoom(at: now) }
        entry.failures = min(entry.failures + 1, countMax + 1)
        entries[key] = entry
    }

    private func forgiven(_ entry: Entry, at now: NIODeadline) -> Entry {
        let spans = period > 0 ? (now - entry.since).nanoseconds / period : Int64(entry.failures)
        guard spans > 0 else { return entry }
        let failures = max(0, Int64(entry.failures) - spans)
        return Entry(failures: Int(failures), since: entry.since + .nanoseconds(spans * period))
    }

    /// Drops the forgiven; where none is, the half with the fewest failures, so that room is made once and not at every
    /// failure, and a flood of new keys does not wash away the old ones that matter.
    private mutating func makeRoom(at now: NIODeadline) {
        entries = entries.filter { forgiven($0.value, at: now).failures > 0 }
        guard entries.count >= AuthenticationLimits.ledgerEntriesMax else { return }
        let fewest = entries.sorted { $0.value.failures < $1.value.failures }.prefix(entries.count / 2)
        for (key, _) in fewest { entries[key] = nil }
    }
}
