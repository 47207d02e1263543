import MailTypes

/// What the fields that mbox programs add to a header say: `Status`, `X-Status`, `X-Keywords`, `X-UID`, `X-IMAP`,
/// `X-IMAPbase` and `Content-Length`, as mutt, UW-IMAP and Dovecot write them.
package struct MboxStatus: Hashable, Sendable {
    package var flags: SystemFlags = []
    /// `O` in Status: some session has known of it, so it is not recent.
    package var isOld = false
    package var keywords: [Keyword] = []
    package var uid: UID?
    /// From the first message of a mailbox: its UIDVALIDITY and the last UID it has given.
    package var uidValidity: UIDValidity?
    package var lastUID: UInt32?
    /// Octets of the text in the file, as mutt, Dovecot and Solaris write it. Files that were edited since have wrong ones.
    package var contentLength: Int?
    /// From the `Date:` field.
    package var date: InternalDate?
    /// The message is a note to programs about the mailbox (`X-IMAP`), not mail.
    package var isMailboxData = false
    package init() {}

    /// Names of fields that belong to the mbox and not to the message, in lower case.
    static let fields: Set<String> = [
        "status", "x-status", "x-keywords", "x-uid", "x-imap", "x-imapbase", "content-length",
    ]

    /// - Parameters:
    ///   - name: in lower case.
    ///   - body: what stands after the colon, unfolded or not.
    mutating func take(_ name: String, _ body: [UInt8]) {
        let text = String(decoding: body, as: UTF8.self)
        switch name {
        case "status":
            if text.contains("R") { flags.insert(.seen) }
            if text.contains("O") { isOld = true }
        case "x-status":
            for (letter, flag) in Self.letters where text.contains(letter) { flags.insert(flag) }
        case "x-keywords":
            for word in Self.words(text) where keywords.count < MIMELimits.keywordsMax {
                guard let keyword = Keyword(word), !keywords.contains(keyword) else { continue }
                keywords.append(keyword)
            }
        case "x-uid":
            if let number = Self.words(text).first.flatMap({ UInt32($0) }), number > 0 { uid = UID(number) }
        case "x-imap", "x-imapbase":
            let words = Self.words(text)
            guard words.count >= 2, let validity = UInt32(words[0]), let last = UInt32(words[1]), validity > 0 else {
                return
            }
            uidValidity = UIDValidity(validity)
            lastUID = last
            if name == "x-imap" { isMailboxData = true }
        case "content-length": contentLength = Self.words(text).first.flatMap { Int($0) }
        case "date": date = MessageDate.parse(body)
        default: break
        }
    }

    private static let letters: [(String, SystemFlags)] = [
        ("A", .answered), ("F", .flagged), ("T", .draft), ("D", .deleted),
    ]

    private static func words(_ text: String) -> [String] {
        text.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r\n" || $0 == "\n" || $0 == "\r" }).map(
            String.init)
    }
}
