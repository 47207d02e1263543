// Metrics in Prometheus' text format, version 0.0.4: `# HELP`, `# TYPE`, then a sample per line.
import MailEngine
import TLS

/// Builds a page of samples.
private struct MetricsText {
    private(set) var text = ""

    mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    mutating func sample(_ name: String, _ labels: [(String, String)], _ value: some BinaryInteger) {
        let labels = labels.map { "\($0)=\"\($1)\"" }.joined(separator: ",")
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    /// A family of one sample.
    mutating func single(_ name: String, _ type: String, _ help: String, _ value: some BinaryInteger) {
        family(name, type, help)
        sample(name, [], value)
    }
}

extension GatewayMetrics {
    /// What is there of each protocol.
    private var shown: [(name: String, metrics: ProtocolMetrics)] {
        GatewayProtocol.allCases.map { ($0.rawValue, self[$0]) }
    }

    var text: String {
        var page = MetricsText()
        func add(_ name: String, _ type: String, _ help: String, _ value: (ProtocolMetrics) -> Int) {
            page.family(name, type, help)
            for (label, metrics) in shown { page.sample(name, [("protocol", label)], value(metrics)) }
        }
        add("letterlog_connections", "gauge", "Connections open now.") { $0.connections }
        add("letterlog_connections_total", "counter", "Connections accepted.") { $0.connectionsTotal }
        add("letterlog_sessions_ended_total", "counter", "Sessions ended by an administrator or a changed account.") {
            $0.ended
        }
        add("letterlog_replies_total", "counter", "Replies to commands.") { $0.replies }
        add("letterlog_deliveries_total", "counter", "Copies of messages stored.") { $0.deliveries }
        add("letterlog_retrievals_total", "counter", "Messages sent to clients.") { $0.retrievals }
        add("letterlog_received_bytes_total", "counter", "Octets received.") { $0.octetsIn }
        add("letterlog_sent_bytes_total", "counter", "Octets sent.") { $0.octetsOut }
        page.family("letterlog_logins_total", "counter", "Logins by result.")
        for (label, metrics) in shown {
            page.sample(
                "letterlog_logins_total", [("protocol", label), ("result", "accepted")], metrics.loginsAccepted)
            page.sample("letterlog_logins_total", [("protocol", label), ("result", "denied")], metrics.loginsDenied)
        }
        page.family("letterlog_tls_handshakes_total", "counter", "TLS handshakes by result.")
        for (label, metrics) in shown {
            func sample(_ result: String, _ value: Int) {
                page.sample("letterlog_tls_handshakes_total", [("protocol", label), ("result", result)], value)
            }
            sample("full", metrics.tls.sessions - metrics.tls.resumed)
            sample("resumed", metrics.tls.resumed)
        }
        page.family("letterlog_tls_failures_total", "counter", "TLS handshakes and sessions that failed, by kind.")
        for (label, metrics) in shown {
            for kind in TLSFailure.Kind.allCases {
                page.sample(
                    "letterlog_tls_failures_total", [("protocol", label), ("kind", kind.rawValue)],
                    metrics.tls.failures[kind] ?? 0)
            }
        }
        add("letterlog_tls_truncated_total", "counter", "TLS sessions whose client went without saying so.") {
            $0.tls.truncated
        }
        page.family("letterlog_rejects_total", "counter", "What was refused, by reason.")
        for (label, metrics) in shown {
            for reason in RejectReason.allCases {
                page.sample(
                    "letterlog_rejects_total", [("protocol", label), ("reason", reason.label)],
                    metrics.rejects[reason] ?? 0)
            }
        }
        return page.text
    }
}

extension EngineStatistics {
    var text: String {
        var page = MetricsText()
        page.single("letterlog_engine_batches_total", "counter", "Batches committed.", batches)
        page.single("letterlog_engine_requests_total", "counter", "Requests answered.", requests)
        page.single("letterlog_engine_events_total", "counter", "Events written.", events)
        page.single("letterlog_engine_refusals_total", "counter", "Commands refused.", refusals)
        page.single("letterlog_engine_failures_total", "counter", "Commands failed.", failures)
        page.single("letterlog_engine_faults_total", "counter", "Commands left out as contradictory.", faults)
        page.single("letterlog_engine_queue_requests", "gauge", "Requests waiting.", queueRequests)
        page.single("letterlog_engine_queue_bytes", "gauge", "Octets of bodies waiting.", queueOctets)
        page.single("letterlog_engine_stopped", "gauge", "1 when no writes are taken.", stopped == nil ? 0 : 1)
        page.family("letterlog_engine_batch_requests", "histogram", "Requests in a batch.")
        var below = 0
        for (bucket, count) in batchSizes.enumerated() {
            below += count
            page.sample("letterlog_engine_batch_requests_bucket", [("le", "\((1 << (bucket + 1)) - 1)")], below)
        }
        page.sample("letterlog_engine_batch_requests_bucket", [("le", "+Inf")], below)
        page.sample("letterlog_engine_batch_requests_sum", [], requests)
        page.sample("letterlog_engine_batch_requests_count", [], below)
        page.single("letterlog_store_body_bytes_total", "counter", "Octets of bodies written.", store.bodyBytesStaged)
        page.single("letterlog_store_body_syncs_total", "counter", "Flushes of body files.", store.bodySyncs)
        page.single("letterlog_store_folds_total", "counter", "Times that waiting rows were written.", store.folds)
        page.single("letterlog_store_unfolded_rows", "gauge", "Rows that wait to be written.", store.unfoldedRows)
        page.single("letterlog_store_database_bytes", "gauge", "Size of the database.", store.databaseBytes)
        page.single("letterlog_store_segment_bytes", "gauge", "Size of the body files.", store.segmentBytes)
        page.single("letterlog_store_segments", "gauge", "Body files.", store.segments)
        return page.text
    }
}
