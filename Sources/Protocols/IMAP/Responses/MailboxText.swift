import Octets

/// Mailbox names in responses (RFC 9051 section 5.1).
package enum MailboxText {
    /// As an atom where it is one, else quoted; in modified UTF-7 for a client that has not enabled UTF-8.
    package static func append(_ name: String, usesUTF8: Bool, to output: inout [UInt8]) {
        var text = usesUTF8 ? name : ModifiedUTF7.encode(name)
        text.withUTF8 { octets in
            let isAtom =
                !octets.isEmpty && octets.allSatisfy(Ascii.isAtom)
                && !(octets.count == 3 && octets.map(Ascii.uppercased).elementsEqual("NIL".utf8))
            if isAtom {
                output.append(contentsOf: octets)
            } else {
                output.put(string: UnsafeRawBufferPointer(octets), usesUTF8: usesUTF8)
            }
        }
    }
}
