/// A metric without labels in Prometheus' text format.
/// - Parameters:
///   - name: whole, with `letterlog_`.
///   - type: `gauge` or `counter`.
func metricFamily(_ name: String, _ type: String, _ help: String, _ value: UInt64) -> String {
    "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n\(name) \(value)\n"
}
