// The preparation of i;unicode-casemap (RFC 5051 section 2): titlecase, then decomposition, in UTF-8. What was prepared
// is compared octet by octet; SEARCH, SORT and THREAD use it (RFC 5255 section 4, I18NLEVEL=1).
//
// Octets that are no UTF-8 stay as they are, and the rest is prepared all the same. RFC 5051 leaves the whole string
// unprepared then, which would make one broken octet hide a message of any length.

/// Where each character goes.
struct CaseMapping: Sendable {
    static let shared = CaseMapping(CaseMapTable.text)

    /// For each 256 characters the index of their page; 0 is the page without entries.
    private var pages: [UInt16]
    /// For each character of a page: 0 when it stays; the character it goes to; or, with the upper bit set, where its
    /// target is, times 256, plus its octets.
    private var entries: [UInt32]
    /// UTF-8, of those that go to several characters.
    private var targets: [UInt8] = []

    private init(_ text: StaticString) {
        pages = [UInt16](repeating: 0, count: 0x110000 >> 8)
        entries = [UInt32](repeating: 0, count: 256)
        let octets = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        for token in octets.split(whereSeparator: { $0 <= 32 }) { add(String(decoding: token, as: UTF8.self)) }
    }

    private mutating func add(_ token: String) {
        let halves = token.split(separator: ":")
        let to = halves[1].split(separator: ",").map { Self.code($0) }
        let from = halves[0].split(whereSeparator: { $0 == "-" || $0 == "/" })
        guard from.count == 3, let step = Int(from[2]) else { return set(Self.code(from[0]), to) }
        let first = Self.code(from[0])
        for code in stride(from: first, through: Self.code(from[1]), by: step) { set(code, [to[0] + code - first]) }
    }

    private static func code(_ text: Substring) -> Int {
        guard let code = Int(text, radix: 16) else { preconditionFailure("the table is not as it was made") }
        return code
    }

    private mutating func set(_ code: Int, _ to: [Int]) {
        if pages[code >> 8] == 0 {
            pages[code >> 8] = UInt16(entries.count >> 8)
            entries.append(contentsOf: repeatElement(0, count: 256))
        }
        let place = Int(pages[code >> 8]) << 8 | code & 255
        guard to.count > 1 else { return entries[place] = UInt32(to[0]) }
        let start = targets.count
        for scalar in to.compactMap({ Unicode.Scalar(UInt32($0)) }) { targets.append(contentsOf: UTF8.encode(scalar)!) }
        entries[place] = 1 << 31 | UInt32(start << 8 | (targets.count - start))
    }

    /// Appends what a character outside ASCII goes to; false when it stays.
    @inline(__always)
    func append(_ code: Int, to out: inout [UInt8]) -> Bool {
        let entry = entries[Int(pages[code >> 8]) << 8 | code & 255]
        guard entry != 0 else { return false }
        if entry >> 31 == 0 {
            out.appendCharacter(entry)
        } else {
            let start = Int(entry & 0x7FFF_FFFF) >> 8
            for index in start..<start + Int(entry & 255) { out.append(targets[index]) }
        }
        return true
    }
}

/// Prepares text that comes in pieces.
package struct CaseFolder: Sendable {
    /// A character whose end is yet to come.
    private var pending: [UInt8] = []
    private let mapping = CaseMapping.shared

    package init() {}

    /// What `text` is prepared to.
    package static func fold(_ text: some Collection<UInt8>) -> [UInt8] {
        Array(text).withUnsafeBytes { fold($0) }
    }

    package static func fold(_ text: UnsafeRawBufferPointer) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        if text.asciiPrefix(from: 0) == text.count {
            out.appendUppercased(text)
            return out
        }
        var folder = CaseFolder()
        folder.fold(text, into: &out)
        folder.finish(into: &out)
        return out
    }

    package mutating func fold(_ piece: UnsafeRawBufferPointer, into out: inout [UInt8]) {
        var position = 0
        while !pending.isEmpty, position < piece.count {
            pending.append(piece[position])
            position += 1
            foldPending(into: &out, isEnd: false)
        }
        while position < piece.count {
            let run = piece.asciiPrefix(from: position)
            out.appendUppercased(piece.slice(position, position + run))
            position += run
            while position < piece.count, piece[position] >= 0x80 {
                let length = Self.length(piece[position])
                guard position + length <= piece.count else {
                    pending = Array(piece.slice(position, piece.count))
                    foldPending(into: &out, isEnd: false)
                    return
                }
                position += character(piece.slice(position, position + length), into: &out)
            }
        }
    }

    /// Begins again.
    mutating func reset() { pending.removeAll(keepingCapacity: true) }

    /// The text is at its end.
    package mutating func finish(into out: inout [UInt8]) { foldPending(into: &out, isEnd: true) }

    private mutating func foldPending(into out: inout [UInt8], isEnd: Bool) {
        while let first = pending.first {
            if first < 0x80 {
                out.append((97...122).contains(first) ? first ^ 0x20 : first)
                pending.removeFirst()
                continue
            }
            let length = Self.length(first)
            if pending.count < length, !isEnd { return }
            pending.removeFirst(
                pending.withUnsafeBytes { character($0.slice(0, Swift.min(length, $0.count)), into: &out) })
        }
    }

    /// Octets that a character has by its first; 1 for what is none.
    @inline(__always)
    private static func length(_ first: UInt8) -> Int {
        switch first {
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: 1
        }
    }

    /// One character, or one octet that is none. Answers how many octets were taken.
    @inline(__always)
    private func character(_ octets: UnsafeRawBufferPointer, into out: inout [UInt8]) -> Int {
        guard let code = Self.code(octets) else {
            out.append(octets[0])
            return 1
        }
        if !mapping.append(code, to: &out) {
            for octet in octets { out.append(octet) }
        }
        return octets.count
    }

    /// Nil when the octets are not one whole character of UTF-8 (RFC 3629 section 4).
    @inline(__always)
    private static func code(_ octets: UnsafeRawBufferPointer) -> Int? {
        let first = Int(octets[0])
        guard octets.count == length(octets[0]), octets.count > 1 else { return nil }
        for index in 1..<octets.count where octets[index] & 0xC0 != 0x80 { return nil }
        switch octets.count {
        case 2: return (first & 0x1F) << 6 | Int(octets[1] & 0x3F)
        case 3:
            let code = (first & 0x0F) << 12 | Int(octets[1] & 0x3F) << 6 | Int(octets[2] & 0x3F)
            return code >= 0x800 && !(0xD800...0xDFFF).contains(code) ? code : nil
        default:
            let code =
                (first & 0x07) << 18 | Int(octets[1] & 0x3F) << 12 | Int(octets[2] & 0x3F) << 6 | Int(octets[3] & 0x3F)
            return (0x10000...0x10FFFF).contains(code) ? code : nil
        }
    }
}

extension UnsafeRawBufferPointer {
    /// How many octets from `start` on are ASCII.
    func asciiPrefix(from start: Int) -> Int {
        var position = start
        while position + 8 <= count {
            if loadUnaligned(fromByteOffset: position, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 { break }
            position += 8
        }
        while position < count, self[position] < 0x80 { position += 1 }
        return position - start
    }
}

extension [UInt8] {
    /// Appends the UTF-8 of a character.
    @inline(__always)
    mutating func appendCharacter(_ code: UInt32) {
        if code < 0x80 {
            append(UInt8(truncatingIfNeeded: code))
        } else if code < 0x800 {
            append(UInt8(truncatingIfNeeded: 0xC0 | code >> 6))
            append(UInt8(truncatingIfNeeded: 0x80 | code & 0x3F))
        } else {
            if code < 0x10000 {
                append(UInt8(truncatingIfNeeded: 0xE0 | code >> 12))
            } else {
                append(UInt8(truncatingIfNeeded: 0xF0 | code >> 18))
                append(UInt8(truncatingIfNeeded: 0x80 | code >> 12 & 0x3F))
            }
            append(UInt8(truncatingIfNeeded: 0x80 | code >> 6 & 0x3F))
            append(UInt8(truncatingIfNeeded: 0x80 | code & 0x3F))
        }
    }

    /// Appends ASCII in upper case.
    mutating func appendUppercased(_ run: UnsafeRawBufferPointer) {
        let start = count
        append(contentsOf: run)
        withUnsafeMutableBytes { all in
            var position = start
            while position + 8 <= all.count {
                let octets = all.loadUnaligned(fromByteOffset: position, as: UInt64.self)
                // The upper bit of each octet from `a` on, without those beyond `z`; no sum carries, for all are ASCII.
                let isLower =
                    (octets &+ 0x1F1F_1F1F_1F1F_1F1F) & ~(octets &+ 0x0505_0505_0505_0505) & 0x8080_8080_8080_8080
                all.storeBytes(of: octets ^ isLower >> 2, toByteOffset: position, as: UInt64.self)
                position += 8
            }
            while position < all.count {
                if all[position] &- 97 < 26 { all[position] ^= 0x20 }
                position += 1
            }
        }
    }
}
