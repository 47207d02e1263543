// The pages for people who run a node name commands and options that there are, and all commands.
import Foundation
import Testing

@Suite struct CommandPagesTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Words of each `letterlog ...` in a page, in a line of its own or between backticks.
    private static func commands(in page: String) -> [[String]] {
        let inText = page.split(separator: "`").filter { $0.hasPrefix("letterlog ") }
        let inLines = page.split(separator: "\n").filter { $0.hasPrefix("    letterlog ") }.map { $0.dropFirst(4) }
        return (inText + inLines).map { text in
            text.prefix { $0 != "#" && $0 != "|" && $0 != "\n" }.split(separator: " ").dropFirst().map(String.init)
        }
    }

    private static func help(_ path: [String]) throws -> String {
        let run = try Program.run(path + ["--help"])
        #expect(run.status == 0)
        return run.output
    }

    private static func subcommands(_ help: String) -> [String] {
        guard let list = help.range(of: "SUBCOMMANDS:\n") else { return [] }
        let lines = help[list.upperBound...].split(separator: "\n", omittingEmptySubsequences: false)
        return lines.prefix { !$0.isEmpty }.filter { !$0.hasPrefix("   ") }
            .compactMap { $0.split(separator: " ").first.map(String.init) }
    }

    @Test func whatPagesNameIsThere() throws {
        let folder = Self.root.appending(path: "docs/operating")
        var pages = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        pages += ["README.md", "CHANGELOG.md"].map { Self.root.appending(path: $0) }
        var known: [[String]: String] = [:]
        var count = 0
        for page in pages where page.pathExtension == "md" {
            for words in Self.commands(in: try String(contentsOf: page, encoding: .utf8)) {
                var path: [String] = []
                var rest = words[...]
                while true {
                    let help = try known[path] ?? Self.help(path)
                    known[path] = help
                    let next = Self.subcommands(help)
                    guard !next.isEmpty, let word = rest.first, word.first?.isLowercase == true else { break }
                    try #require(
                        next.contains(word), "\(page.lastPathComponent): letterlog \(words.joined(separator: " "))")
                    path.append(word)
                    rest = rest.dropFirst()
                }
                let options = Set((known[path] ?? "").split { " ,\n[]<>=|".contains($0) })
                for word in rest where word.hasPrefix("--") {
                    let option = word.prefix { $0 != "=" }
                    #expect(
                        options.contains(option), "\(page.lastPathComponent): letterlog \(words.joined(separator: " "))"
                    )
                }
                count += 1
            }
        }
        #expect(count > 20, "the pages show commands")
    }

    /// The page of administration names each command, and under it each of its own: `log show`, `tail`, `why`.
    @Test func everyCommandIsNamed() throws {
        let page = try String(
            contentsOf: Self.root.appending(path: "docs/operating/administration.md"), encoding: .utf8)
        let lines = page.split(separator: "\n")
        for command in Self.subcommands(try Self.help([])) where command != "help" {
            #expect(page.contains("`\(command)`") || page.contains("`\(command) "), "\(command)")
            for name in Self.subcommands(try Self.help([command])) {
                let isNamed = lines.contains { line in
                    line.contains("`\(command) \(name)")
                        || line.contains("`\(command) ") && (line.contains("`\(name)`") || line.contains("`\(name) "))
                }
                #expect(isNamed, "\(command) \(name)")
            }
        }
    }
}
