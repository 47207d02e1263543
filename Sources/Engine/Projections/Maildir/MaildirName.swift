// File names of the projection: a pure function of the message row and the UIDVALIDITY, but for the letters.
//
//     <internal date, seconds>.V<uidvalidity>U<uid>E<email>.<host>,S=<size>,W=<size>:2,<letters>
//
// Numbers after V, U and E are lower-case hexadecimal without leading zeros. W is the size with CRLF line ends, which
// is what we store, so it equals S. In `new/` the name has no `:2,`. No process number, time of writing or random part:
// a replay makes the same name, and a name is never used for two messages.
import MailCore
import MailTypes

/// The letters after `:2,` as bits: D F P R S T are bits 0...5 and `a`...`z` bits 6...31, so that ascending bits are
/// ASCII order, in which Maildir readers expect them.
package struct MaildirLetters: Hashable, Sendable {
    package var bits: UInt32

    static let alphabet = Array("DFPRSTabcdefghijklmnopqrstuvwxyz".utf8)
    private static let draft: UInt32 = 1
    private static let flagged: UInt32 = 2
    private static let passed: UInt32 = 4
    private static let replied: UInt32 = 8
    private static let seen: UInt32 = 16
    private static let trashed: UInt32 = 32

    package init(bits: UInt32) { self.bits = bits }

    /// - Parameters:
    ///   - keywords: bit n is the account's keyword n; those from 26 on have no letter.
    ///   - forwarded: the message has `$Forwarded`, which other programs know as P.
    package init(_ flags: SystemFlags, keywords: UInt64, forwarded: Bool) {
        bits = UInt32(keywords & (1 << UInt64(MaildirLimits.keywordLettersMax) - 1)) << 6
        if flags.contains(.draft) { bits |= Self.draft }
        if flags.contains(.flagged) { bits |= Self.flagged }
        if forwarded { bits |= Self.passed }
        if flags.contains(.answered) { bits |= Self.replied }
        if flags.contains(.seen) { bits |= Self.seen }
        if flags.contains(.deleted) { bits |= Self.trashed }
    }

    /// Letters in any order; those that we do not know are passed over.
    init(spelled letters: some Sequence<UInt8>) {
        bits = letters.reduce(0) { $0 | (Self.bit(of: $1) ?? 0) }
    }

    package var text: String {
        var out: [UInt8] = []
        for (bit, letter) in Self.alphabet.enumerated() where bits >> UInt32(bit) & 1 == 1 { out.append(letter) }
        return String(decoding: out, as: UTF8.self)
    }

    static func bit(of letter: UInt8) -> UInt32? {
        switch letter {
        case 97...122: 1 << UInt32(letter - 97 + 6)
        case 68: draft
        case 70: flagged
        case 80: passed
        case 82: replied
        case 83: seen
        case 84: trashed
        default: nil
        }
    }
}

/// A file name of ours, taken apart.
package struct MaildirName: Hashable, Sendable {
    /// Seconds since 1970; may be negative.
    package var seconds: Int64
    package var validity: UIDValidity
    package var uid: UID
    package var email: EmailID
    package var host: String
    /// Octets.
    package var size: UInt32

    package init(_ row: MessageRow, _ uid: UID, _ validity: UIDValidity, host: String) {
        seconds = row.internalDate.time.seconds
        self.validity = validity
        self.uid = uid
        email = row.email
        self.host = host
        size = row.size
    }

    init(
        seconds: Int64, validity: UIDValidity, uid: UID, email: EmailID, host: String, size: UInt32
    ) {
        self.seconds = seconds
        self.validity = validity
        self.uid = uid
        self.email = email
        self.host = host
        self.size = size
    }

    /// What stands in `dovecot-uidlist`, and the whole name of a file in `new/`.
    package var base: String {
        "\(seconds).V\(String(validity.rawValue, radix: 16))U\(String(uid.rawValue, radix: 16))"
            + "E\(String(email.rawValue, radix: 16)).\(host),S=\(size),W=\(size)"
    }

    /// The same with the number that mbsync gave the file.
    func base(marked mark: UInt32) -> String { mark == 0 ? base : "\(base),U=\(mark)" }

    /// The name of a file in `cur/`.
    package func text(_ letters: MaildirLetters) -> String { base + ":2," + letters.text }
}

/// A file of ours as it was found in a directory.
package struct MaildirFile: Hashable, Sendable {
    package var name: MaildirName
    /// Letters of ours; nil without `:2,`.
    package var letters: MaildirLetters?
    /// The letters are spelled as we would: in order, once each, none that we do not know; and the name has no mark.
    package var isCanonical: Bool
    /// The number of mbsync in `,U=<number>`, which it puts behind our fields; 0 without.
    package var mark: UInt32

    /// Nil when `text` is not a name that this projection gives, with whatever letters another program has put to it.
    /// Total on any bytes.
    package init?(parsing text: some Collection<UInt8>) {
        var reader = NameReader(Array(text))
        guard let seconds = reader.signed(), reader.skip("."), reader.skip("V"),
            let validity = reader.hexadecimal().flatMap(UInt32.init(exactly:)), validity > 0, reader.skip("U"),
            let uid = reader.hexadecimal().flatMap(UInt32.init(exactly:)), uid > 0, reader.skip("E"),
            let email = reader.hexadecimal(), reader.skip("."), let host = reader.host(), reader.skip(",S="),
            let size = reader.decimal().flatMap(UInt32.init(exactly:)), reader.skip(",W="),
            let crlfSize = reader.decimal(), crlfSize == UInt64(size)
        else { return nil }
        name = MaildirName(
            seconds: seconds, validity: UIDValidity(validity), uid: UID(uid), email: EmailID(email), host: host,
            size: size)
        letters = nil
        isCanonical = true
        mark = 0
        if reader.skip(",U=") {
            guard let number = reader.decimal().flatMap(UInt32.init(exactly:)), number > 0 else { return nil }
            mark = number
            isCanonical = false
        }
        if reader.isAtEnd { return }
        guard reader.skip(":2,") else { return nil }
        var bits: UInt32 = 0
        for letter in reader.rest {
            guard let bit = MaildirLetters.bit(of: letter) else {
                isCanonical = false
                continue
            }
            // A lower bit after a higher one, or the same twice.
            if bits >= bit { isCanonical = false }
            bits |= bit
        }
        letters = MaildirLetters(bits: bits)
    }
}

/// Reads the parts of a name; every number has one spelling.
private struct NameReader {
    private let octets: [UInt8]
    private var position = 0

    init(_ octets: [UInt8]) { self.octets = octets }

    var isAtEnd: Bool { position == octets.count }
    var rest: ArraySlice<UInt8> { octets[position...] }

    mutating func skip(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard octets.count - position >= count else { return false }
        for offset in 0..<count where octets[position + offset] != text.utf8Start[offset] { return false }
        position += count
        return true
    }

    mutating func signed() -> Int64? {
        let isNegative = skip("-")
        guard let magnitude = decimal(), let value = Int64(exactly: magnitude) else { return nil }
        if isNegative, value == 0 { return nil }
        return isNegative ? -value : value
    }

    mutating func decimal() -> UInt64? { number(radix: 10) }
    mutating func hexadecimal() -> UInt64? { number(radix: 16) }

    private mutating func number(radix: UInt64) -> UInt64? {
        let start = position
        var value: UInt64 = 0
        while position < octets.count, let digit = Self.digit(octets[position]), digit < radix {
            let (product, overflow) = value.multipliedReportingOverflow(by: radix)
            let (sum, carry) = product.addingReportingOverflow(digit)
            guard !overflow, !carry else { return nil }
            value = sum
            position += 1
        }
        let count = position - start
        guard count > 0, count == 1 || octets[start] != 48 else { return nil }
        return value
    }

    private static func digit(_ octet: UInt8) -> UInt64? {
        switch octet {
        case 48...57: UInt64(octet - 48)
        case 97...102: UInt64(octet - 87)
        default: nil
        }
    }

    mutating func host() -> String? {
        let start = position
        while position < octets.count, MaildirHost.allows(octets[position]) { position += 1 }
        return position > start ? String(decoding: octets[start..<position], as: UTF8.self) : nil
    }
}

/// The host part of a name: a fixed word, so that names do not depend on where the node runs.
enum MaildirHost {
    /// Letters, digits, `-`, `_` and `.`.
    static func allows(_ octet: UInt8) -> Bool {
        switch octet {
        case 48...57, 65...90, 97...122, 45, 46, 95: true
        default: false
        }
    }
}
