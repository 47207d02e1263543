import MailTypes

/// The date-time of RFC 5322 section 3.3, such as `Tue, 1 Jul 2003 10:52:37 +0200`.
package enum MailDate {
    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// In the zone that `date` carries. Proleptic Gregorian; years 1...9999 give four digits.
    package static func text(_ date: InternalDate) -> String {
        let local = Timestamp(seconds: date.time.seconds + Int64(date.zoneMinutes) * 60)
        let (year, month, day) = civil(local.days)
        let second = Int(local.seconds - local.days * 86_400)
        let weekday = weekdays[Int(((local.days % 7) + 7) % 7)]
        let zone = abs(Int(date.zoneMinutes))
        return "\(weekday), \(day) \(months[month - 1]) \(digits(year, 4)) "
            + "\(digits(second / 3600, 2)):\(digits(second / 60 % 60, 2)):\(digits(second % 60, 2)) "
            + "\(date.zoneMinutes < 0 ? "-" : "+")\(digits(zone / 60, 2))\(digits(zone % 60, 2))"
    }

    /// Year, month (1...12) and day (1...31) of a day counted from 1970-01-01. Counts in years that begin in March, so
    /// that the leap day is the last.
    static func civil(_ days: Int64) -> (year: Int, month: Int, day: Int) {
        let sinceMarch0000 = Int(days) + 719_468
        let era = (sinceMarch0000 >= 0 ? sinceMarch0000 : sinceMarch0000 - 146_096) / 146_097
        let dayOfEra = sinceMarch0000 - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    static func digits(_ value: Int, _ count: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
