/// Walks over the arguments of one command line. It borrows the caller's buffer and must not outlive the call.
struct ArgumentCursor {
    let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }
    var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func advance() { position += 1 }

    /// Steps over `octet` when it stands here.
    mutating func skip(_ octet: UInt8) -> Bool {
        guard current == octet else { return false }
        position += 1
        return true
    }

    mutating func skipSpaces() {
        while current == Ascii.space || current == Ascii.tab { position += 1 }
    }

    /// Steps over `word`, given in upper case, in any case.
    mutating func skip(word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard bytes.count - position >= count else { return false }
        for offset in 0..<count where Ascii.uppercased(bytes[position + offset]) != word.utf8Start[offset] {
            return false
        }
        position += count
        return true
    }

    /// The octets from here on that satisfy `isPart`; perhaps none.
    mutating func take(while isPart: (UInt8) -> Bool) -> UnsafeRawBufferPointer {
        let start = position
        while position < bytes.count, isPart(bytes[position]) { position += 1 }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<position])
    }

    /// Everything from here on, without spaces at either end.
    mutating func rest() -> UnsafeRawBufferPointer {
        skipSpaces()
        var end = bytes.count
        while end > position, bytes[end - 1] == Ascii.space || bytes[end - 1] == Ascii.tab { end -= 1 }
        let slice = UnsafeRawBufferPointer(rebasing: bytes[position..<end])
        position = bytes.count
        return slice
    }
}
