// Whether a data file is a sound set of trees, read without the library: lmdb 0.9 keeps no checksums, follows page
// numbers and offsets as it finds them, and may be killed by a signal on a damaged file (engine.md section 10).
//
// Every number is held against the file before it is used, so a damaged file ends in an error. Checked are: both meta
// pages and which of them is the newer, each page's own number and kind, bounds and sizes of its nodes, order of keys
// within a page and against the separators above it, counts and depth of each tree, and that every page up to the last
// is in exactly one place: a tree, an overflow run or the list of free pages.
//
// Values are not looked at; the records in them carry checksums of their own. Only for a file that no process writes to.
import Glibc

/// What is wrong with a data file, and where.
package struct StructureFault: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}

package enum StructureCheck {
    /// Walks all trees. Takes one read of each page in use.
    package static func checkTrees(directory: String) throws {
        let file = try PageFile(directory)
        let metas = try file.metas()
        try TreeWalk(file, metas.newer).run()
    }

    /// The cheap part, for every open: two metas that follow each other, each as new as its list of free pages. A newer
    /// one that were taken for the older would bring back a state of the past.
    /// - Parameter afterFailedCommit: the last process saw the write of a meta page fail. The library then gives that
    ///   page its old number back and leaves the new trees in it, which is otherwise what a damaged number looks like.
    package static func checkMetas(directory: String, afterFailedCommit: Bool) throws {
        let file = try PageFile(directory)
        let (newer, older) = try file.metas()
        for meta in [newer, older] where meta.transaction > 1 {
            let freed = try file.lastFreed(meta)
            let isGivenUp = afterFailedCommit && meta.index == older.index && freed == newer.transaction + 1
            guard freed == meta.transaction || isGivenUp else {
                throw StructureFault("meta page \(meta.index): its list of free pages is of another transaction")
            }
        }
    }
}

/// One of the trees, as a meta page or a row of the main tree describes it (`MDB_db`, 48 octets).
struct TreeRecord {
    static let octets = 48
    static let none = UInt64.max
    let flags: UInt16
    let depth: UInt16
    let branchPages: UInt64
    let leafPages: UInt64
    let overflowPages: UInt64
    let entries: UInt64
    let root: UInt64

    init(_ page: Page, _ offset: Int) {
        flags = page.integer(offset + 4)
        depth = page.integer(offset + 6)
        branchPages = page.integer(offset + 8)
        leafPages = page.integer(offset + 16)
        overflowPages = page.integer(offset + 24)
        entries = page.integer(offset + 32)
        root = page.integer(offset + 40)
    }
}

/// A meta page: what one commit left (`MDB_meta`, behind the page header).
struct MetaRecord {
    let index: Int
    let free: TreeRecord
    let main: TreeRecord
    let lastPage: UInt64
    let transaction: UInt64

    init(_ page: Page, index: Int) throws {
        let magic: UInt32 = page.integer(16)
        let version: UInt32 = page.integer(20)
        let pageOctets: UInt32 = page.integer(40)
        guard magic == 0xBEEF_C0DE, version == 1, Int(pageOctets) == PageFile.pageOctets else {
            throw StructureFault("meta page \(index) is none of version 1 with pages of \(PageFile.pageOctets) octets")
        }
        guard page.number == UInt64(index), page.flags == Page.meta else {
            throw StructureFault("page \(index) is no meta page")
        }
        self.index = index
        free = TreeRecord(page, 40)
        main = TreeRecord(page, 40 + TreeRecord.octets)
        lastPage = page.integer(136)
        transaction = page.integer(144)
    }
}

/// A page's octets.
struct Page {
    static let header = 16
    static let branch: UInt16 = 1
    static let leaf: UInt16 = 2
    static let overflow: UInt16 = 4
    static let meta: UInt16 = 8
    let bytes: [UInt8]

    /// Little-endian, as on every machine this runs on; within the page, or the caller is wrong.
    func integer<T: FixedWidthInteger>(_ offset: Int) -> T {
        bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
    }

    var number: UInt64 { integer(0) }
    var flags: UInt16 { integer(10) }
    var lower: Int { Int(integer(12) as UInt16) }
    var upper: Int { Int(integer(14) as UInt16) }
    /// Of an overflow run.
    var runPages: UInt32 { integer(12) }
    var count: Int { (lower - Self.header) / 2 }
}

/// The data file, page by page.
final class PageFile {
    static let pageOctets = 4096
    private let descriptor: Int32
    private let pages: UInt64

    init(_ directory: String) throws {
        let path = directory + "/data.mdb"
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StructureFault("\(path): \(String(cString: strerror(errno)))") }
        pages = UInt64(max(0, lseek(descriptor, 0, SEEK_END))) / UInt64(Self.pageOctets)
        guard pages >= 2 else { throw StructureFault("\(path) is too short") }
    }

    deinit { close(descriptor) }

    func page(_ number: UInt64) throws -> Page {
        guard number < pages else { throw StructureFault("page \(number) is behind the end of the file") }
        var bytes = [UInt8](repeating: 0, count: Self.pageOctets)
        guard pread(descriptor, &bytes, bytes.count, off_t(number) * off_t(Self.pageOctets)) == bytes.count else {
            throw StructureFault("page \(number) cannot be read: \(String(cString: strerror(errno)))")
        }
        return Page(bytes: bytes)
    }

    /// The metas are written in turn, by the parity of the transaction.
    func metas() throws -> (newer: MetaRecord, older: MetaRecord) {
        let all = [try MetaRecord(page(0), index: 0), try MetaRecord(page(1), index: 1)]
        let (newer, older) = all[0].transaction > all[1].transaction ? (all[0], all[1]) : (all[1], all[0])
        let isFresh = newer.transaction == 0
        guard isFresh || (newer.transaction & 1 == UInt64(newer.index) && older.transaction + 1 == newer.transaction)
        else { throw StructureFault("meta pages of transactions \(all[0].transaction) and \(all[1].transaction)") }
        guard newer.lastPage < pages else { throw StructureFault("the file is shorter than its meta page says") }
        return (newer, older)
    }

    /// The newest transaction that freed pages: the last key of the tree of free pages.
    func lastFreed(_ meta: MetaRecord) throws -> UInt64? {
        guard meta.free.root != TreeRecord.none else { return nil }
        var number = meta.free.root
        for _ in 0..<max(1, meta.free.depth) {
            let page = try NodePage(page(number), number)
            guard page.count > 0 else { break }
            if page.isLeaf { return try page.transaction(page.count - 1) }
            number = try page.child(page.count - 1)
        }
        throw StructureFault("the tree of free pages has no last leaf")
    }
}
