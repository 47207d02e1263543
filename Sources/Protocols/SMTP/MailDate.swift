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
        let (year, month, day) = CalendarDay.yearMonthDay(Int(local.days))
        let second = Int(local.seconds - local.days * 86_400)
        let weekday = weekdays[Int(((local.days % 7) + 7) % 7)]
        let zone = abs(Int(date.zoneMinutes))
        return "\(weekday), \(day) \(months[month - 1]) \(digits(year, 4)) "
            + "\(digits(second / 3600, 2)):\(digits(second / 60 % 60, 2)):\(digits(second % 60, 2)) "
            + "\(date.zoneMinutes < 0 ? "-" : "+")\(digits(zone / 60, 2))\(digits(zone % 60, 2))"
    }

    static func digits(_ value: Int, _ count: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
