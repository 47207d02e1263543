import MailTypes
import Octets

extension CommandReader {
    /// What a command wants of a name, which decides how one that cannot be is refused.
    enum MailboxPurpose {
        /// It should be there.
        case existing
        /// Something goes there.
        case destination
        /// It is to be made.
        case new
    }

    /// `mailbox` (RFC 9051 section 5.1): UTF-8 after ENABLE IMAP4rev2 or UTF8=ACCEPT, else modified UTF-7 (RFC 3501
    /// section 5.1.3).
    mutating func mailbox(_ purpose: MailboxPurpose) throws(GrammarStop) -> MailboxName {
        let octets = try astring()
        if var text = decoded(octets) {
            // CREATE "a/" means that names will be made below a (RFC 9051 section 6.3.4).
            if purpose == .new, text.utf8.last == Ascii.slash { text.removeLast() }
            if let name = MailboxName(text) { return name }
        }
        throw purpose == .existing
            ? .no(.nonExistent, "There is no such mailbox") : .no(.cannot, "A mailbox cannot have this name")
    }

    /// The reference or a pattern of LIST, in UTF-8. One that is not the encoding of any name matches nothing: it begins
    /// with a NUL, which no name has.
    mutating func listPattern(isPattern: Bool) throws(GrammarStop) -> String {
        let octets = try string(orRunOf: isPattern ? Ascii.isList : Ascii.isAstring)
        guard octets.count <= IMAPLimits.listPatternOctetsMax else { throw .no(.limit, "The pattern is too long") }
        return decoded(octets) ?? "\0"
    }

    /// Nil when the octets are not the encoding of any text that a mailbox name may be.
    private func decoded(_ octets: [UInt8]) -> String? {
        guard context.enabled.usesUTF8 else { return ModifiedUTF7.decode(octets) }
        // Net-Unicode without controls and line separators (RFC 6855 section 3).
        guard let text = String(validating: octets, as: UTF8.self),
            text.unicodeScalars.allSatisfy({
                $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) && $0.value != 0x2028 && $0.value != 0x2029
            })
        else { return nil }
        return text
    }

    /// `"(" status-att *(SP status-att) ")"`; an item named twice is told once.
    mutating func statusAttributes() throws(GrammarStop) -> [StatusAttribute] {
        var attributes: [StatusAttribute] = []
        var count = 0
        try list { (reader) throws(GrammarStop) in
            count += 1
            guard count <= IMAPLimits.optionsMax else { throw .no(.limit, "Too many items") }
            guard let attribute = StatusAttribute(rawValue: reader.word()), reader.context.offers(attribute.capability)
            else {
                throw .bad("An item of STATUS is not known")
            }
            if !attributes.contains(attribute) { attributes.append(attribute) }
        }
        return attributes
    }
}
