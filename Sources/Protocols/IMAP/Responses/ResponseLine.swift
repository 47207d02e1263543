/// Untagged responses that the machine gives by itself.
enum ResponseLine {
    /// RFC 9051 section 7.2.2.
    static func capability(_ names: [String]) -> [UInt8] { line("CAPABILITY", names) }

    /// RFC 5161 section 3.2.
    static func enabled(_ names: [String]) -> [UInt8] { line("ENABLED", names) }

    /// One personal namespace with `/` (RFC 2342 section 5).
    static let namespace = Array("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n".utf8)

    /// RFC 2971 section 3.2.
    static func id(_ fields: [IMAPIDField]) -> [UInt8] {
        var writer = IMAPWriter()
        writer.append("* ID ")
        if fields.isEmpty { writer.append("NIL") }
        for (index, field) in fields.enumerated() {
            writer.append(index == 0 ? "(" : " ")
            writer.string(field.name)
            writer.append(" ")
            if let value = field.value { writer.string(value) } else { writer.append("NIL") }
        }
        if !fields.isEmpty { writer.append(")") }
        writer.endLine()
        return writer.bytes
    }

    private static func line(_ name: String, _ words: [String]) -> [UInt8] {
        Array("* \(([name] + words).joined(separator: " "))\r\n".utf8)
    }
}
