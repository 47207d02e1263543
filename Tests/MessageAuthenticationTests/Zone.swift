// A DNS in memory, written as lines of a zone: `name TYPE data`. Names that are not in it do not exist; names that begin
// with `broken` never answer. It counts what it is asked.
import MailTypes
import Synchronization

@testable import MessageAuthentication

final class Zone: MailNames {
    private let records: [String: [(type: String, data: String)]]
    private let questionCount = Atomic<Int>(0)
    var questions: Int { questionCount.load(ordering: .relaxed) }

    init(_ text: String) {
        var records: [String: [(type: String, data: String)]] = [:]
        for line in text.split(separator: "\n") where !line.allSatisfy({ $0 == " " }) {
            let parts = line.split(separator: " ", maxSplits: 2).map(String.init)
            var data = parts.count > 2 ? parts[2] : ""
            if data.hasPrefix("\""), data.hasSuffix("\"") { data = String(data.dropFirst().dropLast()) }
            records[parts[0].lowercased(), default: []].append((parts[1], data))
        }
        self.records = records
    }

    func texts(of name: String) async -> NameAnswer<[UInt8]> { answer(name, "TXT") { Array($0.utf8) } }

    func addresses(of name: String, isV6: Bool) async -> NameAnswer<IPAddress> {
        answer(name, isV6 ? "AAAA" : "A") { IPAddress($0) }
    }

    func exchangers(of name: String) async -> NameAnswer<String> { answer(name, "MX") { $0 } }

    func pointers(of address: IPAddress) async -> NameAnswer<String> { answer(address.description, "PTR") { $0 } }

    private func answer<Record>(_ name: String, _ type: String, _ read: (String) -> Record?) -> NameAnswer<Record> {
        questionCount.add(1, ordering: .relaxed)
        if name.hasPrefix("broken") { return .failed }
        guard let found = records[name.lowercased()] else {
            let isAbove = records.keys.contains { $0.hasSuffix("." + name.lowercased()) }
            return isAbove ? .noRecords : .noName
        }
        let data = found.filter { $0.type == type }.compactMap { read($0.data) }
        return data.isEmpty ? .noRecords : .found(data)
    }
}

/// Lines joined as mail has them.
func mail(_ text: String) -> [UInt8] {
    Array(text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n").utf8)
}

/// A message read in pieces of `piece` octets.
func inspected(_ message: [UInt8], piece: Int = 1_000, now: Int64 = 1_528_637_909) -> InspectedMessage {
    var reading = MessageReading(now: now)
    for start in stride(from: 0, to: message.count, by: piece) {
        reading.update(Array(message[start..<min(start + piece, message.count)]))
    }
    return reading.finish()
}
