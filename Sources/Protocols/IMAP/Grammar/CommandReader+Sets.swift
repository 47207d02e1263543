// Sets of numbers, flags and dates (RFC 9051 section 9). A set keeps the client's order and its `*`, for what these mean
// is known only when the command is performed; dates are checked against the calendar here.
import MailTypes

extension CommandReader {
    /// `sequence-set`. `$` is understood where SEARCHRES is (RFC 5182).
    mutating func sequenceSet() throws(GrammarStop) -> SequenceSet {
        var set = SequenceSet([])
        repeat {
            if current == Ascii.dollar {
                advance()
                set.includesSaved = true
                continue
            }
            guard set.elements.count < IMAPLimits.setElementsMax else { throw .no(.limit, "The set is too long") }
            let first = try sequenceNumber()
            set.elements.append(SequenceSet.Element(first, skip(Ascii.colon) ? try sequenceNumber() : first))
        } while skip(Ascii.comma)
        return set
    }

    @inline(__always)
    private mutating func sequenceNumber() throws(GrammarStop) -> UInt32 {
        if skip(Ascii.asterisk) { return 0 }
        return try nzNumber()
    }

    /// A set without `*` and `$`, as in QRESYNC (RFC 7162 section 7).
    mutating func knownSet() throws(GrammarStop) -> UIDSet {
        let set = try sequenceSet()
        guard !set.includesLast, !set.includesSaved else { throw .bad("* and $ are not known numbers") }
        return set.uids(last: nil)
    }

    /// Numbers in ascending order (RFC 7162 section 3.2.5.2), which pair with others: order and count matter.
    mutating func ascendingRanges() throws(GrammarStop) -> UIDSet {
        let set = try sequenceSet()
        guard !set.includesLast, !set.includesSaved else { throw .bad("* and $ are not known numbers") }
        var last: UInt32 = 0
        for element in set.elements {
            guard element.first > last, element.last >= element.first else { throw .bad("Numbers are not ascending") }
            last = element.last
        }
        return set.uids(last: nil)
    }

    // MARK: Flags

    /// `flag-list`, or without parentheses where `allowsBare` (STORE).
    mutating func flags(allowsBare: Bool = false) throws(GrammarStop) -> IMAPFlags {
        var flags = IMAPFlags()
        var count = 0
        func next(_ reader: inout CommandReader) throws(GrammarStop) {
            count += 1
            guard count <= IMAPLimits.flagsMax else { throw .no(.limit, "Too many flags") }
            try reader.flag(into: &flags)
        }
        if allowsBare, current != Ascii.open {
            repeat { try next(&self) } while skip(Ascii.space)
        } else {
            try list(allowsEmpty: true, next)
        }
        return flags
    }

    private mutating func flag(into flags: inout IMAPFlags) throws(GrammarStop) {
        if skip(Ascii.backslash) {
            let name = take(while: Ascii.isAtom)
            guard !name.isEmpty else { throw .bad("A flag expected") }
            // The grammar has every other name, known or not.
            guard !Self.isRecent(name) else { throw .bad("\\Recent is not the client's to set") }
            if let flag = Self.systemFlag(name) { flags.system.insert(flag) }
        } else {
            let keyword = try keyword()
            if !flags.keywords.contains(keyword) { flags.keywords.append(keyword) }
        }
    }

    /// `flag-keyword`.
    mutating func keyword() throws(GrammarStop) -> Keyword {
        let name = try atom()
        guard let keyword = Keyword(name) else { throw .no(.limit, "A keyword is too long") }
        return keyword
    }

    /// By name without the backslash, in any case.
    static func systemFlag(_ name: UnsafeRawBufferPointer) -> SystemFlags? {
        if Ascii.isWord(name, "SEEN") { return .seen }
        if Ascii.isWord(name, "DELETED") { return .deleted }
        if Ascii.isWord(name, "FLAGGED") { return .flagged }
        if Ascii.isWord(name, "ANSWERED") { return .answered }
        if Ascii.isWord(name, "DRAFT") { return .draft }
        return nil
    }

    /// RFC 3501 section 2.3.2 and RFC 9051 section 9, `flag`.
    private static func isRecent(_ name: UnsafeRawBufferPointer) -> Bool { Ascii.isWord(name, "RECENT") }

    // MARK: Dates

    /// `date`, quoted or not.
    mutating func date() throws(GrammarStop) -> CalendarDay {
        let isQuoted = skip(Ascii.quote)
        let digits = take(while: Ascii.isDigit)
        guard (1...2).contains(digits.count) else { throw .bad("A date such as 1-Feb-2026 expected") }
        let day = digits.reduce(0) { $0 * 10 + Int($1 - Ascii.zero) }
        let date = try monthAndYear(day: day)
        if isQuoted { try expect(Ascii.quote, "A closing quote") }
        return date
    }

    /// `date-time`: `"01-Feb-2026 12:34:56 +0100"`, where the day may begin with a space.
    mutating func dateTime() throws(GrammarStop) -> InternalDate {
        try expect(Ascii.quote, "A date and time in quotes")
        let isPadded = skip(Ascii.space)
        let day = try digits(isPadded ? 1 : 2)
        let date = try monthAndYear(day: day)
        try expect(Ascii.space, "A space and a time")
        let hour = try digits(2)
        try expect(Ascii.colon, "A colon")
        let minute = try digits(2)
        try expect(Ascii.colon, "A colon")
        let second = try digits(2)
        try expect(Ascii.space, "A space and a zone")
        let isWest = skip(Ascii.minus)
        if !isWest { try expect(Ascii.plus, "A zone such as +0000") }
        let zone = try digits(2) * 60 + (try digits(2))
        try expect(Ascii.quote, "A closing quote")
        // RFC 3501 and 9051 give no bounds; a leap second counts as the first of the next minute.
        guard hour < 24, minute < 60, second <= 60, zone < 24 * 60 else { throw .bad("There is no such time") }
        let minutesEast = isWest ? -zone : zone
        let seconds =
            Int64(date.daysSince1970) * 86_400 + Int64(hour * 3_600 + minute * 60 + second - minutesEast * 60)
        return InternalDate(time: Timestamp(seconds: seconds), zoneMinutes: Int16(minutesEast))
    }

    private mutating func monthAndYear(day: Int) throws(GrammarStop) -> CalendarDay {
        try expect(Ascii.minus, "A hyphen and a month")
        var name: UInt32 = 0
        for octet in take(while: { $0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A }).prefix(4) {
            name = name << 8 | UInt32(octet | 0x20)
        }
        guard let month = Self.monthNames.firstIndex(of: name) else { throw .bad("There is no such month") }
        try expect(Ascii.minus, "A hyphen and a year")
        guard let date = CalendarDay(year: try digits(4), month: month + 1, day: day) else {
            throw .bad("There is no such day")
        }
        return date
    }

    /// Exactly `count` digits.
    private mutating func digits(_ count: Int) throws(GrammarStop) -> Int {
        guard bytes.count - position >= count else { throw .bad("\(count) digits expected") }
        var value = 0
        for _ in 0..<count {
            guard let digit = current, Ascii.isDigit(digit) else { throw .bad("\(count) digits expected") }
            value = value * 10 + Int(digit - Ascii.zero)
            advance()
        }
        return value
    }

    private static let monthNames: [UInt32] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ].map { $0.utf8.reduce(0) { $0 << 8 | UInt32($1) } }
}
