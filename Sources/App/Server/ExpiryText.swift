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
            (1970...9999).contains(year), let date = CalendarDay(year: Int(year), month: Int(month), day: Int(day))
        else { return nil }
        return Timestamp(seconds: (Int64(date.daysSince1970) + 1) * 86_400)
    }

    private static func number(_ text: Substring) -> Int64? {
        guard (1...9).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int64(text)
    }
}
