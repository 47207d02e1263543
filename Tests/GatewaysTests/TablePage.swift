import Foundation
import Testing

/// Holds a page of docs to what the tests have seen. `tools/tables` has it written instead.
func checkPage(_ path: String, _ text: String) throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    let page = root.appendingPathComponent(path)
    if ProcessInfo.processInfo.environment["LETTERLOG_WRITE_TABLES"] != nil {
        try text.write(to: page, atomically: true, encoding: .utf8)
    }
    let kept = try? String(contentsOf: page, encoding: .utf8)
    #expect(kept == text, "\(path) is not what these tests see; tools/tables writes it anew")
}

/// A table of Markdown.
func markdownTable(_ head: [String], _ rows: [[String]]) -> String {
    ([head, head.map { _ in "---" }] + rows).map { "| " + $0.joined(separator: " | ") + " |\n" }.joined()
}
