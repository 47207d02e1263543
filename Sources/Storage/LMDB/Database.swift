import CLMDB

/// A handle of one named database (a tree) inside an environment. Valid for the life of that environment.
package struct Database: Sendable, Equatable {
    let handle: MDB_dbi
}

/// The shape of one tree.
package struct DatabaseStatistics: Sendable, Equatable {
    /// Rows.
    package let entries: Int
    /// Levels from the root to a leaf; 0 when empty.
    package let depth: Int
    package let branchPages: Int
    package let leafPages: Int
    /// Pages of values too long for a leaf.
    package let overflowPages: Int

    /// All pages of the tree.
    package var pages: Int { branchPages + leafPages + overflowPages }

    init(_ stat: MDB_stat) {
        entries = Int(stat.ms_entries)
        depth = Int(stat.ms_depth)
        branchPages = Int(stat.ms_branch_pages)
        leafPages = Int(stat.ms_leaf_pages)
        overflowPages = Int(stat.ms_overflow_pages)
    }
}

/// The state of one environment at one moment.
package struct EnvironmentInfo: Sendable, Equatable {
    /// Octets of one page.
    package let pageOctets: Int
    /// Octets of address space reserved: the file can grow no further.
    package let mapOctets: Int
    /// Pages of the file that have ever been used, free ones included.
    package let pagesUsed: Int
    /// The number of the last committed write transaction.
    package let lastTransaction: Int
    package let readersMax: Int
    /// Reader slots taken at this moment.
    package let readers: Int
    /// How many commits behind the oldest open reader is; 0 without readers. Pages freed since then cannot be reused.
    package let oldestReaderLag: Int
    /// Octets of the data file.
    package let dataFileOctets: Int
}
