import Octets

/// Looks for a CR or LF outside a CRLF in octets that are not dot-stuffed, however they are cut up.
struct LineEndReader: Sendable {
    private var isAfterCarriageReturn = false
    private(set) var hasBare = false
    private(set) var hasNUL = false

    mutating func read(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else { return }
        if !hasNUL, bytes.firstIndex(of: Ascii.nul, in: 0..<bytes.count) != nil { hasNUL = true }
        guard !hasBare else { return }
        if isAfterCarriageReturn, bytes[0] != Ascii.lineFeed { hasBare = true }
        var position = 0
        while position < bytes.count {
            let lineFeed = bytes.firstIndex(of: Ascii.lineFeed, in: position..<bytes.count) ?? bytes.count
            let isPrecededByCarriageReturn =
                lineFeed > position
                ? bytes[lineFeed - 1] == Ascii.carriageReturn : position == 0 && isAfterCarriageReturn
            if lineFeed < bytes.count, !isPrecededByCarriageReturn { hasBare = true }
            // A CR anywhere but before the LF, or as the last octet, which the next call judges.
            let plainEnd = lineFeed > position ? lineFeed - 1 : position
            if bytes.firstIndex(of: Ascii.carriageReturn, in: position..<plainEnd) != nil { hasBare = true }
            position = lineFeed + 1
        }
        isAfterCarriageReturn = bytes[bytes.count - 1] == Ascii.carriageReturn
    }

    /// At the end of the content: whether a CR stands there without its LF.
    mutating func finish() -> Bool {
        if isAfterCarriageReturn { hasBare = true }
        return hasBare
    }
}
