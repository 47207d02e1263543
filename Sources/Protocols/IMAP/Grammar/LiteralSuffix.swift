/// What stands at the end of a line that a literal follows: `{n}` or `{n+}` (RFC 9051 section 4.3, RFC 7888). No text
/// that is legal in a command ends so otherwise, so a line needs no grammar to be seen as unfinished, and a command that
/// was refused is passed over to its true end.
struct LiteralSuffix: Equatable {
    /// `UInt64.max` stands for more than 63 bits.
    var octets: UInt64
    /// The client waits to be asked.
    var isSynchronizing: Bool

    /// The most octets that a suffix can have, with the line end; longer runs of digits are none.
    static let octetsMax = 32

    init(octets: UInt64, isSynchronizing: Bool) {
        self.octets = octets
        self.isSynchronizing = isSynchronizing
    }

    /// - Parameter line: with or without its line end; its last `octetsMax` octets are enough.
    init?(endOf line: UnsafeRawBufferPointer) {
        var end = line.count
        if end > 0, line[end - 1] == Ascii.lineFeed { end -= 1 }
        if end > 0, line[end - 1] == Ascii.carriageReturn { end -= 1 }
        guard end > 0, line[end - 1] == Ascii.closeBrace else { return nil }
        end -= 1
        isSynchronizing = true
        if end > 0, line[end - 1] == Ascii.plus {
            isSynchronizing = false
            end -= 1
        }
        var start = end
        while start > 0, end - start <= 20, Ascii.isDigit(line[start - 1]) { start -= 1 }
        guard start < end, start > 0, line[start - 1] == Ascii.openBrace else { return nil }
        var value: UInt64 = 0
        for index in start..<end {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(line[index] - Ascii.zero))
            if overflow || carry || sum > UInt64(Int64.max) {
                octets = .max
                return
            }
            value = sum
        }
        octets = value
    }
}
