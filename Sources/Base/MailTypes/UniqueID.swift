/// What POP3 clients know a message by (RFC 1939 section 7).
package enum UniqueID {
    package static let octetsMax = 70

    /// 1 to 70 octets of 0x21 to 0x7E.
    package static func isValid(_ text: String) -> Bool {
        (1...octetsMax).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
