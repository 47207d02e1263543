import Octets

/// Counts the `Received` fields of a message as its octets go by, in any pieces, and stops at the end of the header
/// (RFC 5321 section 6.3). Lines may end in CRLF or LF.
package struct HopCounter: Sendable {
    private static let name = Array("RECEIVED:".utf8)

    /// `Received` fields seen so far.
    package private(set) var count = 0
    /// The header is over; what follows is not looked at.
    package private(set) var isDone = false

    private var column = 0
    /// The line, so far, spells the field name.
    private var matches = true
    /// The line is so far nothing but a CR.
    private var isOnlyCarriageReturn = false

    package init() {}

    package mutating func read(_ bytes: UnsafeRawBufferPointer) {
        var index = 0
        while index < bytes.count, !isDone {
            if column > 0, !matches, !isOnlyCarriageReturn {
                guard let lineFeed = bytes.firstIndex(of: Ascii.lineFeed, in: index..<bytes.count) else { return }
                index = lineFeed
            }
            take(bytes[index])
            index += 1
        }
    }

    private mutating func take(_ octet: UInt8) {
        if octet == Ascii.lineFeed {
            isDone = column == 0 || isOnlyCarriageReturn
            column = 0
            matches = true
            isOnlyCarriageReturn = false
            return
        }
        isOnlyCarriageReturn = column == 0 && octet == Ascii.carriageReturn
        matches = matches && Ascii.uppercased(octet) == Self.name[column]
        column += 1
        if matches, column == Self.name.count {
            count += 1
            matches = false
        }
    }
}
