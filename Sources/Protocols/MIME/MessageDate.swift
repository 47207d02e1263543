// The date-time of RFC 5322 sections 3.3 and 4.3, read from a `Date:` field. Old forms that mail still has are taken:
// two-digit years, zones by name, no seconds, no day of the week, comments anywhere.
import MailTypes

package enum MessageDate {
    /// - Parameter text: the body of the field; folded lines may still be folded.
    /// - Returns: nil when it is no date; a wrong day of the week is not looked at.
    package static func parse(_ text: some Collection<UInt8>) -> InternalDate? {
        guard text.count <= MIMELimits.dateOctetsMax, let words = words(of: Array(text)) else { return nil }
        var rest = words[...]
        // The day of the week, with or without its comma.
        if let first = rest.first, first.allSatisfy(isLetter), CalendarDate.month(first) == nil { rest.removeFirst() }
        if rest.first == [44] { rest.removeFirst() }
        guard let day = rest.popFirst().flatMap({ number($0, digits: 1...2) }),
            let month = rest.popFirst().flatMap({ CalendarDate.month($0.prefix(3)) }),
            let year = rest.popFirst().flatMap(year), let time = rest.popFirst(),
            var date = clock(time)
        else { return nil }
        (date.day, date.month, date.year) = (day, month, year)
        let zone = rest.popFirst().map(zoneMinutes) ?? 0
        guard let zone, rest.isEmpty, let moment = date.moment(zoneMinutes: zone) else { return nil }
        return InternalDate(time: moment, zoneMinutes: Int16(zone))
    }

    package static func parse(_ text: String) -> InternalDate? { parse(Array(text.utf8)) }

    /// Runs without blanks, commas and comments; a comma is a word of its own. Nil when a comment does not end.
    private static func words(of text: [UInt8]) -> [[UInt8]]? {
        var words: [[UInt8]] = []
        var word: [UInt8] = []
        var depth = 0
        var isQuoted = false
        for octet in text {
            if depth > 0 {
                if isQuoted {
                    isQuoted = false
                } else if octet == 92 {
                    isQuoted = true
                } else if octet == 40 {
                    depth += 1
                } else if octet == 41 {
                    depth -= 1
                }
                guard depth <= MIMELimits.commentDepthMax else { return nil }
                continue
            }
            switch octet {
            case 32, 9, 13, 10, 40, 44:
                if !word.isEmpty { words.append(word) }
                word = []
                if octet == 44 { words.append([44]) }
                if octet == 40 { depth = 1 }
            default: word.append(octet)
            }
        }
        if !word.isEmpty { words.append(word) }
        return depth == 0 ? words : nil
    }

    private static func isLetter(_ octet: UInt8) -> Bool { (97...122).contains(octet | 0x20) }

    static func number(_ word: some Collection<UInt8>, digits: ClosedRange<Int>) -> Int? {
        guard digits.contains(word.count), word.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return word.reduce(0) { $0 * 10 + Int($1 - 48) }
    }

    /// RFC 5322 section 4.3: 00...49 is 2000...2049, 50...999 counts from 1900.
    private static func year(_ word: [UInt8]) -> Int? {
        guard let year = number(word, digits: 2...4) else { return nil }
        switch word.count {
        case 2: return year + (year < 50 ? 2000 : 1900)
        case 3: return year + 1900
        default: return year
        }
    }

    /// `21:54` or `21:54:06`; the day is filled in by the caller.
    static func clock(_ word: [UInt8]) -> CalendarDate? {
        let parts = word.split(separator: 58, omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count), let hour = number(parts[0], digits: 1...2),
            let minute = number(parts[1], digits: 2...2)
        else { return nil }
        var date = CalendarDate(year: 1, month: 1, day: 1, hour: hour, minute: minute)
        if parts.count == 3 {
            guard let second = number(parts[2], digits: 2...2) else { return nil }
            date.second = second
        }
        return date
    }

    /// Minutes east of UTC. Names other than those of RFC 5322 section 4.3 say nothing, and count as UTC.
    static func zoneMinutes(_ word: [UInt8]) -> Int? {
        if word.first == 43 || word.first == 45 {
            guard let value = number(word.dropFirst(), digits: 4...4), value % 100 < 60, value < 2400 else {
                return nil
            }
            let minutes = value / 100 * 60 + value % 100
            return word.first == 45 ? -minutes : minutes
        }
        guard word.allSatisfy(isLetter) else { return nil }
        switch String(decoding: word, as: UTF8.self).uppercased() {
        case "EDT": return -4 * 60
        case "EST", "CDT": return -5 * 60
        case "CST", "MDT": return -6 * 60
        case "MST", "PDT": return -7 * 60
        case "PST": return -8 * 60
        default: return 0
        }
    }
}
