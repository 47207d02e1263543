import Foundation

/// The targets of Package.swift, as SwiftPM reads them: the rules hold for the package, not for a way of writing it.
struct Manifest: Decodable {
    struct Target: Decodable {
        let name: String
        /// regular, executable, test, system, ...
        let type: String
        let path: String?
        /// Names of targets and of products from other packages.
        let dependencies: [String]

        init(name: String, type: String, path: String?, dependencies: [String]) {
            self.name = name
            self.type = type
            self.path = path
            self.dependencies = dependencies
        }

        private enum Key: String, CodingKey { case name, type, path, dependencies }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            name = try container.decode(String.self, forKey: .name)
            type = try container.decode(String.self, forKey: .type)
            path = try container.decodeIfPresent(String.self, forKey: .path)
            dependencies = try container.decode([Dependency].self, forKey: .dependencies).map(\.name)
        }
    }

    /// `{"byName": ["Octets", null]}`, `{"product": ["NIOCore", "swift-nio", ...]}`, `{"target": [...]}`.
    private struct Dependency: Decodable {
        let name: String

        private struct Element: Decodable {
            let text: String?

            init(from decoder: any Decoder) throws {
                text = try? decoder.singleValueContainer().decode(String.self)
            }
        }

        init(from decoder: any Decoder) throws {
            let kinds = try decoder.singleValueContainer().decode([String: [Element]].self)
            guard kinds.count == 1, let name = kinds.values.first?.first?.text else {
                throw DecodingError.dataCorrupted(
                    .init(codingPath: decoder.codingPath, debugDescription: "a dependency of an unknown kind"))
            }
            self.name = name
        }
    }

    let targets: [Target]

    init(targets: [Target]) { self.targets = targets }

    init(json: Data) throws {
        self = try JSONDecoder().decode(Manifest.self, from: json)
    }

    /// Asks SwiftPM. A scratch folder of its own keeps it clear of the lock of the build that runs this test.
    static func load(package: URL) throws -> Manifest {
        let scratch = FileManager.default.temporaryDirectory.appendingPathComponent("letterlog-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "swift", "package", "--package-path", package.path, "--scratch-path", scratch.path, "dump-package",
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let json = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return try Manifest(json: json)
    }
}
