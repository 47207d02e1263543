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
        guard (1...9999).contains(year), (1...12).contains(month), (1...daysInMonth).contains(day),
            (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second)
        else { return nil }
        let seconds = Int64(daysSince1970) * 86_400 + Int64(hour * 3600 + minute * 60 + second - zoneMinutes * 60)
        return Timestamp(seconds: seconds)
    }

    private var isLeapYear: Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private var daysInMonth: Int {
        switch month {
        case 2: isLeapYear ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Whole years before this one, then the months of this one.
    private var daysSince1970: Int {
        let before = year - 1
        let dayOfYear = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month - 1]
        let leapDay = month > 2 && isLeapYear ? 1 : 0
        return before * 365 + before / 4 - before / 100 + before / 400 + dayOfYear + leapDay + day - 1 - 719_162
    }
}
