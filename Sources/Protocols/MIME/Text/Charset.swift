// Charsets to UTF-8 by iconv(3), which is seen by this room alone.
//
// US-ASCII, UTF-8 and names that iconv does not know pass through: octets outside ASCII are most often UTF-8 whatever a
// message says, and a search for octets still finds them.
import Glibc

package struct Charset: Sendable {
    private enum Kind {
        case same
        /// ASCII stands for itself, and no octet of a longer character is taken for it at its beginning.
        case beyondASCII
        case other
    }

    private let name: String
    private let kind: Kind

    /// - Parameter name: as in a `charset` parameter; nil and what cannot be converted pass through.
    package init(_ name: [UInt8]?) {
        self.name = Self.checked(name ?? []) ?? ""
        kind = Self.kind(self.name)
    }

    package static let utf8 = Charset(nil)

    /// Whether text in it can be converted: a search in another gets BADCHARSET (RFC 9051 section 6.4.4).
    package static func isKnown(_ name: [UInt8]) -> Bool {
        guard let name = checked(name) else { return false }
        return kind(name) == .same || CharsetConverter(name) != nil
    }

    /// `text` in UTF-8; nil when it is not valid in this charset.
    package static func utf8(_ text: [UInt8], in name: [UInt8]) -> [UInt8]? {
        guard let checked = checked(name) else { return nil }
        if kind(checked) == .same { return String(validating: text, as: UTF8.self) == nil ? nil : text }
        guard let converter = CharsetConverter(checked) else { return nil }
        var out: [UInt8] = []
        let isWhole = text.withUnsafeBytes { converter.convert($0, into: &out) }
        let isEnded = converter.finish(into: &out)
        return isWhole && isEnded ? out : nil
    }

    package func makeDecoder() -> TextDecoder {
        TextDecoder(converter: kind == .same ? nil : CharsetConverter(name), keepsASCII: kind == .beyondASCII)
    }

    /// `text` in UTF-8, with U+FFFD for what is not valid in this charset.
    package func decode(_ text: [UInt8]) -> [UInt8] {
        guard kind != .same else { return text }
        var decoder = makeDecoder()
        var out: [UInt8] = []
        text.withUnsafeBytes { decoder.decode($0, into: &out) }
        decoder.finish(into: &out)
        return out
    }

    /// iconv takes options after a slash, and names of files of its own; neither may come from a message.
    private static func checked(_ name: [UInt8]) -> String? {
        guard (1...MIMELimits.charsetNameOctetsMax).contains(name.count),
            name.allSatisfy({
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45 || $0 == 95
                    || $0 == 58 || $0 == 43 || $0 == 46
            })
        else { return nil }
        return String(decoding: name, as: UTF8.self).uppercased()
    }

    private static func kind(_ name: String) -> Kind {
        switch name {
        case "", "US-ASCII", "ASCII", "ANSI_X3.4-1968", "UTF-8", "UTF8", "UNKNOWN-8BIT", "8BIT", "UNKNOWN": .same
        case "GBK", "GB2312", "GB18030", "BIG5", "BIG5-HKSCS", "TIS-620": .beyondASCII
        default:
            ["ISO-8859-", "ISO8859-", "LATIN", "WINDOWS-125", "CP125", "KOI8-", "EUC-"].contains { name.hasPrefix($0) }
                ? .beyondASCII : .other
        }
    }
}

/// Turns one text into UTF-8, piece by piece.
package struct TextDecoder {
    private let converter: CharsetConverter?
    private let keepsASCII: Bool

    fileprivate init(converter: CharsetConverter?, keepsASCII: Bool) {
        self.converter = converter
        self.keepsASCII = keepsASCII
    }

    /// The octets pass through as they are.
    package var isTransparent: Bool { converter == nil }

    package mutating func decode(_ piece: UnsafeRawBufferPointer, into out: inout [UInt8]) {
        guard let converter else { return out.append(contentsOf: piece) }
        if keepsASCII, !converter.isWithinCharacter, piece.asciiPrefix(from: 0) == piece.count {
            return out.append(contentsOf: piece)
        }
        _ = converter.convert(piece, into: &out)
    }

    package mutating func finish(into out: inout [UInt8]) {
        if let converter { _ = converter.finish(into: &out) }
    }
}

/// One conversion descriptor. Used by one thread at a time.
final class CharsetConverter {
    private let descriptor: iconv_t
    /// The beginning of a character whose end is yet to come.
    private var pending: [UInt8] = []

    /// - Parameter name: without anything that means more than a name.
    init?(_ name: String) {
        let opened = iconv_open("UTF-8", name)
        guard let opened, opened != iconv_t(bitPattern: -1) else { return nil }
        descriptor = opened
    }

    deinit { iconv_close(descriptor) }

    var isWithinCharacter: Bool { !pending.isEmpty }

    /// Appends the text in UTF-8, U+FFFD for what is not valid. Answers whether all of it was.
    func convert(_ piece: UnsafeRawBufferPointer, into out: inout [UInt8]) -> Bool {
        guard !pending.isEmpty else { return run(piece, into: &out) }
        let joined = pending + piece
        pending = []
        return joined.withUnsafeBytes { run($0, into: &out) }
    }

    /// The text is at its end.
    func finish(into out: inout [UInt8]) -> Bool {
        let isWhole = pending.isEmpty
        if !isWhole { out.append(contentsOf: Self.replacement) }
        pending = []
        // Back to the first state of charsets that have states; it can give octets too.
        var room = [CChar](repeating: 0, count: 64)
        let count = room.withUnsafeMutableBufferPointer { room in
            var next = room.baseAddress
            var left = room.count
            iconv(descriptor, nil, nil, &next, &left)
            return room.count - left
        }
        out.append(contentsOf: room[..<count].map { UInt8(bitPattern: $0) })
        return isWhole
    }

    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    private func run(_ text: UnsafeRawBufferPointer, into out: inout [UInt8]) -> Bool {
        guard let base = text.baseAddress, !text.isEmpty else { return true }
        var input: UnsafeMutablePointer<CChar>? = UnsafeMutableRawPointer(mutating: base)
            .assumingMemoryBound(to: CChar.self)
        var inputLeft = text.count
        var isValid = true
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: MIMELimits.conversionOctets) { room in
            while inputLeft > 0 {
                var next = room.baseAddress
                var left = room.count
                let result = iconv(descriptor, &input, &inputLeft, &next, &left)
                let reason = errno
                out.append(contentsOf: UnsafeRawBufferPointer(start: room.baseAddress, count: room.count - left))
                guard result == Int(bitPattern: UInt.max) || Int(bitPattern: UInt(bitPattern: Int(result))) == -1 else {
                    continue
                }
                if reason == EINVAL, inputLeft <= MIMELimits.characterOctetsMax {
                    pending = Array(text.slice(text.count - inputLeft, text.count))
                    return
                }
                if reason == E2BIG { continue }
                isValid = false
                out.append(contentsOf: Self.replacement)
                input = input.map { $0 + 1 }
                inputLeft -= 1
            }
        }
        return isValid
    }
}
