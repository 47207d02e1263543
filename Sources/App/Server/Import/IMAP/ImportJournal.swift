// Which message of a source became which of ours, and with what flags: one file for each folder, beside the store's data.
//
//     letterlog-import 1 SOURCE-UIDVALIDITY MAILBOX UIDVALIDITY
//     m UID OUR-UID FLAGS KEYWORD...     a message; the last line of a UID counts
//     s MODSEQ UIDNEXT MESSAGES OURS     the source was wholly compared at that state, and ours was at MODSEQ `OURS`
//
// Each line ends with a space and its CRC-32C. What follows the first line that does not is dropped: a line is written
// after the commit it tells of, so a crash can only lose lines. What is lost is found again by the hashes of the
// messages, as all of it is when the file is lost; so it needs no flush.
import Digests
import Foundation
import Glibc
import MailCore
import MailTypes
import Octets

final class ImportJournal {
    struct Entry: Equatable {
        var uid: UID
        var flags: SystemFlags
        var keywords: [Keyword]
    }

    struct Settled: Equatable {
        var modSeq: UInt64
        var uidNext: UInt32
        var exists: UInt32
        var ours: ModSeq
    }

    private let path: String
    private let header: String
    private var descriptor: Int32 = -1
    private var pending: [UInt8] = []
    private(set) var entries: [UInt32: Entry] = [:]
    private(set) var settled: Settled?

    /// - Parameter identity: host, user and folder.
    init(
        directory: String, account: AccountID, identity: String, sourceValidity: UInt32, _ mailbox: ImportMailbox
    ) throws(AdministrationFailure) {
        let name = SHA256Digest.of(Array(identity.utf8)).withBytes { Hex.encode(Array($0.prefix(16))) }
        path = "\(Self.folder(directory, account))/\(name)"
        header = "letterlog-import 1 \(sourceValidity) \(mailbox.id.rawValue) \(mailbox.uidValidity.rawValue)"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure() }
        let (good, lines) = try load()
        if good == 0 || lines > 2 * entries.count + 1_000 { try rewrite() } else { try cut(good) }
    }

    /// Where the journals of an account are, made when it is missing.
    static func folder(_ directory: String, _ account: AccountID) -> String {
        let folder = "\(directory)/import/\(account.rawValue)"
        try? FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        return folder
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    private func failure() -> AdministrationFailure {
        AdministrationFailure("\(path): \(String(cString: strerror(errno)))")
    }

    // MARK: Reading

    /// Octets of the lines that hold, and how many there are; 0 when the file is about something else.
    private func load() throws(AdministrationFailure) -> (octets: Int, lines: Int) {
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: false)
        let data = (try? handle.read(upToCount: ServerLimits.importJournalOctetsMax)) ?? Data()
        var good = 0
        var lines = 0
        var isFirst = true
        data.withUnsafeBytes { octets in
            while let feed = octets[good...].firstIndex(of: 0x0A) {
                let line = UnsafeRawBufferPointer(rebasing: octets[good..<feed])
                guard let text = Self.checked(line) else { return }
                if isFirst {
                    guard text == header else { return }
                    isFirst = false
                } else {
                    take(text)
                }
                lines += 1
                good = feed + 1
            }
        }
        return (good, lines)
    }

    /// The line without its checksum; nil when that is another's.
    private static func checked(_ line: UnsafeRawBufferPointer) -> String? {
        guard line.count > 9, line[line.count - 9] == 0x20 else { return nil }
        let body = UnsafeRawBufferPointer(rebasing: line[..<(line.count - 9)])
        let sum = UInt32(String(decoding: line[(line.count - 8)...], as: UTF8.self), radix: 16)
        guard sum == CRC32C.checksum(body) else { return nil }
        return String(decoding: body, as: UTF8.self)
    }

    private func take(_ line: String) {
        let words = line.split(separator: " ")
        switch words.first {
        case "m":
            guard words.count >= 4, let source = UInt32(words[1]), let uid = UInt32(words[2]), uid > 0,
                let flags = UInt8(words[3])
            else { return }
            entries[source] = Entry(
                uid: UID(uid), flags: SystemFlags(rawValue: flags),
                keywords: words[4...].compactMap { Keyword(String($0)) })
        case "s":
            let numbers = words.dropFirst().compactMap { UInt64($0) }
            guard numbers.count == 4 else { return }
            settled = Settled(
                modSeq: numbers[0], uidNext: UInt32(clamping: numbers[1]), exists: UInt32(clamping: numbers[2]),
                ours: ModSeq(numbers[3]))
        default: return
        }
    }

    // MARK: Writing

    func put(_ source: UInt32, _ entry: Entry) {
        entries[source] = entry
        line(Self.text(source, entry))
    }

    func settle(_ state: Settled) {
        settled = state
        line("s \(state.modSeq) \(state.uidNext) \(state.exists) \(state.ours.rawValue)")
    }

    private static func text(_ source: UInt32, _ entry: Entry) -> String {
        var text = "m \(source) \(entry.uid.rawValue) \(entry.flags.rawValue)"
        for keyword in entry.keywords { text += " \(keyword.name)" }
        return text
    }

    private func line(_ text: String) {
        let octets = Array(text.utf8)
        pending += octets
        pending += Array(" \(Hex.encode(CRC32C.checksum(octets), width: 8))\n".utf8)
    }

    /// Hands the lines to the system.
    func flush() throws(AdministrationFailure) {
        var written = 0
        while written < pending.count {
            let count = pending[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure() }
            written += count
        }
        pending.removeAll(keepingCapacity: true)
    }

    private func cut(_ octets: Int) throws(AdministrationFailure) {
        guard ftruncate(descriptor, off_t(octets)) == 0, lseek(descriptor, 0, Int32(SEEK_END)) >= 0 else {
            throw failure()
        }
    }

    /// Begins the file anew with what counts; a crash on the way leaves the old one.
    private func rewrite() throws(AdministrationFailure) {
        let fresh = path + ".new"
        let old = descriptor
        descriptor = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        close(old)
        guard descriptor >= 0 else { throw failure() }
        pending = []
        line(header)
        for (source, entry) in entries.sorted(by: { $0.key < $1.key }) {
            line(Self.text(source, entry))
        }
        if let settled { settle(settled) }
        try flush()
        guard rename(fresh, path) == 0 else { throw failure() }
    }
}
