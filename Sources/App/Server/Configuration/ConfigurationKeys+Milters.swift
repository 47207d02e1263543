// The key `milters`: a list of tables in the file; on one line, an address with words behind it, the next behind a comma.
import Gateways
import Milter
import NIOCore
import SMTP

extension ConfigurationKey {
    static let milters: [ConfigurationKey] = [
        ConfigurationKey("milters", reloads: true, show: { $0.milters.map(\.text).joined(separator: ", ") }) {
            configuration, value throws(ConfigurationRefusal) in
            let milters = try value.milters()
            guard milters.count <= MilterLimits.filtersMax else {
                throw ConfigurationRefusal("takes up to \(MilterLimits.filtersMax) milters, not \(milters.count)")
            }
            configuration.milters = milters
        }
    ]
}

private let listenerWords: [(String, SMTPDialect)] = [("smtp", .smtp), ("submission", .submission), ("lmtp", .lmtp)]

extension ConfigurationValue {
    fileprivate func milters() throws(ConfigurationRefusal) -> [MilterOptions] {
        var milters: [MilterOptions] = []
        if case .tables(let tables) = self {
            for entries in tables { milters.append(try MilterOptions(entries)) }
            return milters
        }
        for text in try strings() {
            let entries = text.split(separator: " ").enumerated().map { index, word in
                let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
                return index == 0 && parts.count == 1
                    ? Entry(key: "address", value: parts[0])
                    : Entry(key: parts[0], value: parts.dropFirst().first ?? "")
            }
            milters.append(try MilterOptions(entries))
        }
        return milters
    }
}

extension MilterOptions {
    fileprivate init(_ entries: [ConfigurationValue.Entry]) throws(ConfigurationRefusal) {
        guard let address = entries.first(where: { $0.key == "address" }) else {
            throw ConfigurationRefusal("takes an `address` for each milter")
        }
        let place = try listenAddress(address.value)
        if case .tcp(_, 0) = place { throw ConfigurationRefusal("takes addresses with a port, not `\(address.value)`") }
        self.init(place)
        for entry in entries where entry.key != "address" {
            do throws(ConfigurationRefusal) {
                try take(entry.key, .text(entry.value))
            } catch {
                throw ConfigurationRefusal("at \(address.value): `\(entry.key)` \(error.text)")
            }
        }
    }

    private mutating func take(_ key: String, _ value: ConfigurationValue) throws(ConfigurationRefusal) {
        switch key {
        case "timeout": timeout = .seconds(Int64(try value.seconds(1...300)))
        case "verdict-timeout": verdictTimeout = .seconds(Int64(try value.seconds(1...480)))
        case "unavailable": absence = try value.word(MilterAbsence.self)
        case "message-size": messageOctetsMax = try value.octets(0...4_000_000_000)
        case "listeners":
            var dialects: Set<SMTPDialect> = []
            for word in try value.single().split(separator: "+") {
                guard let found = listenerWords.first(where: { $0.0 == word }) else {
                    let words = listenerWords.map(\.0).joined(separator: ", ")
                    throw ConfigurationRefusal("takes names of \(words), not `\(word)`")
                }
                dialects.insert(found.1)
            }
            self.dialects = dialects
        default:
            throw ConfigurationRefusal(
                "is not known; there are address, timeout, verdict-timeout, unavailable, message-size and listeners")
        }
    }

    fileprivate var text: String {
        let listeners = listenerWords.filter { dialects.contains($0.1) }.map(\.0).joined(separator: "+")
        return "\(address) timeout=\(timeout.nanoseconds / 1_000_000_000)s "
            + "verdict-timeout=\(verdictTimeout.nanoseconds / 1_000_000_000)s unavailable=\(absence.rawValue) "
            + "message-size=\(messageOctetsMax) listeners=\(listeners)"
    }
}
