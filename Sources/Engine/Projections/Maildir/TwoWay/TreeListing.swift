// What lies in a folder, for the merge: files of ours taken apart, and the others with what tells whether one is still
// the same file when it is looked at again.
import Glibc
import MailTypes

/// A file that the projection did not make, or that it made for another folder.
struct ForeignFile: Sendable {
    /// Of one file: the same at two looks means that nobody is writing to it.
    struct Identity: Sendable {
        var inode: UInt64
        var octets: UInt64
        /// Nanoseconds since 1970.
        var modified: Int64
        /// Seconds since 1970 of its last renaming or change.
        var changed: Int64
        /// Names that it has.
        var links: Int

        /// The same file, and nobody has written to it between.
        func isUntouched(since other: Identity) -> Bool {
            inode == other.inode && octets == other.octets && modified == other.modified
        }
    }

    /// Below the folder.
    var path: String
    /// Its name without what stands behind `:2,`.
    var base: String
    var isNew: Bool
    /// Behind `:2,`, as far as they are ones that we know.
    var letters: MaildirLetters
    /// Its number for mbsync; 0 without.
    var mark: UInt32
    /// The name, when it is one that the projection gives.
    var name: MaildirName?
    var identity: Identity
    /// Other names of the same file in the same folder, below the folder.
    var twins: [String] = []

    init(path: String, isNew: Bool, identity: Identity) {
        self.path = path
        self.isNew = isNew
        self.identity = identity
        let file = Array(path.utf8.drop { $0 != 0x2F }.dropFirst())
        let parsed = MaildirFile(parsing: file)
        name = parsed?.name
        let end = Self.infoStart(file) ?? file.count
        letters = MaildirLetters(spelled: file[min(file.count, end + 3)...].prefix { $0 != 0x2C })
        let base = String(decoding: file[..<end], as: UTF8.self)
        self.base = base
        mark = parsed?.mark ?? Self.mark(base)
    }

    /// Where the last `:2,` stands.
    private static func infoStart(_ name: [UInt8]) -> Int? {
        name.indices.reversed().first { at in
            name[at] == 0x3A && at + 2 < name.count && name[at + 1] == 0x32 && name[at + 2] == 0x2C
        }
    }

    private static func mark(_ base: String) -> UInt32 {
        guard let field = base.split(separator: ",").dropFirst().last(where: { $0.hasPrefix("U=") }) else { return 0 }
        return UInt32(field.dropFirst(2)) ?? 0
    }
}

/// One look at a folder.
struct TreeListing {
    /// Ascending by UID.
    var files: [TreeFile] = []
    var foreign: [ForeignFile] = []
    /// Files that nobody can name, empty ones, and those over the limit: they are left.
    var ignored = 0
}

/// When the parts of a folder were changed, in nanoseconds since 1970.
struct FolderTimes: Equatable {
    var cur: Int64
    var new: Int64
}

extension MaildirDisk {
    /// Nil where a part is missing.
    func times(_ folder: String) throws -> FolderTimes? {
        guard let cur = try status(folder + "/cur"), let new = try status(folder + "/new"),
            cur.st_mode & S_IFMT == S_IFDIR, new.st_mode & S_IFMT == S_IFDIR
        else { return nil }
        return FolderTimes(cur: Self.nanoseconds(cur.st_mtim), new: Self.nanoseconds(new.st_mtim))
    }

    func modified(_ path: String) throws -> Int64? { try status(path).map { Self.nanoseconds($0.st_mtim) } }

    /// Of a regular file; nil for anything else.
    func identity(_ path: String) throws -> ForeignFile.Identity? {
        guard let status = try status(path), status.st_mode & S_IFMT == S_IFREG else { return nil }
        return ForeignFile.Identity(
            inode: fileNumber(UInt64(status.st_ino)), octets: UInt64(max(0, status.st_size)),
            modified: Self.nanoseconds(status.st_mtim), changed: Int64(status.st_ctim.tv_sec),
            links: Int(status.st_nlink))
    }

    static func nanoseconds(_ time: timespec) -> Int64 { Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec) }

    /// - Parameters:
    ///   - validity: of the folder's mailbox; names with another are of another folder.
    ///   - host: the host part of our names.
    func listing(_ folder: String, _ validity: UIDValidity, host: String) throws -> TreeListing {
        var listing = TreeListing()
        for part in ["cur", "new"] {
            var others: [String] = []
            try list("\(folder)/\(part)") { name in
                let path = "\(part)/\(name)"
                if let file = MaildirFile(parsing: name.utf8), file.name.validity == validity, file.name.host == host {
                    listing.files.append(TreeFile(name: file.name, entry: FolderEntry(file, in: part), path: path))
                } else if name.hasPrefix(".") {
                    // No message, by the rules of Maildir.
                } else if name.unicodeScalars.contains("\u{FFFD}")
                    || listing.foreign.count + others.count >= MaildirLimits.foreignFilesMax
                {
                    listing.ignored += 1
                } else {
                    others.append(path)
                }
                return true
            }
            for path in others {
                guard let identity = try identity("\(folder)/\(path)") else { continue }
                if identity.octets == 0 {
                    listing.ignored += 1
                } else {
                    listing.foreign.append(ForeignFile(path: path, isNew: part == "new", identity: identity))
                }
            }
        }
        listing.files.sort { ($0.uid, $0.path) < ($1.uid, $1.path) }
        return listing
    }
}
