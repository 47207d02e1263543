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
        let data = try InputFile.open(path).read(upToCount: octetsMax + 1) ?? Data()
        guard data.count <= octetsMax else { throw AdministrationFailure("\(path) is larger than \(octetsMax) octets") }
        guard let text = String(data: data, encoding: .utf8) else {
            throw AdministrationFailure("\(path) is not UTF-8")
        }
        return text
    }

    /// - Throws: a failure that names the line, and repeats nothing of it: it may hold a password.
    static func parse(_ text: String, path: String) throws -> [Record] {
        var records: [Record] = []
        var number = 0
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            number += 1
            if line.isEmpty { continue }
            guard let fields = fields(line), fields.count == 2 else {
                throw AdministrationFailure("\(path):\(number): is not address,password", .usage)
            }
            if records.isEmpty, fields[0].lowercased() == "address", fields[1].lowercased() == "password" { continue }
            records.append(Record(address: fields[0], password: fields[1]))
        }
        return records
    }

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
    /// - Throws: a failure that names the line, and repeats nothing of it: it may hold a password.
    static func read(path: String, needsPasswords: Bool) throws -> [ImportImap.Entry] {
        var entries: [ImportImap.Entry] = []
        let lines = try AccountFile.text(path).split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() where !line.isEmpty {
            guard let fields = AccountFile.fields(line), (1...3).contains(fields.count), !fields[0].isEmpty,
                !needsPasswords || fields.count == 3
            else {
                throw AdministrationFailure("\(path):\(index + 1): is not account,user,password", .usage)
            }
            if entries.isEmpty, fields[0].lowercased() == "account" { continue }
            let user = fields.count > 1 && !fields[1].isEmpty ? fields[1] : fields[0]
            entries.append(.init(address: fields[0], user: user, password: fields.count > 2 ? fields[2] : ""))
        }
        return entries
    }
}
