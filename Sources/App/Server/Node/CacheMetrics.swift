import EventStore

extension CacheStatistics {
    /// In Prometheus' text format.
    var metrics: String {
        func family(_ name: String, _ type: String, _ help: String, _ value: UInt64) -> String {
            metricFamily("letterlog_cache_\(name)", type, help, value)
        }
        return family("octets", "gauge", "About what the rows of the parse cache take.", UInt64(octets))
            + family("octets_max", "gauge", "About what they may take.", UInt64(octetsMax))
            + family("hits_total", "counter", "Rows that were found.", hits)
            + family("misses_total", "counter", "Rows that were not there.", misses)
            + family("rows_written_total", "counter", "Rows that were put.", rowsWritten)
            + family(
                "failed", "gauge", "1 when the cache has failed and is not used until the next start.", isFailed ? 1 : 0
            )
    }
}
