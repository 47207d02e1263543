// A Maildir tree of another program as an import reads it: Maildir++ folders, the lists that Dovecot and Courier keep beside
// the messages, and the messages with what their names say. Nothing is changed in the tree, and what cannot be read is told.
//
// UIDs and subscriptions are in MaildirUIDs.swift; keywords are in `dovecot-keywords` and `courierimapkeywords/:list`.
import Foundation
import Glibc
import MailTypes
import Octets

/// A folder of the tree.
struct MaildirFolder {
    var name: MailboxName
    var path: String
}

/// A message file.
struct MaildirMessage {
    var path: String
    /// Its name without flags, by which lists know it.
    var base: String
    var flags: SystemFlags
    var keywords: [Keyword]
    var date: InternalDate
    var uid: UID?
    var uidl: String?
}

struct MaildirSource {
    let root: String
    private(set) var folders: [MaildirFolder] = []
    /// Directories that look like folders and have no name that a mailbox can have.
    private(set) var unnamed: [String] = []

    /// - Throws: when there is no Maildir.
    init(_ path: String) throws(AdministrationFailure) {
        root = path
        guard Self.isMaildir(path) else {
            throw AdministrationFailure("\(path) is no Maildir: it has no directory cur and new")
        }
        folders = [MaildirFolder(name: .inbox, path: path)]
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        for name in names.sorted() where name.hasPrefix(".") && Self.isMaildir(path + "/" + name) {
            guard let mailbox = Self.mailbox(name.dropFirst()), !mailbox.isInbox else {
                unnamed.append(name)
                continue
            }
            folders.append(MaildirFolder(name: mailbox, path: path + "/" + name))
        }
    }

    private static func isMaildir(_ path: String) -> Bool {
        ["cur", "new"].allSatisfy { name in
            var isDirectory: ObjCBool = false
            return FileManager.default.fileExists(atPath: path + "/" + name, isDirectory: &isDirectory)
                && isDirectory.boolValue
        }
    }

    /// `A.B` in modified UTF-7, with `\2e` for a dot within a component (Dovecot's listescape); in UTF-8 where it is no
    /// modified UTF-7, as Courier has it.
    static func mailbox(_ name: some StringProtocol) -> MailboxName? {
        var components: [String] = []
        for part in name.split(separator: ".", omittingEmptySubsequences: false) {
            components.append(unescaped(ModifiedUTF7.decode(String(part)) ?? String(part)))
        }
        return MailboxName(components: components)
    }

    static func unescaped(_ text: String) -> String {
        var octets: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let octet = rest.popFirst() {
            if octet == 0x5C, rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                octets.append(value)
                rest = rest.dropFirst(2)
            } else {
                octets.append(octet)
            }
        }
        return String(decoding: octets, as: UTF8.self)
    }

    // MARK: Messages

    /// In the order in which they are to be appended: by UID, then those that no list knows by date and name.
    static func messages(_ folder: MaildirFolder, _ uids: MaildirUIDs) throws -> [MaildirMessage] {
        let letters = try dovecotKeywords(folder)
        let named = try courierKeywords(folder)
        var messages: [MaildirMessage] = []
        for part in ["new", "cur"] {
            let directory = folder.path + "/" + part
            for name in try FileManager.default.contentsOfDirectory(atPath: directory) where !name.hasPrefix(".") {
                let path = directory + "/" + name
                var status = stat()
                guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
                let base = base(name)
                let (flags, keywords) = marks(name, letters)
                messages.append(
                    MaildirMessage(
                        path: path, base: base, flags: flags, keywords: keywords + (named[base] ?? []),
                        date: InternalDate(time: Timestamp(seconds: Int64(status.st_mtim.tv_sec))),
                        uid: uids.uids[base],
                        uidl: uids.uidls[base]))
            }
        }
        return messages.sorted { a, b in
            switch (a.uid, b.uid) {
            case (let a?, let b?): a < b
            case (nil, nil): (a.date.time.rawValue, a.base) < (b.date.time.rawValue, b.base)
            default: a.uid != nil
            }
        }
    }

    /// The name up to its flags: `:2,` or, on file systems that take no colon, `;2,`.
    static func base(_ name: some StringProtocol) -> String {
        for mark in [":2,", ";2,"] {
            if let range = name.range(of: mark) { return String(name[..<range.lowerBound]) }
        }
        return String(name)
    }

    private static func marks(_ name: String, _ letters: [Character: Keyword]) -> (SystemFlags, [Keyword]) {
        var flags: SystemFlags = []
        var keywords: [Keyword] = []
        guard let range = name.range(of: ":2,") ?? name.range(of: ";2,") else { return (flags, keywords) }
        for letter in name[range.upperBound...].prefix(while: { $0 != "," }) {
            switch letter {
            case "D": flags.insert(.draft)
            case "F": flags.insert(.flagged)
            case "R": flags.insert(.answered)
            case "S": flags.insert(.seen)
            case "T": flags.insert(.deleted)
            case "P": if let forwarded = Keyword("$Forwarded") { keywords.append(forwarded) }
            default:
                if let keyword = letters[letter], !keywords.contains(keyword) { keywords.append(keyword) }
            }
        }
        return (flags, keywords)
    }

    /// Lines `NUMBER NAME`; number 0 is the letter `a`.
    private static func dovecotKeywords(_ folder: MaildirFolder) throws -> [Character: Keyword] {
        var letters: [Character: Keyword] = [:]
        for line in try lines(folder.path + "/dovecot-keywords") {
            let words = line.split(separator: " ", maxSplits: 1)
            guard words.count == 2, let number = UInt8(words[0]), number < 26, let keyword = Keyword(String(words[1]))
            else { continue }
            letters[Character(UnicodeScalar(0x61 + number))] = keyword
        }
        return letters
    }

    /// Names of keywords, an empty line, then `FILE:NUMBER NUMBER`. Beside the list, a file with a message's name has its
    /// keywords, one on a line, since they changed after the list was written.
    private static func courierKeywords(_ folder: MaildirFolder) throws -> [String: [Keyword]] {
        let directory = folder.path + "/courierimapkeywords"
        var found = try courierKeywordList(directory + "/:list")
        for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        where !name.hasPrefix(".") && name != ":list" {
            found[base(name)] = try lines(directory + "/" + name).compactMap { Keyword(String($0)) }
        }
        return found
    }

    private static func courierKeywordList(_ path: String) throws -> [String: [Keyword]] {
        let lines = try lines(path)
        guard let blank = lines.firstIndex(of: "") else { return [:] }
        let names = lines[..<blank].map { Keyword(String($0)) }
        var found: [String: [Keyword]] = [:]
        for line in lines[(blank + 1)...] {
            guard let colon = line.lastIndex(of: ":") else { continue }
            let numbers = line[line.index(after: colon)...].split(separator: " ").compactMap { Int($0) }
            found[base(line[..<colon])] = numbers.compactMap { names.indices.contains($0) ? names[$0] : nil }
        }
        return found
    }
}
