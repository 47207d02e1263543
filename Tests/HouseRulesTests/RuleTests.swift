// The rules themselves, each shown something made up that breaks it and something near to it that does not.
import Foundation
import Testing

private let document = """
    # Made up

    | storey | open to all its rooms | why |
    |---|---|---|
    | App | `Foundation` | it is the top |
    | Network | `Foundation`, `NIO*` | sockets |
    | Storage | nothing | |
    | Base | `Glibc` | |

    | room | storey | may import | from outside | why |
    |---|---|---|---|---|
    | `Bricks` | Base | nothing | nothing | the bottom |
    | `CStore` | Storage | nothing | nothing | a C library |
    | `Store` | Storage | `Bricks`, `CStore` | nothing | keeps |
    | `Gate` | Network | `Bricks`, `Store` | `Zip` | listens |
    | `Main` | App | `*` | nothing | starts |

    | test target | what it holds |
    |---|---|
    | `RuleTests` | rules |
    """

private func made() throws -> ImportTable { try ImportTable(markdown: document) }

private func target(
    _ name: String, _ path: String, _ dependencies: [String] = [], type: String = "regular"
) -> Manifest.Target {
    Manifest.Target(name: name, type: type, path: path, dependencies: dependencies)
}

private let manifest = Manifest(targets: [
    target("Bricks", "Sources/Base/Bricks"),
    target("CStore", "Sources/Storage/CStore", type: "system"),
    target("Store", "Sources/Storage/Store", ["Bricks", "CStore"]),
    target("Gate", "Sources/Network/Gate", ["Store", "NIOCore", "Zip"]),
    target("Main", "Sources/App/Main", ["Gate", "Store"], type: "executable"),
    target("BricksTests", "Tests/BricksTests", ["Bricks"], type: "test"),
    target("RuleTests", "Tests/RuleTests", type: "test"),
])

@Suite("The rules on doors can fail")
struct DoorRuleTests {
    @Test("a house in order gives no violation")
    func inOrder() throws {
        let table = try made()
        #expect(checkTable(table) == [])
        #expect(checkManifest(manifest, table) == [])
        #expect(checkFolders(["Sources/Base/Bricks/A.swift", "Sources/App/Main/B/C.swift"], manifest) == [])
    }

    @Test(
        "imports that are allowed",
        arguments: [
            ("Sources/Base/Bricks/A.swift", "Swift"), ("Sources/Base/Bricks/A.swift", "Glibc"),
            ("Sources/Storage/Store/A.swift", "Bricks"), ("Sources/Storage/Store/A.swift", "CStore"),
            ("Sources/Network/Gate/A.swift", "NIOCore"), ("Sources/Network/Gate/A.swift", "NIOHTTP1"),
            ("Sources/Network/Gate/Deep/A.swift", "Zip"), ("Sources/App/Main/A.swift", "Gate"),
        ])
    func allowed(_ path: String, _ module: String) throws {
        #expect(checkImports(SourceText(path: path, text: "import \(module)\n"), manifest, try made()) == [])
    }

    @Test(
        "imports that are not",
        arguments: [
            ("Sources/Base/Bricks/A.swift", "Foundation"), ("Sources/Base/Bricks/A.swift", "Store"),
            ("Sources/Base/Bricks/A.swift", "NIOCore"), ("Sources/Storage/Store/A.swift", "Gate"),
            ("Sources/Storage/Store/A.swift", "Glibc"), ("Sources/Network/Gate/A.swift", "CStore"),
            ("Sources/Network/Gate/A.swift", "NI"), ("Sources/App/Main/A.swift", "Zip"),
        ])
    func forbidden(_ path: String, _ module: String) throws {
        let table = try made()
        for line in [
            "import \(module)", "internal import \(module)", "@preconcurrency import \(module)",
            "@_implementationOnly import struct \(module).Thing", "  public import \(module)  // why not",
        ] {
            let text = "// import Swift\n\(line)\n"
            let violations = checkImports(SourceText(path: path, text: text), manifest, table)
            #expect(violations.count == 1, "\(line)")
            #expect(violations.first?.place == "\(path):2")
        }
    }

    @Test("what only looks like an import is none")
    func noImport() throws {
        let text = """
            // import Foundation
            /* import Foundation
            import Foundation */
            let text = "import Foundation"
            let more = \"\"\"
            import Foundation
            \"\"\"
            let important = 1
            """
        #expect(checkImports(SourceText(path: "Sources/Base/Bricks/A.swift", text: text), manifest, try made()) == [])
    }

    @Test("an import that the manifest does not declare, and one that is exported")
    func undeclared() throws {
        let table = try made()
        let undeclared = SourceText(path: "Sources/Network/Gate/A.swift", text: "import Bricks")
        #expect(
            checkImports(undeclared, manifest, table).map(\.text) == [
                "Package.swift does not say that Gate needs Bricks"
            ])
        let exported = SourceText(path: "Sources/Storage/Store/A.swift", text: "@_exported import Bricks")
        #expect(checkImports(exported, manifest, table).count == 1)
    }

    @Test("a manifest that breaks the table")
    func brokenManifest() throws {
        let table = try made()
        let cases: [(Manifest.Target, String)] = [
            (target("Attic", "Sources/App/Attic"), "has no row"),
            (target("Bricks", "Sources/Storage/Bricks"), "its row says"),
            (target("Bricks", "Sources/Base/Bricks", ["Store"]), "does not allow"),
            (target("Store", "Sources/Storage/Store", ["NIOCore"]), "does not allow"),
            (target("Gate", "Sources/Network/Gate", ["CStore"]), "does not allow"),
            (target("AtticTests", "Tests/AtticTests", type: "test"), "neither"),
            (target("Props", "Tests/Props"), "neither"),
        ]
        for (target, text) in cases {
            let violations = checkManifest(Manifest(targets: [target]), table)
            #expect(violations.count == 1, "\(target.name) \(text)")
            #expect(violations.first?.text.contains(text) == true, "\(violations)")
        }
    }

    @Test("folders that no target holds")
    func strayFolders() {
        let files = [
            "Sources/Base/Cellar/A.swift", "Sources/Base/B.swift", "Sources/C.swift", "Sources/App/Main/A.swift",
        ]
        #expect(
            checkFolders(files, manifest).map(\.place)
                == ["Sources/Base/B.swift", "Sources/Base/Cellar", "Sources/C.swift"])
    }

    @Test("a table that contradicts itself")
    func brokenTable() throws {
        func table(replacing old: String, with new: String) throws -> ImportTable {
            try #require(document.contains(old))
            return try ImportTable(markdown: document.replacingOccurrences(of: old, with: new))
        }
        let up = try table(replacing: "| `Bricks` | Base | nothing", with: "| `Bricks` | Base | `Gate`")
        #expect(checkTable(up).contains { $0.text == "Bricks looks up to Gate" })
        #expect(checkTable(up).contains { $0.text.contains("import each other") })
        let round = try table(replacing: "| `CStore` | Storage | nothing", with: "| `CStore` | Storage | `Store`")
        #expect(checkTable(round).contains { $0.text.contains("import each other") })
        let unknown = try table(replacing: "`Bricks`, `Store`", with: "`Bricks`, `Stores`")
        #expect(checkTable(unknown).map(\.text) == ["Gate may import Stores, which has no row"])
        let floating = try table(replacing: "| `Bricks` | Base |", with: "| `Bricks` | Roof |")
        #expect(checkTable(floating).contains { $0.text.contains("on no storey") })

        for broken in [
            document.replacingOccurrences(of: "| keeps |", with: "|"),
            document.replacingOccurrences(of: "| keeps |", with: "| |"),
            document.replacingOccurrences(of: "| `CStore` |", with: "| `Bricks` |"),
            document.replacingOccurrences(of: "| `CStore` |", with: "| CStore |"),
            document.replacingOccurrences(of: "| room | storey |", with: "| room | floor |"),
            "nothing at all",
        ] {
            #expect(throws: ImportTable.Malformed.self) { try ImportTable(markdown: broken) }
        }
    }

    @Test("the manifest is read from what SwiftPM prints")
    func manifestJSON() throws {
        let json = """
            {"targets": [{"name": "Gate", "type": "regular", "path": "Sources/Network/Gate", "dependencies": [
              {"byName": ["Bricks", null]}, {"product": ["NIOCore", "swift-nio", null, null]},
              {"target": ["Store", {"platformNames": ["linux"]}]}]}]}
            """
        let read = try Manifest(json: Data(json.utf8))
        #expect(read.targets.map(\.name) == ["Gate"])
        #expect(read.targets[0].dependencies == ["Bricks", "NIOCore", "Store"])
        #expect(throws: (any Error).self) { try Manifest(json: Data("{\"targets\": [{}]}".utf8)) }
    }

    @Test("fuzz targets without a file, without a line, or with rooms out of order")
    func fuzzTargets() {
        let good = "# name: rooms\nbricks: Bricks\nstore: Bricks CStore Store\n"
        let check = { (list: String, files: [String]) in
            checkFuzzTargets(list, files: files, sources: ["Sources/Store/Shelf.swift"], manifest)
        }
        #expect(check(good, ["bricks.swift", "store.swift"]) == [])
        #expect(check(good, ["bricks.swift"]).map(\.text) == ["store has no file"])
        #expect(check(good, ["bricks.swift", "store.swift", "x.swift"]).count == 1)
        #expect(check("s: CStore Store Bricks", ["s.swift"]).count == 1)
        #expect(check("s: Cellar", ["s.swift"]).map(\.text) == ["s: no target Cellar"])
        #expect(check("a line of prose", []).count == 1)
        #expect(check("s: Bricks Sources/Store/Shelf.swift", ["s.swift"]) == [])
        #expect(
            check("s: Sources/Store/Gone.swift", ["s.swift"]).map(\.text) == ["s: no source Sources/Store/Gone.swift"])
    }
}

@Suite("The rules on text can fail")
struct TextRuleTests {
    private func violations(_ text: String, path: String = "Sources/Storage/Store/A.swift") -> [String] {
        checkText(SourceText(path: path, text: text)).map(\.text)
    }

    @Test("a long file opens with a comment")
    func header() {
        let body = String(repeating: "let a = 1\n", count: linesWithoutHeaderMax + 1)
        #expect(violations(body).count == 1)
        #expect(violations("import Bricks\n\n" + body).count == 1)
        #expect(violations("// What it is for.\n" + body) == [])
        #expect(violations("import Bricks\n\n/// What it is for.\n" + body) == [])
        #expect(violations(String(repeating: "let a = 1\n", count: linesWithoutHeaderMax - 1)) == [])
    }

    @Test("words that mark unfinished work", arguments: unfinishedWords)
    func unfinished(_ word: String) {
        #expect(violations("// \(word): later\n").count == 1)
        #expect(violations("let text = \"\(word)\"\n").count == 1)
        #expect(violations("// \(word)lars and \(word)\(word)\n") == [])
    }

    @Test("names that say nothing", arguments: emptyNames)
    func names(_ name: String) {
        #expect(violations("package struct Store\(name) {}\n").count == 1)
        #expect(violations("final class \(name) {}\n").count == 1)
        #expect(violations("let a = File\(name).default\nextension File\(name) {}\n") == [])
        #expect(violations("// a class \(name) was rejected\n") == [])
        #expect(violations("let a = 1\n", path: "Sources/Base/Bricks/String\(name).swift").count == 1)
    }

    @Test(
        "clock and randomness taken instead of passed in",
        arguments: [
            "let now = Date()", "let now = Date.now", "let a = Int.random(in: 0..<9)", "let b = items.shuffled()",
            "let c = UInt8.random(\nin: 0...255)", "var g = SystemRandomNumberGenerator()",
            "let text = \"\\(Date())\"",
        ])
    func hidden(_ code: String) {
        #expect(violations(code).count == 1)
        #expect(violations(code, path: "Sources/App/Main/A.swift") == [])
        #expect(violations(code, path: "Tests/BricksTests/A.swift") == [])
        #expect(violations("/* \(code) */") == [])
    }

    @Test(
        "clock and randomness passed in",
        arguments: [
            "let a = Int.random(in: 0..<9, using: &random)", "let a = Int.random(\n    in: f(1),\n    using: &random)",
            "let a = Date(timeIntervalSince1970: 0)", "let text = \"Date()\"", "let text = #\"\"Date()\"\"#",
        ])
    func passedIn(_ code: String) {
        #expect(violations(code) == [])
    }

    @Test("checks of the compiler that are switched off without a reason")
    func reasons() {
        let unchecked = "final class A: @unchecked Sendable {}\n"
        #expect(violations(unchecked).count == 1)
        #expect(violations("let a = 1\n" + unchecked).count == 1)
        #expect(violations("// Guarded by the lock.\n" + unchecked) == [])
        #expect(violations("/// Guarded by the lock.\n@frozen\n" + unchecked) == [])
        #expect(violations("nonisolated(unsafe) var a = 1\n").count == 1)
        #expect(violations("let a = try! f()\n").count == 1)
        #expect(violations("let a = try! f()\n", path: "Tests/BricksTests/A.swift") == [])
    }

    @Test("what is code and what is not")
    func scanning() {
        let source = SourceText(
            path: "A.swift",
            text: #"let a = "x \(f("y", (1))) z" + b // c"# + "\n/* d /* e */\n f */ g\nlet h = #\"i \" \\(j)\"# + k\n")
        #expect(
            source.lines.map(\.code).map(trimmed) == ["let a = \"\"f(\"\", (1)) + b", "", "g", "let h = \"\" + k", ""])
    }
}

@Suite("Rules on the index of RFCs")
struct ReferenceRuleTests {
    private let paths: Set<String> = ["Sources/Base/Bricks/A.swift"]
    private let line = "9051\t6.3.1\tyes\tSources/Base/Bricks/A.swift\n"

    @Test("what holds")
    func holds() {
        #expect(checkIndex("# RFC, section\n\n" + line, paths: paths, cited: ["9051": "A.swift"]) == [])
        #expect(checkIndex("9051\tall\tno\t-\n", paths: paths, cited: ["9051": "A.swift"]) == [])
    }

    @Test(
        "what does not",
        arguments: [
            "9051\t6.3.1\tyes\tSources/Base/Bricks/B.swift", "9051\t6.3.1\tmaybe\tSources/Base/Bricks/A.swift",
            "9051\t6.3.1\tyes\t-", "9051\t6.3.1\tyes", "RFC 9051\t6.3.1\tyes\tSources/Base/Bricks/A.swift",
        ])
    func broken(_ line: String) {
        #expect(checkIndex(line + "\n", paths: paths, cited: [:]).count == 1)
    }

    @Test("a line twice, and an RFC that is not listed")
    func missing() {
        #expect(checkIndex(line + line, paths: paths, cited: [:]).count == 1)
        #expect(checkIndex(line, paths: paths, cited: ["3501": "B.swift"]).map(\.place) == ["B.swift"])
    }

    @Test("what is a citation")
    func found() {
        #expect(citations(in: "as RFC 9051 section 6 says, and RFC 822, not RFC x or RFC9051") == ["9051", "822"])
    }
}
