import Projections

extension MaildirStatus {
    /// In Prometheus' text format.
    var metrics: String {
        func family(_ name: String, _ type: String, _ help: String, _ value: UInt64) -> String {
            "# HELP letterlog_maildir_\(name) \(help)\n# TYPE letterlog_maildir_\(name) \(type)\n"
                + "letterlog_maildir_\(name) \(value)\n"
        }
        return family("lag_events", "gauge", "Records of the log that the Maildirs do not show yet.", lag)
            + family("failures", "gauge", "Attempts that failed one after the other.", UInt64(failures))
            + family("files_total", "counter", "Message files written since the start.", filesWritten)
            + family("octets_total", "counter", "Octets of these files.", octetsWritten)
    }
}
