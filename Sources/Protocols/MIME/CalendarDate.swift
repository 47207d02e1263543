import MailTypes

/// A day and time of the proleptic Gregorian calendar, to be made into a moment.
struct CalendarDate {
    /// 1...9999.
    var year: Int
    /// 1...12.
    var month: Int
    var day: Int
    var hour = 0
    var minute = 0
    /// 0...60; a leap second counts as the first of the next minute.
    var second = 0

    private static let monthNames = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ]

    /// The number of a month by its first three letters in any case.
    static func month(_ name: some Collection<UInt8>) -> Int? {
        guard name.count == 3 else { return nil }
        let folded = String(decoding: name.map { $0 | 0x20 }, as: UTF8.self)
        return monthNames.firstIndex(of: folded).map { $0 + 1 }
    }

    /// Nil when there is no such day or time.
    func moment(zoneMinutes: Int) -> Timestamp? {
        guard year >= 1, let date = CalendarDay(year: year, month: month, day: day),
            (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second)
        else { return nil }
        let seconds = Int64(date.daysSince1970) * 86_400 + Int64(hour * 3600 + minute * 60 + second - zoneMinutes * 60)
        return Timestamp(seconds: seconds)
    }
}
