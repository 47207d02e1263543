import MailTypes

/// Dates of RFC 3339 in UTC, with seconds since 1970 as their value.
package enum InternetTime {
    /// `2026-11-26T01:30:00Z`, with or without a fraction of a second, which rounds up; nil for anything else, other zones
    /// and years before 1970 included.
    package static func seconds(_ text: String) -> Int? {
        let octets = Array(text.utf8)
        guard (20...SMTPLimits.internetTimeOctetsMax).contains(octets.count), octets[4] == Ascii.hyphen,
            octets[7] == Ascii.hyphen, octets[10] | 0x20 == 0x74, octets[13] == Ascii.colon,
            octets[16] == Ascii.colon, octets[octets.count - 1] | 0x20 == 0x7A,
            let year = number(octets[0..<4]), let month = number(octets[5..<7]), let day = number(octets[8..<10]),
            let hour = number(octets[11..<13]), let minute = number(octets[14..<16]),
            let second = number(octets[17..<19]), year >= 1970,
            let date = CalendarDay(year: year, month: month, day: day), hour < 24, minute < 60, second <= 60
        else { return nil }
        var hasFraction = false
        let fraction = octets[19..<(octets.count - 1)]
        if let first = fraction.first {
            guard first == Ascii.dot, fraction.count > 1, fraction.dropFirst().allSatisfy(Ascii.isDigit) else {
                return nil
            }
            hasFraction = fraction.dropFirst().contains { $0 != Ascii.zero }
        }
        return ((Int(date.daysSince1970) * 24 + hour) * 60 + minute) * 60 + second + (hasFraction ? 1 : 0)
    }

    /// - Precondition: `seconds` lies in the years 1970 to 9999.
    package static func text(_ seconds: Int) -> String {
        let (days, rest) = seconds.quotientAndRemainder(dividingBy: 86_400)
        let (year, month, day) = CalendarDay.yearMonthDay(days)
        let time = [rest / 3_600, rest / 60 % 60, rest % 60].map { MailDate.digits($0, 2) }
        return "\(MailDate.digits(year, 4))-\(MailDate.digits(month, 2))-\(MailDate.digits(day, 2))T"
            + time.joined(separator: ":") + "Z"
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard digits.allSatisfy(Ascii.isDigit) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - Ascii.zero) }
    }
}
