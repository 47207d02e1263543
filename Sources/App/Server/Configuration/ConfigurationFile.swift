// Reads the YAML file into keys and values with their lines, and finds every mistake, not only the first.
import Foundation
import Yams

/// A mistake in the configuration, and where it is.
package struct ConfigurationMistake: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file, `environment`, or `command line`.
    package var source: String
    /// From 1; nil where there are no lines.
    package var line: Int?
    package var key: String?
    package var text: String

    package var description: String {
        let place = line.map { "\(source):\($0)" } ?? source
        return key.map { "\(place): `\($0)` \(text)" } ?? "\(place): \(text)"
    }
}

/// A key of the file, its value, and the line it begins in.
struct ConfigurationEntry {
    var key: ConfigurationKey
    var value: ConfigurationValue
    var line: Int
}

/// A node of the file, not one of the network.
private typealias Tree = Yams.Node

struct ConfigurationFile {
    let path: String
    private(set) var entries: [ConfigurationEntry] = []
    private(set) var mistakes: [ConfigurationMistake] = []

    /// Reads the file; what cannot be read is among the mistakes.
    init(path: String) {
        self.path = path
        do {
            let data = try InputFile.open(path).read(upToCount: ServerLimits.configurationOctetsMax + 1) ?? Data()
            guard data.count <= ServerLimits.configurationOctetsMax else {
                mistake(nil, nil, "is larger than \(ServerLimits.configurationOctetsMax) octets")
                return
            }
            guard let text = String(data: data, encoding: .utf8) else {
                mistake(nil, nil, "is not UTF-8")
                return
            }
            parse(text)
        } catch {
            // The failure names the file itself.
            let text = AdministrationFailure(error).text
            mistake(
                nil, nil, "cannot be read" + (text.hasPrefix(path + ": ") ? text.dropFirst(path.count) : ": " + text))
        }
    }

    init(path: String, text: String) {
        self.path = path
        parse(text)
    }

    private mutating func mistake(_ line: Int?, _ key: String?, _ text: String) {
        mistakes.append(ConfigurationMistake(source: path, line: line, key: key, text: text))
    }

    private mutating func parse(_ text: String) {
        do {
            // An empty file says nothing, which is allowed.
            guard let root = try Yams.compose(yaml: text) else { return }
            if case .scalar(let scalar) = root, scalar.string.isEmpty { return }
            guard case .mapping(let mapping) = root else {
                return mistake(root.mark?.line, nil, "holds no table of keys")
            }
            read(mapping, under: "")
        } catch let error as YamlError {
            report(error)
        } catch {
            mistake(nil, nil, "\(error)")
        }
    }

    private mutating func report(_ error: YamlError) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            mistake(mark.line, nil, "is not YAML: \(problem)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            mistake(context.mark.line, "\(duplicates.first ?? "")", "is there twice")
        default:
            mistake(nil, nil, "is not YAML: \(error)")
        }
    }

    private mutating func read(_ mapping: Tree.Mapping, under prefix: String) {
        for (keyNode, node) in mapping {
            let line = keyNode.mark?.line
            guard let word = keyNode.scalar?.string else {
                mistake(line, nil, "has a key that is no word")
                continue
            }
            let name = prefix + word
            if let key = ConfigurationKey.named(name) {
                guard let value = value(of: node, name) else { continue }
                entries.append(ConfigurationEntry(key: key, value: value, line: line ?? 1))
            } else if ConfigurationKey.isTable(name) {
                if case .mapping(let inner) = node {
                    read(inner, under: name + ".")
                } else if !isNothing(node) {
                    mistake(node.mark?.line ?? line, name, "takes a table of keys")
                }
            } else {
                mistake(line, name, "is no key" + Self.suggestion(for: name))
            }
        }
    }

    private mutating func value(of node: Tree, _ name: String) -> ConfigurationValue? {
        switch node {
        case .scalar(let scalar):
            return isNothing(node) ? .nothing : .text(scalar.string)
        case .sequence(let sequence) where sequence.contains { $0.mapping != nil }:
            return tables(of: sequence, name)
        case .sequence(let sequence):
            var values: [String] = []
            for item in sequence {
                guard let text = item.scalar?.string else {
                    mistake(item.mark?.line, name, "takes a list of single values")
                    return nil
                }
                values.append(text)
            }
            return .list(values)
        case .mapping(let mapping):
            var entries: [ConfigurationValue.Entry] = []
            for (key, item) in mapping {
                guard let key = key.scalar?.string, let text = item.scalar?.string else {
                    mistake(key.mark?.line, name, "takes a table of single values")
                    return nil
                }
                entries.append(ConfigurationValue.Entry(key: key, value: isNothing(item) ? "" : text))
            }
            return .table(entries)
        default:
            mistake(node.mark?.line, name, "refers to an anchor; write the value out")
            return nil
        }
    }

    /// A list of tables; a list within one is its words with a plus between them.
    private mutating func tables(of sequence: Tree.Sequence, _ name: String) -> ConfigurationValue? {
        var tables: [[ConfigurationValue.Entry]] = []
        for item in sequence {
            var entries: [ConfigurationValue.Entry] = []
            for (key, item) in item.mapping ?? [:] {
                let words = item.sequence?.compactMap { $0.scalar?.string }
                let text = words.map { $0.joined(separator: "+") } ?? item.scalar?.string
                guard let key = key.scalar?.string, let text, words?.count == item.sequence?.count else {
                    mistake(key.mark?.line, name, "takes a list of tables of single values")
                    return nil
                }
                entries.append(ConfigurationValue.Entry(key: key, value: isNothing(item) ? "" : text))
            }
            guard item.mapping != nil else {
                mistake(item.mark?.line, name, "takes a list of tables or of single values, not of both")
                return nil
            }
            tables.append(entries)
        }
        return .tables(tables)
    }

    private func isNothing(_ node: Tree) -> Bool {
        guard case .scalar(let scalar) = node, scalar.style != .singleQuoted, scalar.style != .doubleQuoted else {
            return false
        }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    /// The key that was probably meant.
    static func suggestion(for name: String) -> String {
        let close = ConfigurationKey.all.map { ($0.name, distance($0.name, name)) }.min { $0.1 < $1.1 }
        guard let close, close.1 <= 3 else { return "" }
        return "; is `\(close.0)` meant?"
    }

    /// Levenshtein's distance of two short texts.
    private static func distance(_ a: String, _ b: String) -> Int {
        let b = Array(b.unicodeScalars)
        guard b.count < 100 else { return .max }
        var row = Array(0...b.count)
        for (i, x) in a.unicodeScalars.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let changed = diagonal + (x == y ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(changed, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[b.count]
    }
}
