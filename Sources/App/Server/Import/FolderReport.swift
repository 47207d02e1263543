import Digests
import MailTypes
import Octets

/// What became of one folder of an import: counts, what differs, and a hash over what is there.
struct FolderReport {
    var name: MailboxName
    /// What is counted, for a person.
    var unit = "messages"
    /// In the source.
    var found = 0
    var imported = 0
    /// Were there already, from a run before.
    var present = 0
    /// Octets brought in.
    var octets = 0
    /// UIDs and UIDVALIDITY are those of the source.
    var keepsUIDs = false
    /// Messages whose UID was taken here, so that they have another.
    var renumbered = 0
    /// Had other flags in the source than at the last run, and have them here now.
    var flagsChanged = 0
    /// Are no longer in the source; they stay here.
    var goneFromSource = 0
    /// Came, and have been removed here since.
    var goneFromHere = 0
    /// What is not in the mailbox as it is in the source, with the reason.
    var missing: [(path: String, reason: String)] = []
    /// SHA-256 over the SHA-256 of each message that is in the source and in the mailbox, in the order of the source.
    var hash = SHA256Hasher()

    var sha256: String { hash.finalize().withBytes { Hex.encode(Array($0)) } }

    /// One line for a person.
    var text: String {
        var text =
            "\(name)  \(found) \(unit), \(imported) imported, \(present) there before, \(missing.count) missing, "
            + "\(octets) octets, UIDs \(keepsUIDs ? "kept" : "new")"
        if renumbered > 0 { text += " but for \(renumbered)" }
        if flagsChanged > 0 { text += ", \(flagsChanged) with other flags" }
        if goneFromSource > 0 { text += ", \(goneFromSource) gone from the source" }
        if goneFromHere > 0 { text += ", \(goneFromHere) removed here since" }
        return text + ", sha256 \(sha256)"
    }

    func value(_ address: String) -> JSONValue {
        [
            "address": .string(address), "mailbox": .string(name.description), "found": .count(found),
            "imported": .count(imported), "present": .count(present), "missing": .count(missing.count),
            "octets": .count(octets), "keeps_uids": .bool(keepsUIDs), "renumbered": .count(renumbered),
            "flags_changed": .count(flagsChanged), "gone_from_source": .count(goneFromSource),
            "gone_from_here": .count(goneFromHere), "sha256": .string(sha256),
        ]
    }

    /// What differs, as lines of an answer; not more than a list may have.
    func complaints(_ address: String) -> [(text: String, value: JSONValue)] {
        missing.prefix(ServerLimits.importErrorsListedMax).map { path, reason in
            (
                "\(path): \(reason)",
                ["address": .string(address), "file": .string(path), "error": .string(reason)]
            )
        }
    }
}
