import MailTypes

/// Flags between the parentheses of FLAGS, ready made: a listing has a hundred thousand of them.
package enum FlagText {
    /// `\Seen \Answered`, for every set of system flags, without and with `\Recent`; without parentheses.
    private static let table: [[UInt8]] = (0..<64).map { index in
        var names: [String] = []
        let flags = SystemFlags(rawValue: UInt8(index & 31))
        if flags.contains(.answered) { names.append("\\Answered") }
        if flags.contains(.flagged) { names.append("\\Flagged") }
        if flags.contains(.deleted) { names.append("\\Deleted") }
        if flags.contains(.seen) { names.append("\\Seen") }
        if flags.contains(.draft) { names.append("\\Draft") }
        if index & 32 != 0 { names.append("\\Recent") }
        return Array(names.joined(separator: " ").utf8)
    }

    /// Appends the system flags; answers whether there were any.
    @discardableResult
    package static func append(_ flags: SystemFlags, isRecent: Bool, to output: inout [UInt8]) -> Bool {
        let index = Int(flags.rawValue & 31) | (isRecent ? 32 : 0)
        guard index != 0 else { return false }
        output.append(contentsOf: table[index])
        return true
    }
}
