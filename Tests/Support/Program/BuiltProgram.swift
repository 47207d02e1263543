import Foundation

/// A program that SwiftPM has built together with the tests.
package enum BuiltProgram {
    /// Where SwiftPM puts all that it builds: the folder of the tests' own executable, or of the bundle that holds it.
    private static var folder: URL {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let bundle = CommandLine.arguments.first { $0.contains(".xctest") } ?? own
        let path = bundle.range(of: ".xctest").map { String(bundle[..<$0.upperBound]) } ?? own
        return URL(filePath: path).deletingLastPathComponent()
    }

    package static func path(of name: String) -> String { folder.appending(path: name).path }
}
