import MailTypes

/// `date-time` (RFC 9051 section 9): `"17-Jul-1996 02:44:25 -0700"`, in the zone it was given in.
package enum DateText {
    package static func append(_ date: InternalDate, to output: inout [UInt8]) {
        let zone = Int(date.zoneMinutes)
        // Years beyond four digits cannot be written.
        let local = min(max(date.time.seconds + Int64(zone) * 60, -62_167_219_200), 253_402_300_799)
        var days = local / 86_400
        var second = Int(local % 86_400)
        if second < 0 {
            second += 86_400
            days -= 1
        }
        let day = CalendarDay(daysSince1970: Int32(days)).yearMonthDay
        output.append(Ascii.quote)
        if day.day < 10 {
            output.append(Ascii.space)
            output.put(decimal: UInt32(day.day))
        } else {
            output.put(twoDigits: day.day)
        }
        output.append(Ascii.minus)
        output.put(months[day.month - 1])
        output.append(Ascii.minus)
        output.put(twoDigits: day.year / 100)
        output.put(twoDigits: day.year % 100)
        output.append(Ascii.space)
        output.put(twoDigits: second / 3_600)
        output.append(Ascii.colon)
        output.put(twoDigits: second / 60 % 60)
        output.append(Ascii.colon)
        output.put(twoDigits: second % 60)
        output.append(Ascii.space)
        output.append(zone < 0 ? Ascii.minus : Ascii.plus)
        output.put(twoDigits: min(abs(zone), 99 * 60 + 59) / 60)
        output.put(twoDigits: abs(zone) % 60)
        output.append(Ascii.quote)
    }

    private static let months: [StaticString] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
}
