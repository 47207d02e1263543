// The line that begins a message in an mbox: `From sender date`. The format has no standard beyond RFC 4155; what is
// taken here is the form that mailers write, and a line counts only when a date stands where it should.
import MailTypes

package struct MboxFromLine: Hashable, Sendable {
    /// What stands between `From ` and the date; may be empty or `MAILER-DAEMON`.
    package var sender: String
    /// asctime(3) says no zone, and RFC 4155 says that it is UTC.
    package var date: InternalDate

    /// - Parameter line: without its line end.
    /// - Returns: nil when the line does not begin a message.
    package init?(parsing line: some Collection<UInt8>) {
        let octets = Array(line)
        guard octets.starts(with: "From ".utf8), octets.count <= MIMELimits.lineOctetsMax else { return nil }
        let words = octets.dropFirst(5).split(whereSeparator: { $0 == 32 || $0 == 9 })
        // The date is `Tue Jul  1 10:52:37 2003`, with a zone before or after the year; the first that fits is it.
        for start in words.indices.prefix(Self.senderWordsMax) {
            guard let date = Self.date(Array(words[start...])) else { continue }
            sender = String(decoding: Array(words[..<start].joined(separator: [32])), as: UTF8.self)
            self.date = date
            return
        }
        return nil
    }

    /// Blanks are allowed in a quoted local part.
    private static let senderWordsMax = 8

    private static func date(_ words: [ArraySlice<UInt8>]) -> InternalDate? {
        guard words.count >= 5, words[0].count == 3, isWeekday(words[0]), let month = CalendarDate.month(words[1]),
            let day = MessageDate.number(words[2], digits: 1...2), var date = MessageDate.clock(Array(words[3]))
        else { return nil }
        (date.month, date.day) = (month, day)
        var zone = 0
        var at = 4
        // `10:52:37 MET DST 2003`, `10:52:37 +0200 2003`.
        while at < words.count - 1, MessageDate.number(words[at], digits: 4...4) == nil, at < 6 {
            guard let minutes = MessageDate.zoneMinutes(Array(words[at])) else { return nil }
            if zone == 0 { zone = minutes }
            at += 1
        }
        guard let year = MessageDate.number(words[at], digits: 4...4) else { return nil }
        date.year = year
        // `2003 +0200`.
        if words.count > at + 1, let minutes = MessageDate.zoneMinutes(Array(words[at + 1])) { zone = minutes }
        guard let moment = date.moment(zoneMinutes: zone) else { return nil }
        return InternalDate(time: moment, zoneMinutes: Int16(zone))
    }

    private static func isWeekday(_ word: ArraySlice<UInt8>) -> Bool {
        let folded = String(decoding: word.map { $0 | 0x20 }, as: UTF8.self)
        return ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].contains(folded)
    }
}
