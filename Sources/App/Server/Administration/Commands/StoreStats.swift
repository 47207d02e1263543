import EventStore
import MailCore
import MailEngine
import MailTypes
import Octets

/// `stats`: what the store holds, and what the engine has done since it was started.
package struct StoreStats: AdministrationCommand {
    package static let words = "stats"

    package init() {}

    private struct Totals {
        var accounts = 0
        var removed = 0
        var mailboxes = 0
        var messages: UInt64 = 0
        var octets: UInt64 = 0
        var queued = 0
        var head: UInt64 = 0
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let totals = try session.engine.read { try Self.totals($0) }
        let statistics = session.engine.statistics
        let rows = Self.rows(session, totals, statistics)
        let width = rows.map(\.label.count).max() ?? 0
        let lines = rows.map { row in
            row.label + String(repeating: " ", count: width - row.label.count + 2) + row.text
        }
        var value: [String: JSONValue] = [:]
        for row in rows { value[row.label.replacing(" ", with: "_")] = row.value }
        return AdministrationResult(lines.joined(separator: "\n"), .object(value), isAnswer: true)
    }

    private static func totals(_ state: any ShardReader) throws -> Totals {
        var totals = Totals()
        totals.head = state.head.rawValue
        var accounts: [AccountID] = []
        try state.accounts { id, head in
            guard id >= .firstPersonal else { return true }
            totals.messages += head.used.messages
            totals.octets += head.used.bytes
            if head.status == .removed { totals.removed += 1 } else { accounts.append(id) }
            return true
        }
        totals.accounts = accounts.count
        for id in accounts {
            try state.mailboxes(id) { _, _ in
                totals.mailboxes += 1
                return true
            }
        }
        try state.queue { _, _ in
            totals.queued += 1
            return true
        }
        return totals
    }

    private static func rows(
        _ session: AdministrationSession, _ totals: Totals, _ statistics: EngineStatistics
    ) -> [(label: String, text: String, value: JSONValue)] {
        func count(_ label: String, _ value: some BinaryInteger) -> (String, String, JSONValue) {
            (label, "\(value)", .count(value))
        }
        let uuid = Hex.encode(session.backend.store.manifest.uuid)
        var rows: [(label: String, text: String, value: JSONValue)] = [
            ("store", uuid, .string(uuid)),
            ("served", session.backend.serves ? "yes" : "no", .bool(session.backend.serves)),
            count("accounts", totals.accounts),
            count("removed accounts", totals.removed),
            count("mailboxes", totals.mailboxes),
            count("messages", totals.messages),
            count("octets", totals.octets),
            count("queued", totals.queued),
            count("log position", totals.head),
            count("database octets", statistics.store.databaseBytes),
            count("segments", statistics.store.segments),
            count("segment octets", statistics.store.segmentBytes),
            count("batches", statistics.batches),
            count("requests", statistics.requests),
            count("events", statistics.events),
            count("refusals", statistics.refusals),
            count("failures", statistics.failures),
            count("faults", statistics.faults),
            count("waiting requests", statistics.queueRequests),
            count("waiting octets", statistics.queueOctets),
        ]
        rows.append(("stopped", statistics.stopped ?? "no", .text(statistics.stopped)))
        return rows
    }
}
