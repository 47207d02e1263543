import Foundation
import Testing

/// The rules, held against this repository.
@Suite("House rules")
struct RepositoryTests {
    let root: URL
    let table: ImportTable
    let manifest: Manifest
    let sourceFiles: [String]
    let testFiles: [String]

    init() throws {
        root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        table = try ImportTable(
            markdown: String(contentsOf: root.appendingPathComponent(architecture), encoding: .utf8))
        manifest = try Manifest.load(package: root)
        sourceFiles = Self.files(under: "Sources", of: root)
        testFiles = Self.files(under: "Tests", of: root)
    }

    /// Paths relative to the checkout, hidden files and folders left out.
    private static func files(under folder: String, of root: URL) -> [String] {
        let names = FileManager.default.enumerator(atPath: root.appendingPathComponent(folder).path)
        var files: [String] = []
        while let name = names?.nextObject() as? String {
            guard names?.fileAttributes?[.type] as? FileAttributeType == .typeRegular,
                !name.split(separator: "/").contains(where: { $0.hasPrefix(".") })
            else { continue }
            files.append("\(folder)/\(name)")
        }
        return files.sorted()
    }

    private func source(_ path: String) throws -> SourceText {
        try SourceText(path: path, text: String(contentsOf: root.appendingPathComponent(path), encoding: .utf8))
    }

    private func expectNone(_ violations: [Violation]) {
        for violation in violations { Issue.record("\(violation)") }
    }

    @Test("the table is one of doors that lead down")
    func tableHolds() { expectNone(checkTable(table)) }

    @Test("Package.swift follows the table")
    func manifestHolds() {
        #expect(manifest.targets.count > 1)
        expectNone(checkManifest(manifest, table))
    }

    @Test("every folder under Sources is a target")
    func foldersHold() {
        #expect(!sourceFiles.isEmpty)
        expectNone(checkFolders(sourceFiles, manifest))
    }

    @Test("no room imports what the table does not allow")
    func importsHold() throws {
        for path in sourceFiles where path.hasSuffix(".swift") {
            expectNone(checkImports(try source(path), manifest, table))
        }
    }

    @Test("every file keeps the rules on text")
    func textHolds() throws {
        let extensions = [".swift", ".c", ".h"]
        for path in sourceFiles + testFiles where extensions.contains(where: { path.hasSuffix($0) }) {
            expectNone(checkText(try source(path)))
        }
    }

    @Test("every fuzz target is in the table of fuzz targets")
    func fuzzTargetsHold() throws {
        let list = try String(contentsOf: root.appendingPathComponent("Tests/Fuzz/targets.txt"), encoding: .utf8)
        let files = testFiles.filter { $0.hasPrefix("Tests/Fuzz/") && $0.hasSuffix(".swift") }
            .map { String($0.dropFirst("Tests/Fuzz/".count)) }
        expectNone(checkFuzzTargets(list, files: files, sources: sourceFiles + testFiles, manifest))
    }

    @Test("every RFC that is cited is in the index, and every file of the index is there")
    func indexHolds() throws {
        let index = try String(contentsOf: root.appendingPathComponent(rfcIndex), encoding: .utf8)
        var cited: [String: String] = [:]
        for path in sourceFiles where path.hasSuffix(".swift") {
            for rfc in citations(in: try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)) {
                cited[rfc] = path
            }
        }
        #expect(!cited.isEmpty)
        let tools = Self.files(under: "tools", of: root)
        expectNone(checkIndex(index, paths: Set(sourceFiles + testFiles + tools), cited: cited))
    }
}
