// The lists that other programs keep beside the messages of a Maildir, as an import reads them.
//
// - Dovecot: `dovecot-uidlist` versions 1 and 3 (UIDs, UIDVALIDITY, UIDNEXT, POP3 UIDLs), `subscriptions`.
// - Courier: `courierimapuiddb`, `courierpop3dsizelist` (POP3 UIDLs), `courierimapsubscribed`.
import Foundation
import MailTypes
import Octets

/// What the lists of a folder say of its messages, by the names of their files without flags.
struct MaildirUIDs {
    var uidValidity: UIDValidity?
    /// The UID after the last that was given.
    var uidNext: UInt32?
    var uids: [String: UID] = [:]
    /// What POP3 clients know them by (RFC 1939 section 7).
    var uidls: [String: String] = [:]

    /// Dovecot appends lines under an older head, so the last of them may say more.
    mutating func setNext(_ head: Substring?) {
        let said = head.flatMap { UInt32($0) } ?? 0
        let last = uids.values.reduce(0) { max($0, $1.rawValue) }
        let next = max(said, last < .max ? last + 1 : last)
        uidNext = next > 1 ? next : nil
    }
}

extension MaildirSource {
    /// The lines of a list beside the messages; none when it is missing.
    static func lines(_ path: String) throws -> [Substring] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        let data = try InputFile.octets(path, octetsMax: ServerLimits.importListOctetsMax)
        return String(decoding: data, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// What the head of a folder's list says, without its lines.
    static func uidValidity(_ folder: MaildirFolder) -> UIDValidity? {
        for name in ["dovecot-uidlist", "courierimapuiddb"] {
            guard let handle = try? InputFile.open(folder.path + "/" + name),
                let head = try? handle.read(upToCount: 1024),
                let line = String(decoding: head, as: UTF8.self).split(separator: "\n", maxSplits: 1).first
            else { continue }
            return dovecotUIDs(line, []).uidValidity
        }
        return nil
    }

    static func uids(_ folder: MaildirFolder) throws -> MaildirUIDs {
        let dovecot = try lines(folder.path + "/dovecot-uidlist")
        if let header = dovecot.first, !header.isEmpty { return dovecotUIDs(header, dovecot.dropFirst()) }
        var uids = MaildirUIDs()
        uids.uidls = courierUIDLs(try lines(folder.path + "/courierpop3dsizelist"))
        let courier = try lines(folder.path + "/courierimapuiddb")
        guard let words = courier.first?.split(separator: " "), words.count >= 3, words[0] == "1" else { return uids }
        uids.uidValidity = validity(words[1])
        for line in courier.dropFirst() { plain(line, &uids) }
        uids.setNext(words[2])
        return uids
    }

    private static func dovecotUIDs(_ header: Substring, _ lines: ArraySlice<Substring>) -> MaildirUIDs {
        var uids = MaildirUIDs()
        let words = header.split(separator: " ")
        if words.first == "1", words.count >= 3 {
            uids.uidValidity = validity(words[1])
            for line in lines { plain(line, &uids) }
            uids.setNext(words[2])
            return uids
        }
        guard words.first == "3" else { return uids }
        uids.uidValidity = words.first { $0.hasPrefix("V") }.flatMap { validity($0.dropFirst()) }
        for line in lines {
            guard let colon = line.range(of: " :") else { continue }
            let fields = line[..<colon.lowerBound].split(separator: " ")
            guard let uid = fields.first.flatMap({ UInt32($0) }), uid > 0 else { continue }
            let base = base(line[colon.upperBound...])
            uids.uids[base] = UID(uid)
            if let uidl = fields.dropFirst().first(where: { $0.hasPrefix("P") }) {
                uids.uidls[base] = String(uidl.dropFirst())
            }
        }
        uids.setNext(words.first { $0.hasPrefix("N") }?.dropFirst())
        return uids
    }

    private static func validity(_ text: Substring) -> UIDValidity? {
        UInt32(text).flatMap { $0 > 0 ? UIDValidity($0) : nil }
    }

    /// `UID NAME`.
    private static func plain(_ line: Substring, _ uids: inout MaildirUIDs) {
        let words = line.split(separator: " ", maxSplits: 1)
        guard words.count == 2, let uid = UInt32(words[0]), uid > 0 else { return }
        uids.uids[base(words[1])] = UID(uid)
    }

    /// A head `/VERSION NEXT VALIDITY`, then `FILE OCTETS NUMBER:VALIDITY:UTF8` for each message. Courier's POP3 server says
    /// `UIDnumber-validity`, without the validity where the list has none, and the name of the file where it has no number.
    private static func courierUIDLs(_ lines: [Substring]) -> [String: String] {
        guard lines.first?.first == "/" else { return [:] }
        var uidls: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let last = line.lastIndex(of: " "), let middle = line[..<last].lastIndex(of: " ") else { continue }
            let base = base(line[..<middle])
            let numbers = line[line.index(after: last)...].split(separator: ":").map { UInt64($0) }
            switch (numbers.first ?? nil, numbers.count > 1 ? numbers[1] : 0) {
            case (let number?, let validity?) where number > 0:
                uidls[base] = "UID\(number)" + (validity > 0 ? "-\(validity)" : "")
            case (0?, _): uidls[base] = courierUIDL(base)
            default: continue
            }
        }
        return uidls
    }

    /// Of the name of a file: octets that are not printable, quotes and plus signs are `+` and two digits.
    private static func courierUIDL(_ base: String) -> String {
        var text: [UInt8] = []
        for octet in base.utf8 {
            let isPlain = (0x21...0x7E).contains(octet) && ![0x22, 0x27, 0x2B].contains(octet)
            if isPlain { text.append(octet) } else { text += [0x2B] + Array(Hex.encode([octet]).uppercased().utf8) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Names of mailboxes that are subscribed to.
    func subscriptions() throws -> [MailboxName] {
        var names: [MailboxName] = []
        let dovecot = try Self.lines(root + "/subscriptions")
        if dovecot.first == "V\t2" {
            for line in dovecot.dropFirst() where !line.isEmpty {
                let parts = line.split(separator: "\t").map { part in
                    Self.unescaped(ModifiedUTF7.decode(String(part)) ?? String(part))
                }
                if let name = MailboxName(components: parts) { names.append(name) }
            }
        } else {
            names += dovecot.filter { !$0.isEmpty }.compactMap { Self.mailbox($0) }
        }
        for line in try Self.lines(root + "/courierimapsubscribed") where !line.isEmpty {
            let name = line.hasPrefix("INBOX.") ? line.dropFirst(6) : line
            if let name = Self.mailbox(name) { names.append(name) }
        }
        return names
    }
}
