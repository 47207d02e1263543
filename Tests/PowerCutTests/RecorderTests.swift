import Foundation
import PowerCutSupport
import Testing

@Suite struct RecorderTests {
    @Test("replaying all that was recorded gives the folder the process left")
    func everyCall() throws {
        let scratch = try Scratch()
        let environment = try PowerCutPreload.environment(root: scratch("root"), trace: scratch("trace"))
        let (status, output) = try PowerCutPreload.run(
            try program("calls"), [scratch("root")], environment: environment)
        #expect(status == 0, "\(output)")
        let trace = try PowerCutTrace(contentsOf: scratch("trace"))
        #expect(trace.unsupported.isEmpty)
        try trace.buildImage(at: trace.cuts - 1, mode: .all, seed: 1, into: scratch("image"))
        let expected = try tree(scratch("root"))
        let actual = try tree(scratch("image"))
        #expect(Set(actual.keys) == Set(expected.keys))
        #expect(expected.count == 13)
        let files = FileManager.default
        #expect(try files.destinationOfSymbolicLink(atPath: scratch("image") + "/leads") == "folder/../source")
        let changed = try files.attributesOfItem(atPath: scratch("image") + "/source")[.modificationDate] as? Date
        #expect(changed.map { Int($0.timeIntervalSince1970) } == 1_234_567_890)
        for (name, content) in expected { #expect(actual[name] == content, "\(name)") }
        let kinds = trace.syncs.map(\.kind)
        #expect(kinds.filter { $0 == .synchronousWrite }.count == 3)
        #expect(kinds.contains(.range) && kinds.contains(.filesystem) && kinds.contains(.data))
        #expect(trace.syncs.contains { $0.kind == .full && $0.path == "folder" })
    }

    @Test("a recording that begins on a filled folder is replayed over a copy of it")
    func baseFolder() throws {
        let scratch = try Scratch()
        let run = { (count: String) throws in
            let environment = try PowerCutPreload.environment(
                root: scratch("root"), trace: scratch("trace"), acks: scratch("acks"))
            let (status, output) = try PowerCutPreload.run(
                try program("two_files"), [scratch("root"), scratch("acks"), count], environment: environment)
            #expect(status == 0, "\(output)")
        }
        try run("50")
        try FileManager.default.copyItem(atPath: scratch("root"), toPath: scratch("base"))
        try FileManager.default.removeItem(atPath: scratch("trace"))
        try run("30")
        #expect(throws: PowerCutTraceError.unknownFile(path: "commit", position: 1)) {
            try PowerCutTrace(contentsOf: scratch("trace"))
        }
        let trace = try PowerCutTrace(contentsOf: scratch("trace"), base: scratch("base"))
        try trace.buildImage(at: 0, mode: .none, seed: 1, into: scratch("image"))
        #expect(try tree(scratch("image")) == tree(scratch("base")))
        try trace.buildImage(at: trace.cuts - 1, mode: .none, seed: 1, into: scratch("image"))
        #expect(try tree(scratch("image")) == tree(scratch("root")))
    }

    @Test("acknowledgements of a client stand among the records of the server")
    func acknowledgementsFromOutside() throws {
        let scratch = try Scratch()
        let journal = try PowerCutAcknowledgements(trace: scratch("trace"))
        try journal.record(Array("first".utf8))
        let environment = try PowerCutPreload.environment(
            root: scratch("root"), trace: scratch("trace"), acks: scratch("acks"))
        _ = try PowerCutPreload.run(
            try program("two_files"), [scratch("root"), scratch("acks"), "1"], environment: environment)
        try journal.record(Array("last".utf8))
        let trace = try PowerCutTrace(contentsOf: scratch("trace"))
        let one: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0]
        #expect(trace.acks(before: trace.cuts - 1) == [Array("first".utf8), one, Array("last".utf8)])
        #expect(trace.acks(before: 0).isEmpty)
        #expect(trace.acks(before: 1) == [Array("first".utf8)])
    }

    @Test("writable shared mappings and stdio streams are reported")
    func unsupportedCalls() throws {
        let scratch = try Scratch()
        let environment = try PowerCutPreload.environment(root: scratch("root"), trace: scratch("trace"))
        let (status, output) = try PowerCutPreload.run(
            try program("unrecorded"), [scratch("root")], environment: environment)
        #expect(status == 0, "\(output)")
        let trace = try PowerCutTrace(contentsOf: scratch("trace"))
        #expect(trace.unsupported == ["writable mapping mapped", "stdio stream stream"])
    }
}
