// Rules on doors: which room may see which. They take values and give violations, so that each can be shown a room
// that breaks it.

/// One broken rule, at a place that an editor can open.
struct Violation: CustomStringConvertible, Equatable {
    let place: String
    let text: String

    var description: String { "\(place): \(text)" }
}

let architecture = "docs/ARCHITECTURE.md"

/// The table itself: every name in it is a room, arrows go down, and none goes round.
func checkTable(_ table: ImportTable) -> [Violation] {
    var violations: [Violation] = []
    for room in table.rooms.values.sorted(by: { $0.name < $1.name }) {
        guard let height = table.height(of: room.storey) else {
            violations.append(.init(place: architecture, text: "\(room.name) is on no storey (\(room.storey))"))
            continue
        }
        for other in room.ours where other != "*" {
            guard let below = table.rooms[other] else {
                violations.append(
                    .init(place: architecture, text: "\(room.name) may import \(other), which has no row"))
                continue
            }
            if let belowHeight = table.height(of: below.storey), belowHeight > height {
                violations.append(.init(place: architecture, text: "\(room.name) looks up to \(other)"))
            }
            if reaches(room.name, from: other, in: table) {
                violations.append(.init(place: architecture, text: "\(room.name) and \(other) import each other"))
            }
        }
    }
    return violations
}

private func reaches(_ goal: String, from start: String, in table: ImportTable) -> Bool {
    var seen: Set<String> = []
    var queue = [start]
    while let next = queue.popLast() {
        if next == goal { return true }
        guard seen.insert(next).inserted else { continue }
        queue += table.rooms[next]?.ours ?? []
    }
    return false
}

/// The manifest: every target has a row and stands in its storey's folder, and depends on what its row allows.
func checkManifest(_ manifest: Manifest, _ table: ImportTable) -> [Violation] {
    var violations: [Violation] = []
    func complain(_ text: String) { violations.append(.init(place: "Package.swift", text: text)) }
    for target in manifest.targets {
        let path = target.path ?? ""
        if path.hasPrefix("Tests/") {
            let tested = target.name.hasSuffix("Tests") ? String(target.name.dropLast(5)) : ""
            if table.rooms[tested] == nil, !table.testTargets.contains(target.name) {
                complain("\(target.name) is neither the tests of a room nor in the table of test targets")
            }
            continue
        }
        guard let room = table.rooms[target.name] else {
            complain("\(target.name) has no row in \(architecture)")
            continue
        }
        if path != "Sources/\(room.storey)/\(room.name)" {
            complain("\(target.name) is at \(path), its row says Sources/\(room.storey)/\(room.name)")
        }
        for dependency in target.dependencies where !table.allows(room, dependency) {
            complain("\(target.name) depends on \(dependency), which its row does not allow")
        }
    }
    return violations
}

/// The folders: what lies under Sources belongs to a target, two folders deep.
func checkFolders(_ sourceFiles: [String], _ manifest: Manifest) -> [Violation] {
    let paths = Set(manifest.targets.compactMap(\.path))
    var strays: Set<String> = []
    for file in sourceFiles {
        let parts = file.split(separator: "/")
        let folder = parts.prefix(3).joined(separator: "/")
        if parts.count < 4 || !paths.contains(folder) { strays.insert(parts.count < 4 ? file : folder) }
    }
    return strays.sorted().map { .init(place: $0, text: "no target in Package.swift holds it") }
}

/// The imports of one file of a room.
func checkImports(_ source: SourceText, _ manifest: Manifest, _ table: ImportTable) -> [Violation] {
    guard let target = manifest.targets.first(where: { source.path.hasPrefix(($0.path ?? "-") + "/") }),
        let room = table.rooms[target.name]
    else { return [] }  // checkFolders and checkManifest say so already
    var violations: [Violation] = []
    for line in source.lines {
        guard let module = importedModule(line.code) else { continue }
        let place = "\(source.path):\(line.number)"
        if line.code.contains("@_exported") {
            violations.append(.init(place: place, text: "an exported import opens a door for others"))
        }
        if module == room.name { continue }
        if !table.allows(room, module) {
            violations.append(.init(place: place, text: "\(room.name) may not import \(module)"))
        } else if table.rooms[module] != nil, !target.dependencies.contains(module) {
            // The compiler finds a module that happens to be built; a clean build may not have built it yet.
            violations.append(.init(place: place, text: "Package.swift does not say that \(room.name) needs \(module)"))
        }
    }
    return violations
}

/// The module that a line of code imports; nil when it imports none.
func importedModule(_ code: String) -> String? {
    let prefixes: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
    let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "typealias", "func", "var", "let", "actor"]
    var words = code.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == ";" })[...]
    while let word = words.first, prefixes.contains(word) || word.hasPrefix("@") { words.removeFirst() }
    guard words.popFirst() == "import" else { return nil }
    if let kind = words.first, kinds.contains(kind) { words.removeFirst() }
    return words.first?.split(separator: ".").first.map(String.init)
}

/// The table of fuzz targets: one line for each file and one file for each line, rooms after those that they need, then
/// single sources of rooms that are not built for it, or that targets share.
func checkFuzzTargets(_ list: String, files: [String], sources: [String], _ manifest: Manifest) -> [Violation] {
    let place = "Tests/Fuzz/targets.txt"
    var violations: [Violation] = []
    var names: [String] = []
    for line in list.split(separator: "\n") where !line.hasPrefix("#") {
        let parts = line.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else {
            violations.append(.init(place: place, text: "not a name and its rooms: \(line)"))
            continue
        }
        names.append(String(parts[0]))
        var built: Set<String> = []
        for room in parts[1].split(separator: " ").map(String.init) {
            if room.contains("/") {
                if !sources.contains(room) {
                    violations.append(.init(place: place, text: "\(parts[0]): no source \(room)"))
                }
                continue
            }
            guard let target = manifest.targets.first(where: { $0.name == room }) else {
                violations.append(.init(place: place, text: "\(parts[0]): no target \(room)"))
                continue
            }
            for needed in target.dependencies where !built.contains(needed) {
                violations.append(.init(place: place, text: "\(parts[0]): \(room) needs \(needed) before it"))
            }
            built.insert(room)
        }
    }
    for name in names where !files.contains("\(name).swift") {
        violations.append(.init(place: place, text: "\(name) has no file"))
    }
    for file in files where !names.contains(String(file.dropLast(6))) {
        violations.append(.init(place: "Tests/Fuzz/\(file)", text: "it has no line in targets.txt"))
    }
    return violations
}
