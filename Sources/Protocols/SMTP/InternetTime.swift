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
            let second = number(octets[17..<19]), year >= 1970, (1...12).contains(month),
            (1...daysOf(month, year)).contains(day), hour < 24, minute < 60, second <= 60
        else { return nil }
        var hasFraction = false
        let fraction = octets[19..<(octets.count - 1)]
        if let first = fraction.first {
            guard first == Ascii.dot, fraction.count > 1, fraction.dropFirst().allSatisfy(Ascii.isDigit) else {
                return nil
            }
            hasFraction = fraction.dropFirst().contains { $0 != Ascii.zero }
        }
        let days = daysBefore(year) + (1..<month).reduce(0) { $0 + daysOf($1, year) } + day - 1
        return ((days * 24 + hour) * 60 + minute) * 60 + second + (hasFraction ? 1 : 0)
    }

    /// - Precondition: `seconds` lies in the years 1970 to 9999.
    package static func text(_ seconds: Int) -> String {
        let (days, rest) = seconds.quotientAndRemainder(dividingBy: 86_400)
        let (year, month, day) = MailDate.civil(Int64(days))
        let time = [rest / 3_600, rest / 60 % 60, rest % 60].map { MailDate.digits($0, 2) }
        return "\(MailDate.digits(year, 4))-\(MailDate.digits(month, 2))-\(MailDate.digits(day, 2))T"
            + time.joined(separator: ":") + "Z"
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard digits.allSatisfy(Ascii.isDigit) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - Ascii.zero) }
    }

    private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func daysOf(_ month: Int, _ year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// From the first day of 1970 to the first of `year`.
    private static func daysBefore(_ year: Int) -> Int {
        let past = year - 1
        return (year - 1970) * 365 + (past / 4 - past / 100 + past / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400)
    }
}
