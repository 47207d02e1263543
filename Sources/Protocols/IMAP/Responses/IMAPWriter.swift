// Writes untagged responses (RFC 9051 section 7) one behind the other. The handler takes `bytes` and empties them.
//
// A FETCH response is written item by item:
//     writer.beginFetch(number)
//     writer.uid(uid)
//     writer.flags(row.flags, keywords: names, isRecent: false)
//     writer.beginSection(section); writer.literal(count: n)   // n octets follow, from wherever they are
//     writer.endFetch()
// The items that are the same for each of a hundred thousand messages go without a `String`: an item costs some 20 ns.
import MIME
import MailTypes

package struct IMAPWriter: Sendable {
    package var bytes: [UInt8] = []
    /// Quoted strings may hold UTF-8 and mailbox names are in it (RFC 9051 section 5.1, RFC 6855).
    package var usesUTF8: Bool
    private var hasItem = false

    package init(usesUTF8: Bool = false, capacity: Int = 0) {
        self.usesUTF8 = usesUTF8
        if capacity > 0 { bytes.reserveCapacity(capacity) }
    }

    // MARK: Parts

    package mutating func append(_ text: StaticString) { bytes.put(text) }
    package mutating func append(_ text: String) { bytes.put(text) }
    package mutating func append(_ run: UnsafeRawBufferPointer) { bytes.put(run) }
    package mutating func string(_ text: String) { bytes.put(string: text, usesUTF8: usesUTF8) }
    package mutating func string(_ octets: [UInt8]) { bytes.put(string: octets, usesUTF8: usesUTF8) }
    package mutating func endLine() { bytes.putLineEnd() }
    package mutating func reply(_ reply: IMAPReply) { reply.append(to: &bytes) }

    private mutating func numbered(_ number: UInt64, _ name: StaticString) {
        bytes.put("* ")
        bytes.put(decimal: number)
        bytes.put(name)
    }

    // MARK: The mailbox

    package mutating func exists(_ count: Int) { numbered(UInt64(count), " EXISTS\r\n") }
    /// RFC 3501 section 7.3.2; not for a client that has enabled IMAP4rev2.
    package mutating func recent(_ count: Int) { numbered(UInt64(count), " RECENT\r\n") }
    package mutating func expunge(_ number: UInt32) { numbered(UInt64(number), " EXPUNGE\r\n") }

    /// VANISHED (RFC 7162 section 3.2.10), in lines of at most `IMAPLimits.setLineOctetsMax` (rule 7).
    package mutating func vanished(_ uids: UIDSet, isEarlier: Bool) {
        var runs = uids.runs[...]
        while !runs.isEmpty {
            bytes.put(isEarlier ? "* VANISHED (EARLIER) " : "* VANISHED ")
            let start = bytes.count
            var count = 0
            // A run takes at most 22 octets.
            while count < runs.count, bytes.count - start < IMAPLimits.setLineOctetsMax - 44 {
                if count > 0 { bytes.put(Ascii.comma) }
                bytes.put(set: CollectionOfOne(runs[runs.startIndex + count]))
                count += 1
            }
            bytes.putLineEnd()
            runs = runs.dropFirst(count)
        }
    }

    /// FLAGS: those that may stand in the mailbox's messages (RFC 9051 section 7.3.5).
    package mutating func flags(applicable keywords: [Keyword]) {
        bytes.put("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft")
        for keyword in keywords {
            bytes.put(Ascii.space)
            bytes.put(keyword.name)
        }
        bytes.put(")\r\n")
    }

    // MARK: LIST, STATUS, quotas

    /// LIST or LSUB (RFC 9051 section 7.3.1, RFC 5258 section 6).
    ///
    /// - Parameters:
    ///   - name: in UTF-8; empty for the root.
    ///   - attributes: with their backslashes.
    ///   - childInfo: the selection options that names below were selected by.
    ///   - oldName: what the mailbox was called before (RFC 9051 section 6.3.9.7).
    package mutating func list(
        _ name: String, attributes: [String], childInfo: [String] = [], oldName: String? = nil, isLsub: Bool = false
    ) {
        bytes.put(isLsub ? "* LSUB (" : "* LIST (")
        for (index, attribute) in attributes.enumerated() {
            if index > 0 { bytes.put(Ascii.space) }
            bytes.put(attribute)
        }
        bytes.put(") \"/\" ")
        MailboxText.append(name, usesUTF8: usesUTF8, to: &bytes)
        if !childInfo.isEmpty || oldName != nil {
            bytes.put(" (")
            if !childInfo.isEmpty {
                bytes.put("\"CHILDINFO\" (")
                for (index, option) in childInfo.enumerated() {
                    if index > 0 { bytes.put(Ascii.space) }
                    bytes.put(string: option, usesUTF8: false)
                }
                bytes.put(Ascii.close)
            }
            if let oldName {
                if !childInfo.isEmpty { bytes.put(Ascii.space) }
                bytes.put("\"OLDNAME\" (")
                MailboxText.append(oldName, usesUTF8: usesUTF8, to: &bytes)
                bytes.put(Ascii.close)
            }
            bytes.put(Ascii.close)
        }
        bytes.putLineEnd()
    }

    /// An item of STATUS and its value.
    package enum StatusItem: Equatable, Sendable {
        case number(StatusAttribute, UInt64)
        /// MAILBOXID, in parentheses (RFC 8474 section 4.3).
        case objectID(StatusAttribute, String)
    }

    /// STATUS (RFC 9051 section 7.3.3).
    package mutating func status(_ mailbox: MailboxName, _ items: [StatusItem]) {
        bytes.put("* STATUS ")
        MailboxText.append(mailbox.description, usesUTF8: usesUTF8, to: &bytes)
        bytes.put(" (")
        for (index, item) in items.enumerated() {
            if index > 0 { bytes.put(Ascii.space) }
            switch item {
            case .number(let attribute, let value):
                bytes.put(attribute.rawValue)
                bytes.put(Ascii.space)
                bytes.put(decimal: value)
            case .objectID(let attribute, let id):
                bytes.put(attribute.rawValue)
                bytes.put(" (")
                bytes.put(id)
                bytes.put(Ascii.close)
            }
        }
        bytes.put(")\r\n")
    }

    /// QUOTA (RFC 9208 section 4.2.1): name, usage and limit of each resource.
    package mutating func quota(root: String, _ resources: [(name: String, usage: UInt64, limit: UInt64)]) {
        bytes.put("* QUOTA ")
        bytes.put(string: root, usesUTF8: usesUTF8)
        bytes.put(" (")
        for (index, resource) in resources.enumerated() {
            if index > 0 { bytes.put(Ascii.space) }
            bytes.put(resource.name)
            bytes.put(Ascii.space)
            bytes.put(decimal: resource.usage)
            bytes.put(Ascii.space)
            bytes.put(decimal: resource.limit)
        }
        bytes.put(")\r\n")
    }

    /// QUOTAROOT (RFC 9208 section 4.2.2).
    package mutating func quotaRoot(_ mailbox: MailboxName, _ roots: [String]) {
        bytes.put("* QUOTAROOT ")
        MailboxText.append(mailbox.description, usesUTF8: usesUTF8, to: &bytes)
        for root in roots {
            bytes.put(Ascii.space)
            bytes.put(string: root, usesUTF8: usesUTF8)
        }
        bytes.putLineEnd()
    }

    // MARK: FETCH

    package mutating func beginFetch(_ number: UInt32) {
        numbered(UInt64(number), " FETCH (")
        hasItem = false
    }

    package mutating func endFetch() { bytes.put(")\r\n") }

    private mutating func item(_ name: StaticString) {
        if hasItem { bytes.put(Ascii.space) }
        hasItem = true
        bytes.put(name)
    }

    package mutating func uid(_ uid: UID) {
        item("UID ")
        bytes.put(decimal: uid.rawValue)
    }

    package mutating func flags(_ flags: SystemFlags, keywords: some Sequence<Keyword>, isRecent: Bool) {
        item("FLAGS (")
        var hasAny = FlagText.append(flags, isRecent: isRecent, to: &bytes)
        for keyword in keywords {
            if hasAny { bytes.put(Ascii.space) }
            hasAny = true
            bytes.put(keyword.name)
        }
        bytes.put(Ascii.close)
    }

    /// Flags without keywords: most messages have none.
    package mutating func flags(_ flags: SystemFlags, isRecent: Bool) {
        item("FLAGS (")
        FlagText.append(flags, isRecent: isRecent, to: &bytes)
        bytes.put(Ascii.close)
    }

    package mutating func internalDate(_ date: InternalDate) {
        item("INTERNALDATE ")
        DateText.append(date, to: &bytes)
    }

    package mutating func rfc822Size(_ octets: UInt64) {
        item("RFC822.SIZE ")
        bytes.put(decimal: octets)
    }

    package mutating func modSeq(_ value: UInt64) {
        item("MODSEQ (")
        bytes.put(decimal: value)
        bytes.put(Ascii.close)
    }

    /// RFC 8474 section 5.1.
    package mutating func emailID(_ id: String) {
        item("EMAILID (")
        bytes.put(id)
        bytes.put(Ascii.close)
    }

    /// RFC 8474 section 5.2; NIL where there are no threads.
    package mutating func threadID(_ id: String?) {
        guard let id else { return item("THREADID NIL") }
        item("THREADID (")
        bytes.put(id)
        bytes.put(Ascii.close)
    }

    /// RFC 8514 section 4.2; NIL where it is not known.
    package mutating func saveDate(_ date: InternalDate?) {
        guard let date else { return item("SAVEDATE NIL") }
        item("SAVEDATE ")
        DateText.append(date, to: &bytes)
    }

    /// RFC 8970 section 3.1: text in UTF-8; NIL where it is not at hand.
    package mutating func preview(_ text: String?) {
        item("PREVIEW ")
        if let text { string(text) } else { bytes.put("NIL") }
    }

    package mutating func envelope(_ envelope: Envelope) {
        item("ENVELOPE ")
        StructureText.append(envelope, usesUTF8: usesUTF8, to: &bytes)
    }

    package mutating func bodyStructure(_ structure: MessageStructure, extended: Bool) {
        item(extended ? "BODYSTRUCTURE " : "BODY ")
        StructureText.append(structure, extended: extended, usesUTF8: usesUTF8, to: &bytes)
    }

    /// The name of a section; its value follows: `literal`, `string` behind a space, or `nilValue`.
    package mutating func beginSection(_ section: BodySection) {
        item("")
        SectionText.append(section, to: &bytes)
    }

    package mutating func beginSection(_ section: BinarySection) {
        item("")
        SectionText.append(section, to: &bytes)
    }

    package mutating func binarySize(part: [UInt32], _ octets: UInt64) {
        item("")
        SectionText.append(binarySize: part, to: &bytes)
        bytes.put(Ascii.space)
        bytes.put(decimal: octets)
    }

    /// A literal's header; so many octets are to follow. A literal8 for BINARY whose octets may hold NUL (RFC 3516
    /// section 4.2).
    package mutating func literal(count: Int, isBinary: Bool = false) {
        bytes.put(isBinary ? " ~{" : " {")
        bytes.put(decimal: UInt64(count))
        bytes.put("}\r\n")
    }

    /// The section is not there.
    package mutating func nilValue() { bytes.put(" NIL") }
}
