/// The mailbox name encoding of RFC 3501 section 5.1.3: printable US-ASCII stands for itself, `&` is `&-`, and every
/// other run of text is `&`, its UTF-16 in base64 with `,` for `/` and without padding, `-`.
public enum ModifiedUTF7 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,".utf8)

    /// The one shortest form: neighbouring characters share one run, and none that could stand for itself is in a run.
    public static func encode(_ text: String) -> String {
        var out: [UInt8] = []
        var run: [UInt16] = []
        for scalar in text.unicodeScalars {
            if isDirect(scalar.value) {
                flush(&run, to: &out)
                out.append(UInt8(scalar.value))
                if scalar == "&" { out.append(45) }
            } else {
                run.append(contentsOf: UTF16.encode(scalar)!)
            }
        }
        flush(&run, to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    /// The text, or nil when `name` is not what `encode` gives for any text: a stray octet, an unended or empty run, bits
    /// left over, half a surrogate pair, a run of what could stand for itself, two runs side by side.
    public static func decode(_ name: some Collection<UInt8>) -> String? {
        var scalars = String.UnicodeScalarView()
        var rest = name[...]
        var afterRun = false
        while let octet = rest.popFirst() {
            guard octet == 38 else {
                guard isDirect(UInt32(octet)) else { return nil }
                scalars.append(Unicode.Scalar(octet))
                afterRun = false
                continue
            }
            guard let end = rest.firstIndex(of: 45) else { return nil }
            let run = rest[..<end]
            rest = rest[rest.index(after: end)...]
            if run.isEmpty {
                scalars.append("&")
                afterRun = false
            } else {
                guard !afterRun, let decoded = units(run), append(decoded, to: &scalars) else { return nil }
                afterRun = true
            }
        }
        return String(scalars)
    }

    public static func decode(_ name: String) -> String? { decode(Array(name.utf8)) }

    private static func isDirect(_ value: UInt32) -> Bool { (0x20...0x7E).contains(value) }

    private static func flush(_ run: inout [UInt16], to out: inout [UInt8]) {
        guard !run.isEmpty else { return }
        out.append(38)
        var bits: UInt32 = 0
        var held: UInt32 = 0
        for unit in run {
            bits = bits << 16 | UInt32(unit)
            held += 16
            while held >= 6 {
                held -= 6
                out.append(alphabet[Int(bits >> held & 63)])
            }
            bits &= (1 << held) - 1
        }
        if held > 0 { out.append(alphabet[Int(bits << (6 - held) & 63)]) }
        out.append(45)
        run.removeAll(keepingCapacity: true)
    }

    /// The UTF-16 units of a run's base64.
    private static func units(_ run: some Collection<UInt8>) -> [UInt16]? {
        var units: [UInt16] = []
        var bits: UInt32 = 0
        var held: UInt32 = 0
        for octet in run {
            guard let value = value(octet) else { return nil }
            bits = bits << 6 | value
            held += 6
            if held >= 16 {
                held -= 16
                units.append(UInt16(truncatingIfNeeded: bits >> held))
                bits &= (1 << held) - 1
            }
        }
        return held < 6 && bits == 0 ? units : nil
    }

    private static func value(_ octet: UInt8) -> UInt32? {
        switch octet {
        case 65...90: UInt32(octet) - 65
        case 97...122: UInt32(octet) - 71
        case 48...57: UInt32(octet) + 4
        case 43: 62
        case 44: 63
        default: nil
        }
    }

    private static func append(_ units: [UInt16], to scalars: inout String.UnicodeScalarView) -> Bool {
        var decoder = UTF16()
        var iterator = units.makeIterator()
        while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar):
                guard !isDirect(scalar.value) else { return false }
                scalars.append(scalar)
            case .emptyInput: return true
            case .error: return false
            }
        }
    }
}
