/// Base64 with padding (RFC 4648 section 4). Decoding is strict: no line breaks, no missing padding, no stray bits.
public enum Base64 {
    @usableFromInline static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static let reverse: [UInt8] = {
        var table = [UInt8](repeating: 0xFF, count: 256)
        for (index, byte) in alphabet.enumerated() { table[Int(byte)] = UInt8(index) }
        return table
    }()

    public static func encode(_ bytes: some Collection<UInt8>) -> String {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        var group: UInt32 = 0
        var held = 0
        for byte in bytes {
            group = group << 8 | UInt32(byte)
            held += 1
            if held == 3 {
                for shift in [18, 12, 6, 0] as [UInt32] { out.append(alphabet[Int(group >> shift & 63)]) }
                group = 0
                held = 0
            }
        }
        if held == 1 {
            out.append(alphabet[Int(group >> 2 & 63)])
            out.append(alphabet[Int(group << 4 & 63)])
            out.append(contentsOf: [61, 61])
        } else if held == 2 {
            out.append(alphabet[Int(group >> 10 & 63)])
            out.append(alphabet[Int(group >> 4 & 63)])
            out.append(alphabet[Int(group << 2 & 63)])
            out.append(61)
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// The bytes, or nil when `text` is not exactly one canonical base64 string.
    public static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(text.count / 4 * 3)
        var group: UInt32 = 0
        var held = 0
        var padding = 0
        for byte in text {
            if byte == 61 {
                padding += 1
                guard padding <= 2 else { return nil }
                group <<= 6
            } else {
                let value = reverse[Int(byte)]
                guard value != 0xFF, padding == 0 else { return nil }
                group = group << 6 | UInt32(value)
            }
            held += 1
            if held == 4 {
                switch padding {
                case 0: out.append(contentsOf: [UInt8(group >> 16 & 255), UInt8(group >> 8 & 255), UInt8(group & 255)])
                case 1:
                    guard group & 0xFF == 0 else { return nil }
                    out.append(contentsOf: [UInt8(group >> 16 & 255), UInt8(group >> 8 & 255)])
                default:
                    guard group & 0xFFFF == 0 else { return nil }
                    out.append(UInt8(group >> 16 & 255))
                }
                group = 0
                held = 0
            }
        }
        return out
    }

    public static func decode(_ text: String) -> [UInt8]? { decode(Array(text.utf8)) }
}
