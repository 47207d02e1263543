// Dates of messages and of mbox `From ` lines: never a trap, and a date that was read and is written as RFC 5322 has it
// reads as the same moment in the same zone.
import MIME
import MailTypes
import SMTP

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDate(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    if let date = MessageDate.parse(input) {
        checkWritten(date)
        // Blanks and comments mean nothing (RFC 5322 section 3.2.2), but for the room that they take.
        if input.count <= MIMELimits.dateOctetsMax - 8 {
            precondition(MessageDate.parse(Array("(a(b)) ".utf8) + input + [32]) == date, "a comment matters")
        }
    }
    if let line = MboxFromLine(parsing: Array("From ".utf8) + input) {
        precondition(line.date.time.seconds % 1 == 0 && abs(Int(line.date.zoneMinutes)) < 1_440)
        checkWritten(line.date)
    }
    return 0
}

private func checkWritten(_ date: InternalDate) {
    precondition(abs(Int(date.zoneMinutes)) < 1_440, "a zone of more than a day")
    let text = MailDate.text(date)
    // The leap second that ends the year 9999 is in a year of five digits.
    if text.contains(" 10000 ") { return }
    precondition(MessageDate.parse(text) == date, "a date is written as another")
}
