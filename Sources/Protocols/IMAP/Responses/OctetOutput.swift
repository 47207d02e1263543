// Small things that every response is made of, appended to an array without a `String` between.
//
// All is `@inlinable`-free and within this module, because a response is written by one call from outside.
import Octets

extension [UInt8] {
    mutating func put(_ text: StaticString) {
        append(contentsOf: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    @inline(__always) mutating func put(_ octet: UInt8) { append(octet) }

    mutating func put(_ text: String) {
        var text = text
        text.withUTF8 { append(contentsOf: UnsafeRawBufferPointer($0)) }
    }

    mutating func put(_ run: UnsafeRawBufferPointer) { append(contentsOf: run) }

    /// In decimal.
    mutating func put(decimal value: UInt32) { put(decimal: UInt64(value)) }

    /// In decimal.
    mutating func put(decimal value: UInt64) {
        if value < 10 { return append(Ascii.zero + UInt8(truncatingIfNeeded: value)) }
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
            var rest = value
            var position = 20
            while rest >= 10 {
                let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 10)
                position -= 1
                digits[position] = Ascii.zero + UInt8(truncatingIfNeeded: remainder)
                rest = quotient
            }
            position -= 1
            digits[position] = Ascii.zero + UInt8(truncatingIfNeeded: rest)
            append(contentsOf: UnsafeRawBufferPointer(rebasing: digits[position...]))
        }
    }

    /// With zeros in front.
    mutating func put(twoDigits value: Int) {
        append(Ascii.zero + UInt8(truncatingIfNeeded: value / 10))
        append(Ascii.zero + UInt8(truncatingIfNeeded: value % 10))
    }

    mutating func putLineEnd() {
        append(Ascii.carriageReturn)
        append(Ascii.lineFeed)
    }

    // MARK: Strings

    /// `string` (RFC 9051 section 4.3): quoted where that can be, else a literal. UTF-8 is quoted only for a client that
    /// has enabled it.
    mutating func put(string run: UnsafeRawBufferPointer, usesUTF8: Bool) {
        var escapes = 0
        var isAscii = true
        var canQuote = run.count <= IMAPLimits.quotedOctetsMax
        if canQuote {
            for octet in run {
                switch octet {
                case Ascii.quote, Ascii.backslash: escapes += 1
                case Ascii.nul, Ascii.carriageReturn, Ascii.lineFeed: canQuote = false
                default: if octet >= 0x80 { isAscii = false }
                }
            }
        }
        if canQuote, !isAscii { canQuote = usesUTF8 && String(validating: run, as: UTF8.self) != nil }
        guard canQuote else { return put(literal: run) }
        append(Ascii.quote)
        if escapes == 0 {
            append(contentsOf: run)
        } else {
            for octet in run {
                if octet == Ascii.quote || octet == Ascii.backslash { append(Ascii.backslash) }
                append(octet)
            }
        }
        append(Ascii.quote)
    }

    mutating func put(string: [UInt8], usesUTF8: Bool) {
        string.withUnsafeBytes { put(string: $0, usesUTF8: usesUTF8) }
    }

    mutating func put(string: String, usesUTF8: Bool) {
        var string = string
        string.withUTF8 { put(string: UnsafeRawBufferPointer($0), usesUTF8: usesUTF8) }
    }

    /// `nstring`.
    mutating func put(nstring: UnsafeRawBufferPointer?, usesUTF8: Bool) {
        if let nstring { put(string: nstring, usesUTF8: usesUTF8) } else { put("NIL") }
    }

    mutating func put(nstring: [UInt8]?, usesUTF8: Bool) {
        if let nstring { put(string: nstring, usesUTF8: usesUTF8) } else { put("NIL") }
    }

    /// A literal; with a NUL in it, a literal8 (RFC 9051 section 4.3).
    mutating func put(literal run: UnsafeRawBufferPointer) {
        if run.firstIndex(of: Ascii.nul, in: 0..<run.count) != nil { append(Ascii.tilde) }
        append(Ascii.openBrace)
        put(decimal: UInt64(run.count))
        append(Ascii.closeBrace)
        putLineEnd()
        append(contentsOf: run)
    }

    // MARK: Sets

    /// `1:4,7`. The runs are not empty.
    mutating func put(set runs: some Collection<ClosedRange<UInt32>>) {
        var isFirst = true
        for run in runs {
            if !isFirst { append(Ascii.comma) }
            isFirst = false
            put(decimal: run.lowerBound)
            if run.lowerBound != run.upperBound {
                append(Ascii.colon)
                put(decimal: run.upperBound)
            }
        }
    }
}
