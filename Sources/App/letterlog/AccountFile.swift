import Foundation
import Server

/// The CSV files of `account import` (RFC 4180): two fields on each line, `address,password`.
enum AccountFile {
    static let octetsMax = 64 << 20

    struct Record: Equatable {
        var address: String
        var password: String
    }

    static func read(path: String) throws -> [Record] { try parse(try text(path), path: path) }

    static func text(_ path: String) throws -> String {
        let data = try InputFile.octets(path, octetsMax: octetsMax)
        guard let text = String(data: data, encoding: .utf8) else {
            throw AdministrationFailure("\(path) is not UTF-8")
        }
        // Spreadsheets put a byte order mark in front.
        return text.hasPrefix("\u{FEFF}") ? String(text.dropFirst()) : text
    }

    /// - Throws: a failure that names the line, and repeats nothing of it: it may hold a password.
    static func parse(_ text: String, path: String) throws -> [Record] {
        var records: [Record] = []
        var number = 0
        var isFirst = true
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            number += 1
            if line.isEmpty { continue }
            guard let fields = fields(line), fields.count == 2 else {
                throw AdministrationFailure("\(path):\(number): is not address,password", .usage)
            }
            defer { isFirst = false }
            if isFirst, isHead(fields, ["address", "password"]) { continue }
            records.append(Record(address: fields[0], password: fields[1]))
        }
        return records
    }

    /// Whether the first line of a file names its columns.
    static func isHead(_ fields: [String], _ names: [String]) -> Bool { fields.map { $0.lowercased() } == names }

    /// The fields of one line; nil when a quote is not closed or stands in the middle.
    static func fields(_ line: Substring) -> [String]? {
        var fields: [String] = []
        var rest = line
        while true {
            var field = ""
            if rest.first == "\"" {
                rest.removeFirst()
                while true {
                    guard let quote = rest.firstIndex(of: "\"") else { return nil }
                    field += rest[..<quote]
                    rest = rest[rest.index(after: quote)...]
                    guard rest.first == "\"" else { break }
                    field += "\""
                    rest.removeFirst()
                }
                guard rest.isEmpty || rest.first == "," else { return nil }
            } else {
                let end = rest.firstIndex(of: ",") ?? rest.endIndex
                field = String(rest[..<end])
                guard !field.contains("\"") else { return nil }
                rest = rest[end...]
            }
            fields.append(field)
            guard rest.first == "," else { return fields }
            rest.removeFirst()
        }
    }
}

/// The CSV files of `import imap`: `account,user,password`; the user may be missing when it is the account, and the
/// password when a master user has one.
enum SourceAccountFile {
    private static let names = ["account", "user", "password"]

    /// - Throws: a failure that names the line, and repeats nothing of it: it may hold a password.
    static func read(path: String, needsPasswords: Bool) throws -> [ImportImap.Entry] {
        try parse(try AccountFile.text(path), path: path, needsPasswords: needsPasswords)
    }

    static func parse(_ text: String, path: String, needsPasswords: Bool) throws -> [ImportImap.Entry] {
        var entries: [ImportImap.Entry] = []
        var isFirst = true
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() where !line.isEmpty {
            let fields = AccountFile.fields(line)
            // An account may be called `account`: it is the head when it has all its names, or the first two of them.
            defer { isFirst = false }
            if isFirst, let fields, (2...3).contains(fields.count),
                AccountFile.isHead(fields, Array(names.prefix(fields.count)))
            {
                continue
            }
            guard let fields, (1...3).contains(fields.count), !fields[0].isEmpty, !needsPasswords || fields.count == 3
            else {
                throw AdministrationFailure("\(path):\(index + 1): is not account,user,password", .usage)
            }
            let user = fields.count > 1 && !fields[1].isEmpty ? fields[1] : fields[0]
            entries.append(.init(address: fields[0], user: user, password: fields.count > 2 ? fields[2] : ""))
        }
        return entries
    }
}
