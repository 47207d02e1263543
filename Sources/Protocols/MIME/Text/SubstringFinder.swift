// Finds one run of octets in others, at the speed of memchr(3) on ordinary text, and in linear time on any.
//
// The octet of the needle that is rarest in mail is looked for, and the rest compared where it is found. Where that
// compares more than it should, as in `AAAA` within `AAAAAAAA`, the search goes on by Knuth, Morris and Pratt's method.
//
// memmem(3) would do; the Glibc module does not declare it.
import Glibc

struct SubstringFinder: Sendable {
    let needle: [UInt8]
    /// The place in the needle of the octet that is looked for.
    private let rarest: Int
    /// For each octet the length of the longest beginning of the needle that ends there; made at need.
    private var borders: [Int32] = []

    init(_ needle: [UInt8]) {
        self.needle = needle
        rarest = needle.indices.min { Self.frequency(needle[$0]) < Self.frequency(needle[$1]) } ?? 0
    }

    /// How frequent an octet is in prepared text, roughly.
    private static func frequency(_ octet: UInt8) -> Int {
        switch octet {
        case 32: 255
        case 65, 69, 73, 78, 79, 82, 83, 84: 200
        case 65...90: 120
        case 10, 13, 44, 46: 100
        case 48...57: 60
        case 0x80...0xBF: 90
        case 0xC0...0xFF: 70
        default: 30
        }
    }

    /// Whether the needle is in `text`.
    mutating func isFound(in text: UnsafeRawBufferPointer) -> Bool {
        guard !needle.isEmpty else { return true }
        guard needle.count <= text.count, let base = text.baseAddress else { return false }
        let last = text.count - needle.count
        let wanted = Int32(needle[rarest])
        var position = 0
        var work = 0
        while position <= last {
            guard let found = memchr(base + position + rarest, wanted, last - position + 1) else { return false }
            position = UnsafeRawPointer(found) - base - rarest
            let same = needle.withUnsafeBytes { Self.common(base + position, $0.baseAddress!, $0.count) }
            if same == needle.count { return true }
            work += same + 8
            position += 1
            if work > 4096, work > position * 4 { return searchLinearly(text.slice(position, text.count)) }
        }
        return false
    }

    /// Octets at the beginning that are the same.
    @inline(__always)
    private static func common(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Int {
        var index = 0
        while index < count,
            a.load(fromByteOffset: index, as: UInt8.self) == b.load(fromByteOffset: index, as: UInt8.self)
        {
            index += 1
        }
        return index
    }

    private mutating func searchLinearly(_ text: UnsafeRawBufferPointer) -> Bool {
        if borders.isEmpty { borders = makeBorders() }
        var matched = 0
        for octet in text {
            while matched > 0, needle[matched] != octet { matched = Int(borders[matched - 1]) }
            if needle[matched] == octet { matched += 1 }
            if matched == needle.count { return true }
        }
        return false
    }

    private func makeBorders() -> [Int32] {
        var borders = [Int32](repeating: 0, count: needle.count)
        var length = 0
        for index in needle.indices.dropFirst() {
            while length > 0, needle[length] != needle[index] { length = Int(borders[length - 1]) }
            if needle[length] == needle[index] { length += 1 }
            borders[index] = Int32(length)
        }
        return borders
    }
}
