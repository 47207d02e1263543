// One mailbox of a source as it is selected: its figures, and the list of its messages without their texts.
import Foundation
import IMAP
import MailTypes

/// A mailbox as LIST has it, and where it goes.
struct SourceFolder: Sendable {
    /// As it came.
    var rawName: [UInt8]
    var name: MailboxName
    var specialUse: SpecialUse?
    /// As STATUS has it: not every server says it of a mailbox that is opened.
    var uidNext: UInt32 = 0

    /// For a person.
    var shown: String { String(decoding: rawName, as: UTF8.self) }
}

/// What EXAMINE says.
struct SourceFigures {
    var exists: UInt32 = 0
    var uidValidity: UInt32 = 0
    var uidNext: UInt32 = 0
    /// 0 where the server does not count changes.
    var modSeq: UInt64 = 0
}

/// A message without its text.
struct ListedMessage {
    var uid: UInt32
    var flags: SystemFlags
    var keywords: [Keyword]
    var oddFlags: Int
    var date: InternalDate?
    var size: UInt32
}

extension SourceConnection {
    /// - Returns: nil with the server's words when it does not open the folder.
    func examine(_ folder: SourceFolder) throws -> (figures: SourceFigures?, text: String) {
        var figures = SourceFigures()
        let status = try outcome(.examine(tag(), folder.rawName, condstore: has("CONDSTORE"))) { event in
            switch event {
            case .response(.exists(let count)): figures.exists = count
            case .response(.status(let status)):
                switch status.code {
                case .uidValidity(let value): figures.uidValidity = value
                case .uidNext(let value): figures.uidNext = value
                case .highestModSeq(let value): figures.modSeq = value
                default: break
                }
            default: break
            }
        }
        return status.kind == .ok ? (figures, "") : (nil, status.text)
    }

    /// Every message, ascending by UID.
    /// - Throws: when the server lists another number than it says there are.
    func listing(_ figures: SourceFigures) throws -> [ListedMessage] {
        guard figures.exists > 0 else { return [] }
        guard figures.exists <= ServerLimits.importFolderMessagesMax else {
            throw AdministrationFailure(
                "the source says it has \(figures.exists) messages in one folder; "
                    + "\(ServerLimits.importFolderMessagesMax) are the most")
        }
        var exists = Int(figures.exists)
        var listed: [ListedMessage] = []
        listed.reserveCapacity(min(exists, 100_000))
        try run(.fetchListing(tag())) { event in
            switch event {
            case .response(.exists(let count)): exists = min(Int(count), ServerLimits.importFolderMessagesMax)
            case .response(.expunged): exists -= 1
            case .response(.fetch(let message)):
                // Without a UID or a size it tells of a change that nobody asked for.
                guard let uid = message.uid, let flags = message.flags, let size = message.size else { return }
                listed.append(
                    ListedMessage(
                        uid: uid.rawValue, flags: flags, keywords: message.keywords, oddFlags: message.oddFlags,
                        date: message.date, size: size))
                guard listed.count <= 2 * exists + 1_000 else {
                    throw AdministrationFailure("the source lists more messages than it says it has")
                }
            case .bodyBegan: throw AdministrationFailure("the source sends a text that nobody asked for")
            default: break
            }
        }
        listed.sort { $0.uid < $1.uid }
        // A message that was listed again, since its flags changed meanwhile.
        var unique: [ListedMessage] = []
        unique.reserveCapacity(listed.count)
        for message in listed {
            if unique.last?.uid == message.uid { unique[unique.count - 1] = message } else { unique.append(message) }
        }
        guard unique.count == exists else {
            throw AdministrationFailure("the source lists \(unique.count) messages and says it has \(exists)")
        }
        return unique
    }
}
