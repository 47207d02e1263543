// Looking at octets as the ASCII text of a header.
import Glibc

extension UInt8 {
    /// Space or tab.
    @inline(__always) var isBlank: Bool { self == 32 || self == 9 }
    /// Space, tab, CR or LF: what stands between words of a folded field.
    @inline(__always) var isSpace: Bool { self == 32 || self == 9 || self == 13 || self == 10 }
    /// The lower-case letter of an upper-case one.
    @inline(__always) var lowered: UInt8 { (65...90).contains(self) ? self | 0x20 : self }
}

extension UnsafeRawBufferPointer {
    /// Whether it is `text`, which is in lower case, in any case.
    @inline(__always)
    func equalsIgnoringCase(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        let expected = text.utf8Start
        for index in 0..<count where self[index].lowered != expected[index] { return false }
        return true
    }

    /// The first place of an octet from `start` on.
    @inline(__always)
    func position(of octet: UInt8, from start: Int) -> Int? {
        guard start < count, let base = baseAddress,
            let found = memchr(base + start, Int32(octet), count - start)
        else { return nil }
        return UnsafeRawPointer(found) - base
    }

    @inline(__always)
    func slice(_ start: Int, _ end: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self[start..<end])
    }

    /// Without spaces and line ends at both ends.
    @inline(__always)
    var trimmed: UnsafeRawBufferPointer {
        var start = 0
        var end = count
        while start < end, self[start].isSpace { start += 1 }
        while end > start, self[end - 1].isSpace { end -= 1 }
        return slice(start, end)
    }
}

extension UnsafeRawBufferPointer {
    /// Octet order, a prefix before what it begins.
    package func precedes(_ other: UnsafeRawBufferPointer) -> Bool {
        let common = Swift.min(count, other.count)
        if common > 0, let a = baseAddress, let b = other.baseAddress {
            let order = memcmp(a, b, common)
            if order != 0 { return order < 0 }
        }
        return count < other.count
    }
}

extension [UInt8] {
    func equalsIgnoringCase(_ text: StaticString) -> Bool {
        withUnsafeBytes { $0.equalsIgnoringCase(text) }
    }

    /// Takes the body of a field without its folds (RFC 5322 section 2.2.3), without spaces at its ends, and without NUL,
    /// which no string of IMAP can hold.
    mutating func appendUnfolded(_ body: UnsafeRawBufferPointer) {
        let body = body.trimmed
        guard
            body.position(of: 10, from: 0) != nil || body.position(of: 13, from: 0) != nil
                || body.position(of: 0, from: 0) != nil
        else { return append(contentsOf: body) }
        reserveCapacity(count + body.count)
        for octet in body where octet != 13 && octet != 10 && octet != 0 { append(octet) }
    }

    static func unfolding(_ body: UnsafeRawBufferPointer) -> [UInt8] {
        var text: [UInt8] = []
        text.appendUnfolded(body)
        return text
    }
}
