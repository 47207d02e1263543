// The mailboxes of a source: which there are, and what they are called here.
//
// A name of a source is a path of parts between its separator, in modified UTF-7, perhaps under the prefix of the person's
// own namespace (`INBOX.` of Courier). Here it is a path of parts between `/`, so what a part cannot hold is written
// otherwise, and two names never become one: the second is told and left out.
import Foundation
import IMAP
import MailTypes
import Octets

struct SourceNames {
    private(set) var folders: [SourceFolder] = []
    private(set) var subscriptions: [MailboxName] = []
    /// Names that cannot be had here, with the reason.
    private(set) var refused: [(name: String, reason: String)] = []
    private var namespaces = IMAPNamespaces(personal: [], others: [], shared: [])

    init(_ connection: SourceConnection) throws {
        if connection.has("NAMESPACE") {
            var found: IMAPNamespaces?
            try connection.run(.plain(connection.tag(), "NAMESPACE")) { event in
                if case .response(.namespace(let places)) = event { found = places }
            }
            if let found { namespaces = found }
        }
        let special = connection.has("SPECIAL-USE") && (connection.has("LIST-EXTENDED") || connection.has("IMAP4REV2"))
        try add(try Self.lines(connection, .list(connection.tag(), special: special)))
        for line in try Self.lines(connection, .lsub(connection.tag())) {
            if let name = mailboxName(line), !subscriptions.contains(name) { subscriptions.append(name) }
        }
    }

    /// Of lines alone, for tests.
    init(_ lines: [IMAPListedMailbox], _ namespaces: IMAPNamespaces) throws {
        self.namespaces = namespaces
        try add(lines)
    }

    private static func lines(
        _ connection: SourceConnection, _ command: IMAPClientCommand
    ) throws -> [IMAPListedMailbox] {
        var lines: [IMAPListedMailbox] = []
        try connection.run(command) { event in
            guard case .response(.list(let line)) = event else { return }
            guard lines.count < ServerLimits.importFoldersMax else {
                throw AdministrationFailure("the source lists more than \(ServerLimits.importFoldersMax) folders")
            }
            lines.append(line)
        }
        return lines
    }

    private mutating func add(_ lines: [IMAPListedMailbox]) throws {
        var taken: Set<MailboxName> = []
        for line in lines where isOwn(line) {
            if line.attributes.contains("\\noselect") || line.attributes.contains("\\nonexistent") { continue }
            let shown = String(decoding: line.name, as: UTF8.self)
            guard let name = mailboxName(line) else {
                refused.append((shown, "no name for a mailbox"))
                continue
            }
            guard taken.insert(name).inserted else {
                // A server may list INBOX twice, once in its own case.
                if !name.isInbox { refused.append((shown, "another folder is called \(name) here")) }
                continue
            }
            let use = SpecialUse.allCases.first { line.attributes.contains($0.attribute.lowercased()) }
            folders.append(SourceFolder(rawName: line.name, name: name, specialUse: use))
        }
        // Parents first: what is made under a name makes the name above.
        folders.sort {
            ($0.name.components.count, $0.name.description) < ($1.name.components.count, $1.name.description)
        }
    }

    /// Not another person's, and not shared.
    private func isOwn(_ line: IMAPListedMailbox) -> Bool {
        !(namespaces.others + namespaces.shared).contains { place in
            !place.prefix.isEmpty
                && (line.name.starts(with: place.prefix) || line.name == Array(place.prefix.dropLast()))
        }
    }

    private func mailboxName(_ line: IMAPListedMailbox) -> MailboxName? {
        var octets = line.name[...]
        if Self.isInbox(octets) { return .inbox }
        let prefix = namespaces.personal.map(\.prefix).filter { !$0.isEmpty && line.name.starts(with: $0) }
            .max { $0.count < $1.count }
        if let prefix { octets = octets.dropFirst(prefix.count) }
        guard !octets.isEmpty else { return nil }
        let parts =
            line.separator.map { separator in
                octets.split(separator: separator, omittingEmptySubsequences: false)
            } ?? [octets]
        var components: [String] = []
        for part in parts {
            // Servers let clients make names that are no modified UTF-7: they stand for themselves.
            let text =
                ModifiedUTF7.decode(part) ?? String(validating: part, as: UTF8.self)
                ?? String(part.map { Character(UnicodeScalar($0)) })
            components.append(String(text.map { $0 == "/" ? "_" : $0 }))
        }
        return MailboxName(components: components)
    }

    private static func isInbox(_ octets: ArraySlice<UInt8>) -> Bool {
        octets.count == 5 && String(decoding: octets, as: UTF8.self).uppercased() == "INBOX"
    }
}
