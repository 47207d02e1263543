import Glibc
import MailEngine

extension NodeConfiguration {
    /// The engine's limits, with those of this site.
    func engineOptions(store: String) -> EngineOptions {
        // Bodies over the spool's threshold live in unlinked files of the store's own file system.
        var options = EngineOptions(spoolDirectory: store)
        // Trace lines are added to what a client sends.
        options.bodyOctetsMax = max(options.bodyOctetsMax, limits.messageOctetsMax + 1 << 20)
        options.queueRequestsMax = limits.queueRequestsMax
        options.queueOctetsMax = limits.queueOctetsMax
        options.softFreeOctets = storage.softFreeOctets.map(UInt64.init) ?? Self.softFreeDefault(store)
        options.hardFreeOctets = storage.hardFreeOctets.map(UInt64.init) ?? min(1 << 30, options.softFreeOctets)
        return options
    }

    /// 5 percent of the file system, at least 4 GiB.
    private static func softFreeDefault(_ directory: String) -> UInt64 {
        var info = statvfs()
        guard statvfs(directory, &info) == 0 else { return 4 << 30 }
        return max(4 << 30, UInt64(info.f_blocks) * UInt64(info.f_frsize) / 20)
    }
}
