import MailTypes
import Octets

/// The messages of a maildrop as they were at login (RFC 1939 section 4): 8 octets each, whatever the session does.
package struct POP3Maildrop: Equatable, Sendable {
    package struct Message: Equatable, Sendable {
        package let uid: UID
        /// As stored and as sent, without stuffed dots.
        package let octets: UInt32

        package init(uid: UID, octets: UInt32) {
            self.uid = uid
            self.octets = octets
        }
    }

    package let uidValidity: UIDValidity
    /// Message number n is at index n - 1.
    package let messages: [Message]
    /// Unique-ids that came from another server with the message; the others are made from UID and UIDVALIDITY.
    package let importedUniqueIDs: [UID: String]

    /// - Parameter importedUniqueIDs: 1 to 70 octets of 0x21...0x7E each, no two alike (RFC 1939 section 7). One that is not
    ///   so is passed over, of two alike the second, and one that has the form of those made here: it may be another's.
    package init(uidValidity: UIDValidity, messages: [Message], importedUniqueIDs: [UID: String] = [:]) {
        self.uidValidity = uidValidity
        self.messages = messages
        guard !importedUniqueIDs.isEmpty else {
            self.importedUniqueIDs = [:]
            return
        }
        var taken: Set<String> = []
        var kept: [UID: String] = [:]
        for message in messages {
            guard let text = importedUniqueIDs[message.uid], UniqueID.isValid(text),
                !Self.isMade(text, uidValidity), taken.insert(text).inserted
            else { continue }
            kept[message.uid] = text
        }
        self.importedUniqueIDs = kept
    }

    /// The unique-id of RFC 1939 section 7: stable for ever, eight hexadecimal digits of UID and eight of UIDVALIDITY.
    package func uniqueID(at index: Int) -> String {
        let uid = messages[index].uid
        return importedUniqueIDs[uid] ?? Self.uniqueID(uid, uidValidity)
    }

    /// What a message gets that came without one.
    private static func uniqueID(_ uid: UID, _ validity: UIDValidity) -> String {
        Hex.encode(uid.rawValue, width: 8) + Hex.encode(validity.rawValue, width: 8)
    }

    /// Whether some message of the mailbox gets this one, now or later.
    private static func isMade(_ text: String, _ validity: UIDValidity) -> Bool {
        guard text.utf8.count == 16, let uid = UInt32(text.prefix(8), radix: 16) else { return false }
        return text == uniqueID(UID(uid), validity)
    }
}

/// A maildrop with the marks of DELE on it.
struct MaildropView: Equatable, Sendable {
    let maildrop: POP3Maildrop
    /// A bit per message; empty while nothing is marked.
    private var deletedBits: [UInt64] = []
    /// Messages that are not marked, and their octets.
    private(set) var count: Int
    private(set) var octets: UInt64

    init(_ maildrop: POP3Maildrop) {
        self.maildrop = maildrop
        count = maildrop.messages.count
        octets = maildrop.messages.reduce(0) { $0 + UInt64($1.octets) }
    }

    var hasDeleted: Bool { count < maildrop.messages.count }

    func isDeleted(_ index: Int) -> Bool {
        !deletedBits.isEmpty && deletedBits[index / 64] >> UInt64(index % 64) & 1 == 1
    }

    mutating func delete(_ index: Int) {
        guard !isDeleted(index) else { return }
        if deletedBits.isEmpty { deletedBits = [UInt64](repeating: 0, count: (maildrop.messages.count + 63) / 64) }
        deletedBits[index / 64] |= 1 << UInt64(index % 64)
        count -= 1
        octets -= UInt64(maildrop.messages[index].octets)
    }

    mutating func undeleteAll() { self = MaildropView(maildrop) }

    var deletedUIDs: UIDSet {
        UIDSet(maildrop.messages.indices.lazy.filter(isDeleted).map { maildrop.messages[$0].uid })
    }
}
