/// A value as a configuration file, the environment or the command line gives it, before a key makes sense of it.
package enum ConfigurationValue: Hashable, Sendable {
    case text(String)
    case list([String])
    /// In the order of the file.
    case table([Entry])
    /// A list of tables.
    case tables([[Entry]])
    /// `key:` with nothing behind it.
    case nothing

    package struct Entry: Hashable, Sendable {
        package var key: String
        package var value: String
    }

    /// What it is, for a message.
    var kind: String {
        switch self {
        case .text: "a single value"
        case .list: "a list"
        case .table: "a table"
        case .tables: "a list of tables"
        case .nothing: "nothing"
        }
    }
}

/// Why a value does not fit its key: the end of a sentence that begins with the key.
struct ConfigurationRefusal: Error {
    var text: String
    init(_ text: String) { self.text = text }
}

extension ConfigurationValue {
    func single() throws(ConfigurationRefusal) -> String {
        guard case .text(let text) = self else { throw ConfigurationRefusal("takes a single value, not \(kind)") }
        return text
    }

    /// A list, or the parts of a single value between commas.
    func strings() throws(ConfigurationRefusal) -> [String] {
        switch self {
        case .list(let values): return values
        case .text(let text):
            return text.split(separator: ",").map { String($0.trimmed) }.filter { !$0.isEmpty }
        case .nothing: return []
        case .table, .tables: throw ConfigurationRefusal("takes a list, not \(kind)")
        }
    }

    /// A table, or `name=value` pairs between commas.
    func entries() throws(ConfigurationRefusal) -> [Entry] {
        switch self {
        case .table(let entries): return entries
        case .nothing: return []
        case .list(let names): return names.map { Entry(key: $0, value: "") }
        case .tables: throw ConfigurationRefusal("takes a table, not \(kind)")
        case .text(let text):
            return text.split(separator: ",").map { pair in
                let parts = pair.split(separator: "=", maxSplits: 1)
                return Entry(
                    key: String(parts.first?.trimmed ?? ""), value: String(parts.count > 1 ? parts[1].trimmed : ""))
            }
        }
    }

    func bool() throws(ConfigurationRefusal) -> Bool {
        switch try single().lowercased() {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default: throw ConfigurationRefusal("takes true or false, not `\(try single())`")
        }
    }

    func count(_ range: ClosedRange<Int>) throws(ConfigurationRefusal) -> Int {
        let text = try single()
        guard let number = Int(text) else { throw ConfigurationRefusal("takes a whole number, not `\(text)`") }
        return try within(range, number, "")
    }

    /// Octets: `50000000`, `50MB`, `64MiB`.
    func octets(_ range: ClosedRange<Int>) throws(ConfigurationRefusal) -> Int {
        let text = try single()
        guard let octets = Self.octets(text) else {
            throw ConfigurationRefusal("takes a size such as 50MB or 64MiB, not `\(text)`")
        }
        return try within(range, octets, " octets")
    }

    /// Seconds: `90`, `90s`, `5m`, `2h`.
    func seconds(_ range: ClosedRange<Int>) throws(ConfigurationRefusal) -> Int {
        let text = try single()
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let units = ["": 1, "s": 1, "m": 60, "h": 3600, "d": 86400]
        guard let number = Int(digits), let unit = units[String(text.dropFirst(digits.count)).lowercased()],
            !number.multipliedReportingOverflow(by: unit).overflow
        else { throw ConfigurationRefusal("takes a time such as 90s, 5m or 2h, not `\(text)`") }
        return try within(range, number * unit, " seconds")
    }

    /// Nil when it is no size, or above what can be counted.
    package static func octets(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let units: [String: Int] = [
            "": 1, "b": 1, "kb": 1000, "mb": 1_000_000, "gb": 1_000_000_000, "tb": 1_000_000_000_000, "k": 1 << 10,
            "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
        ]
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        guard let number = Int(digits), let factor = units[unit.lowercased()] else { return nil }
        let (octets, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : octets
    }

    private func within(
        _ range: ClosedRange<Int>, _ number: Int, _ unit: String
    ) throws(ConfigurationRefusal) -> Int {
        guard range.contains(number) else {
            throw ConfigurationRefusal("is between \(range.lowerBound) and \(range.upperBound)\(unit), not \(number)")
        }
        return number
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        let start = drop { $0 == " " }
        let end = start.reversed().prefix { $0 == " " }.count
        return start.dropLast(end)
    }
}
