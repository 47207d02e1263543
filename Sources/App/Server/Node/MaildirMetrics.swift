import Projections

extension MaildirStatus {
    /// In Prometheus' text format.
    var metrics: String {
        func family(_ name: String, _ type: String, _ help: String, _ value: UInt64) -> String {
            metricFamily("letterlog_maildir_\(name)", type, help, value)
        }
        return family("lag_events", "gauge", "Records of the log that the Maildirs do not show yet.", lag)
            + family("failures", "gauge", "Attempts that failed one after the other.", UInt64(failures))
            + family("files_total", "counter", "Message files written since the start.", filesWritten)
            + family("octets_total", "counter", "Octets of these files.", octetsWritten)
            + family("two_way_accounts", "gauge", "Accounts whose Maildirs others may change.", imports.accounts)
            + family("adopted_total", "counter", "Files of others that became messages.", imports.adopted)
            + family(
                "flag_changes_total", "counter", "Changes of flags that others made.", imports.flagChanges)
            + family("moves_total", "counter", "Messages that others moved or copied.", imports.moves)
            + family("deletions_total", "counter", "Messages that others deleted.", imports.deletions)
            + family(
                "quarantined_messages", "gauge", "Messages whose deletion waits for a word.", imports.quarantined)
            + family("refused_files", "gauge", "Files of others that could not be taken.", imports.refused)
            + family("watched_directories", "gauge", "Directories that are watched.", imports.watches)
            + family("looks_total", "counter", "Folders of two-way accounts that were looked at.", imports.looks)
    }
}
