import Foundation
import ProgramSupport
import Testing

@Suite struct LimitsPageTests {
    /// The page of limits is what `tools/limits` would write; when it is not, run `tools/check --fix`.
    @Test func thePageFollowsTheSources() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let script = try PythonScript(running: root.appendingPathComponent("tools/limits").path, ["--check"])
        #expect(script.status == 0, "\(script.said)")
    }
}
