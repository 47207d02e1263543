import MailTypes

/// When something ends, as people write it: `90d` from now, or `2027-01-31`, the end of that day in UTC.
package enum ExpiryText {
    private static let daysMax: Int64 = 36_500

    /// In milliseconds since 1970; nil when the text is neither form.
    package static func milliseconds(_ text: String) -> Int64? { timestamp(text, from: .now)?.rawValue }

    package static func timestamp(_ text: String, from now: Timestamp) -> Timestamp? {
        if text.hasSuffix("d"), let days = number(text.dropLast()), (1...daysMax).contains(days) {
            return Timestamp(seconds: now.seconds + days * 86_400)
        }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].count == 4, parts[1].count == 2, parts[2].count == 2,
            let year = number(parts[0]), let month = number(parts[1]), let day = number(parts[2]),
            (1970...9999).contains(year), (1...12).contains(month), (1...length(month, of: year)).contains(day)
        else { return nil }
        return Timestamp(seconds: (days(year, month, day) + 1) * 86_400)
    }

    private static func number(_ text: Substring) -> Int64? {
        guard (1...9).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int64(text)
    }

    private static func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func length(_ month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Whole days since 1970-01-01.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let past = (1970..<year).reduce(Int64(0)) { $0 + (isLeap($1) ? 366 : 365) }
        return past + (1..<month).reduce(Int64(0)) { $0 + length($1, of: year) } + day - 1
    }
}
