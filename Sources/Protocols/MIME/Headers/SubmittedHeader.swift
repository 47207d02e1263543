// The header of a message that its author hands in (RFC 6409 section 8): what it lacks is added, what others are not to
// see is left out, and who it says it is from is told.
//
// Fields that stay are the octets that came, in their order.

package struct SubmittedHeader: Sendable {
    /// Of every From field; empty when there is none that can be read.
    package private(set) var from: [EmailAddress] = []
    package private(set) var sender: [EmailAddress] = []
    /// A From field is there, readable or not.
    package private(set) var hasFrom = false
    package private(set) var hasDate = false
    package private(set) var hasMessageID = false
    /// The fields that stay, and the empty line.
    private var kept: [UInt8] = []

    /// - Parameter header: whole, with its empty line where it has one.
    package init(_ header: [UInt8]) {
        kept.reserveCapacity(header.count)
        header.withUnsafeBytes { read($0) }
    }

    private mutating func read(_ header: UnsafeRawBufferPointer) {
        var fields = HeaderFields(header)
        var position = 0
        while let field = fields.next() {
            position += field.lines.count
            // RFC 5322 section 3.6.3: the blind copies are nobody's to see. Return-Path is the last host's to write (RFC
            // 5321 section 4.4).
            if field.name.equalsIgnoringCase("bcc") || field.name.equalsIgnoringCase("resent-bcc")
                || field.name.equalsIgnoringCase("return-path")
            {
                continue
            }
            if field.name.equalsIgnoringCase("date") { hasDate = true }
            if field.name.equalsIgnoringCase("message-id") { hasMessageID = true }
            if field.name.equalsIgnoringCase("from") {
                hasFrom = true
                from += Envelope(header: field.lines).from
            }
            if field.name.equalsIgnoringCase("sender") { sender += Envelope(header: field.lines).sender }
            kept += field.lines
        }
        kept += header[position...]
    }

    /// - Parameters:
    ///   - date: for a Date field, where there is none.
    ///   - messageID: the same for Message-ID, without its brackets.
    ///   - author: the same for From.
    package func octets(date: String, messageID: String, author: String) -> [UInt8] {
        var added = hasFrom ? "" : "From: \(author)\r\n"
        if !hasDate { added += "Date: \(date)\r\n" }
        if !hasMessageID { added += "Message-ID: <\(messageID)>\r\n" }
        return Array(added.utf8) + kept
    }
}
