// How far the tree is as the running system shows it, in `.letterlog/reached` under the root: a line with the boot, then
// the lines of a checkpoint. Written after each slice while there are two-way accounts.
//
// What a killed node has written stands in the page cache, so for one that comes back on the same boot the mark is true
// although nothing was synced: a file that the log says was projected and that is not there was taken by another program.
// After a power cut the boot is another one, the mark counts for nothing, and what came after the checkpoint is in doubt.
import EventStore
import Glibc

struct MaildirMark: Equatable {
    private static let fileName = "reached"

    /// Of the running kernel.
    var boot: String
    var reached: MaildirCheckpoint

    static func load(_ directory: String, _ disk: MaildirDisk) throws -> MaildirMark? {
        guard let bytes = try disk.read("\(directory)/\(fileName)", limit: MaildirLimits.listTailOctets),
            let text = String(validating: bytes, as: UTF8.self), text.hasPrefix("boot "),
            let end = text.firstIndex(of: "\n"),
            let reached = MaildirCheckpoint(text: String(text[text.index(after: end)...]))
        else { return nil }
        return MaildirMark(boot: String(text[..<end].dropFirst(5)), reached: reached)
    }

    func store(in directory: String, _ disk: MaildirDisk) throws {
        try disk.replaceLightly(directory, Self.fileName, with: "boot \(boot)\n\(reached.text)")
    }

    static func remove(in directory: String, _ disk: MaildirDisk) throws { try disk.remove("\(directory)/\(fileName)") }
}

extension MaildirOptions {
    /// What tells this boot of the machine from others; nil where the system does not say.
    package static func currentBoot() -> String? {
        let descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return nil }
        let text = String(decoding: bytes[..<count].filter { $0 > 0x20 }, as: UTF8.self)
        return text.isEmpty ? nil : text
    }
}
