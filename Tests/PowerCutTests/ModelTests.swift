import Foundation
import PowerCutSupport
import Testing

/// The rules of the model one by one, on traces written by hand.
@Suite struct ModelTests {
    private typealias W = PowerCutEventWriter

    private static func create(_ path: String, inode: UInt64) -> [UInt8] {
        W.record(type: 1, flags: 1, inode: inode, path: path)
    }
    private static func openRoot() -> [UInt8] { W.record(type: 1, flags: 4, inode: 99, path: "") }
    private static func openFolder(_ path: String, inode: UInt64) -> [UInt8] {
        W.record(type: 1, flags: 4, inode: inode, path: path)
    }
    private static func makeFolder(_ path: String) -> [UInt8] { W.record(type: 9, path: path) }
    private static func write(_ inode: UInt64, _ at: Int64, _ text: String, dsync token: Int64? = nil) -> [UInt8] {
        W.record(
            type: 2, flags: token == nil ? 0 : 1, inode: inode, a: at, b: token ?? 0, payload: Array(text.utf8))
    }
    private static func truncate(_ inode: UInt64, _ size: Int64) -> [UInt8] { W.record(type: 3, inode: inode, a: size) }
    private static func allocate(_ inode: UInt64, _ length: Int64) -> [UInt8] {
        W.record(type: 4, inode: inode, a: 0, b: length)
    }
    private static func begin(_ inode: UInt64, _ token: Int64, kind: Int64 = 0) -> [UInt8] {
        W.record(type: 5, inode: inode, a: kind, b: token)
    }
    private static func end(_ token: Int64, result: Int64 = 0) -> [UInt8] { W.record(type: 6, a: result, b: token) }
    private static func rename(_ from: String, _ to: String) -> [UInt8] { W.record(type: 7, path: from, path2: to) }
    private static func unlink(_ path: String) -> [UInt8] { W.record(type: 8, path: path) }
    /// A file "f" of inode 1 whose name is durable; four events.
    private static let namedFile = [create("f", inode: 1), openRoot(), begin(99, 1, kind: 1), end(1)]

    /// The image at the end (or at `cut`), file contents as text, folders as "/".
    private static func image(
        _ events: [[UInt8]], _ mode: PowerCutMode = .none, cut: Int? = nil, seed: UInt64 = 1,
        model: PowerCutModel = .init()
    ) throws -> [String: String] {
        let scratch = try Scratch()
        let trace = try PowerCutTrace(bytes: Array(events.joined()), model: model)
        try trace.buildImage(at: cut ?? trace.cuts - 1, mode: mode, seed: seed, into: scratch("image"))
        return try tree(scratch("image")).mapValues { content in
            content.map { String(decoding: $0, as: UTF8.self) } ?? "/"
        }
    }

    /// All images that 300 seeds give.
    private static func outcomes(_ events: [[UInt8]]) throws -> Set<[String: String]> {
        try Set((0..<300).map { try image(events, .random, seed: $0) })
    }

    @Test("an unsynced write is kept, lost, or lost with the file grown") func unsyncedWrite() throws {
        let events = Self.namedFile + [Self.write(1, 0, "data")]
        #expect(try Self.image(events, .none) == ["f": ""])
        #expect(try Self.image(events, .all) == ["f": "data"])
        #expect(try Self.outcomes(events) == [["f": ""], ["f": "data"], ["f": "\0\0\0\0"]])
    }

    @Test("a sync covers what was written before it began, from its end on") func syncWindow() throws {
        let events =
            Self.namedFile + [
                Self.write(1, 0, "A"), Self.begin(1, 2), Self.write(1, 1, "B"), Self.end(2), Self.write(1, 2, "C"),
            ]
        #expect(try Self.image(events, cut: 7) == ["f": ""])
        #expect(try Self.image(events, cut: 8) == ["f": "A"])
        #expect(try Self.image(events) == ["f": "A"])
        #expect(try Self.image(events, .all, cut: 8) == ["f": "AB"])
        #expect(try Self.image(events, .all) == ["f": "ABC"])
    }

    @Test("a sync of one file says nothing about another") func syncOfAnotherFile() throws {
        let events = [
            Self.create("f", inode: 1), Self.create("g", inode: 2), Self.openRoot(), Self.begin(99, 1, kind: 1),
            Self.end(1), Self.write(1, 0, "F"), Self.write(2, 0, "G"), Self.begin(2, 2), Self.end(2),
        ]
        #expect(try Self.image(events) == ["f": "", "g": "G"])
    }

    @Test("a failed sync covers nothing, and no later sync makes up for it") func failedSync() throws {
        let events =
            Self.namedFile + [
                Self.write(1, 0, "A"), Self.begin(1, 2), Self.end(2, result: -1), Self.write(1, 1, "B"),
                Self.begin(1, 3), Self.end(3),
            ]
        #expect(try Self.image(events) == ["f": "\0B"])
        #expect(try Self.image(events, .all) == ["f": "AB"])
    }

    @Test("sync_file_range promises nothing, syncfs everything") func otherSyncs() throws {
        let written = Self.namedFile + [Self.write(1, 0, "A"), Self.create("new", inode: 5)]
        #expect(try Self.image(written + [Self.begin(1, 2, kind: 2)]) == ["f": ""])
        #expect(try Self.image(written + [Self.begin(1, 2, kind: 3), Self.end(2)]) == ["f": "A", "new": ""])
    }

    @Test("a synchronous write makes itself durable and no other, and only when it returned") func synchronousWrite()
        throws
    {
        let events =
            Self.namedFile + [
                Self.write(1, 4, "late"), Self.write(1, 0, "sync", dsync: 7), Self.end(7, result: 4),
            ]
        #expect(try Self.image(events, cut: 6) == ["f": ""])
        #expect(try Self.image(events) == ["f": "sync"])
        #expect(try Self.image(events, .all) == ["f": "synclate"])
        #expect(try Self.image(Array(events.dropLast()) + [Self.end(7, result: 2)]) == ["f": "sy"])
        #expect(try Self.image(Array(events.dropLast()) + [Self.end(7, result: -1)]) == ["f": ""])
    }

    @Test("an older volatile write never covers a newer durable one") func orderWithinAFile() throws {
        let events =
            Self.namedFile + [
                Self.write(1, 0, "old-"), Self.write(1, 0, "new", dsync: 7), Self.end(7, result: 3),
            ]
        #expect(try Self.outcomes(events) == [["f": "new"], ["f": "new-"], ["f": "new\0"]])
        // The sync comes after the image with the newer write was built: the builder must not put the older one on top.
        let scratch = try Scratch()
        let trace = try PowerCutTrace(bytes: Array((events + [Self.begin(1, 8), Self.end(8)]).joined()))
        let builder = try PowerCutImageBuilder(trace, scratch: scratch("durable"))
        for cut in 0..<trace.cuts { try builder.buildImage(at: cut, mode: .none, seed: 1, into: scratch("image")) }
        #expect(try tree(scratch("image")) == ["f": Data("new-".utf8)])
    }

    @Test("a torn write loses whole sectors of 512 octets, at their place in the file") func tornWrite() throws {
        let before = String(repeating: "o", count: 2048)
        let after = String(repeating: "n", count: 1500)
        let events =
            Self.namedFile + [Self.write(1, 0, before), Self.begin(1, 2), Self.end(2), Self.write(1, 300, after)]
        let contents = try Self.outcomes(events).map { Array(try #require($0["f"]).utf8) }
        for content in contents {
            #expect(content.count == 2048)
            #expect(content[..<300].allSatisfy { $0 == UInt8(ascii: "o") })
            #expect(content[1800...].allSatisfy { $0 == UInt8(ascii: "o") })
            for part in [300..<512, 512..<1024, 1024..<1536, 1536..<1800] {
                #expect(Set(content[part]).count == 1, "a sector is never half written")
            }
        }
        #expect(contents.count == 16, "every subset of the four sectors is drawn")
    }

    @Test("where a truncation is lost, what was written beyond it is lost too") func truncation() throws {
        let events =
            Self.namedFile + [
                Self.write(1, 0, "0123456789"), Self.begin(1, 2), Self.end(2), Self.truncate(1, 2),
                Self.write(1, 0, "abcd"),
            ]
        #expect(try Self.image(events) == ["f": "0123456789"])
        #expect(try Self.image(events, .all) == ["f": "abcd"])
        let outcomes = try Self.outcomes(events)
        #expect(outcomes.contains(["f": "ab23456789"]))
        #expect(!outcomes.contains { $0["f"]?.hasPrefix("abcd4") ?? false })
    }

    @Test("an allocation grows the file with zeros and is volatile as writes are") func allocation() throws {
        let events = Self.namedFile + [Self.allocate(1, 3), Self.allocate(1, 6), Self.write(1, 1, "x")]
        #expect(try Self.image(events) == ["f": ""])
        #expect(try Self.image(events, .all) == ["f": "\0x\0\0\0\0"])
        #expect(try Self.image(events + [Self.begin(1, 2), Self.end(2)]) == ["f": "\0x\0\0\0\0"])
        // A prefix of the allocations: never the second without the first.
        let sizes = try Set(Self.outcomes(events).map { $0["f"]?.utf8.count })
        #expect(sizes == [0, 2, 3, 6])
    }

    @Test("a new name needs a sync of its folder, or on ext4 of the file") func newName() throws {
        let events = [Self.create("f", inode: 1), Self.write(1, 0, "A"), Self.begin(1, 1), Self.end(1)]
        #expect(try Self.image(events) == [:])
        #expect(try Self.image(events, model: .init(fileSyncPersistsNewNames: true)) == ["f": "A"])
        #expect(try Self.image(events, .all) == ["f": "A"])
        #expect(try Self.outcomes(events) == [[:], ["f": "A"]])
    }

    @Test("names within a folder that is not durable itself are not there") func nestedFolders() throws {
        let events = [
            Self.makeFolder("d"), Self.create("d/f", inode: 1), Self.openFolder("d", inode: 2),
            Self.begin(2, 1, kind: 1), Self.end(1),
        ]
        #expect(try Self.image(events) == [:])
        #expect(
            try Self.image(events + [Self.openRoot(), Self.begin(99, 2, kind: 1), Self.end(2)]) == [
                "d": "/", "d/f": "",
            ])
    }

    @Test("a rename within a folder is wholly there or not") func renameInOneFolder() throws {
        let events =
            Self.namedFile + [
                Self.create("t", inode: 2), Self.write(2, 0, "new"), Self.begin(2, 2), Self.end(2),
                Self.rename("t", "f"),
            ]
        #expect(try Self.image(events) == ["f": ""])
        #expect(try Self.outcomes(events) == [["f": ""], ["f": "", "t": "new"], ["f": "new"]])
        #expect(try Self.image(events + [Self.begin(99, 3, kind: 1), Self.end(3)]) == ["f": "new"])
    }

    @Test("a file renamed to another folder is at one place or both, never at none") func renameAcrossFolders() throws {
        let events =
            [Self.makeFolder("d")] + Self.namedFile + [Self.openFolder("d", inode: 3), Self.rename("f", "d/f")]
        let both = ["d": "/", "f": "", "d/f": ""]
        #expect(try Self.outcomes(events) == [["d": "/", "f": ""], both, ["d": "/", "d/f": ""]])
        #expect(try Self.image(events + [Self.begin(3, 4, kind: 1), Self.end(4)]) == both)
        #expect(try Self.image(events + [Self.begin(99, 4, kind: 1), Self.end(4)]) == ["d": "/", "d/f": ""])
    }

    @Test("an unlink is volatile; order holds for one name") func unlinkAndMakeAgain() throws {
        let events =
            Self.namedFile + [
                Self.write(1, 0, "old"), Self.begin(1, 2), Self.end(2), Self.unlink("f"), Self.create("f", inode: 2),
                Self.write(2, 0, "new"), Self.begin(2, 3), Self.end(3),
            ]
        #expect(try Self.image(events) == ["f": "old"])
        #expect(try Self.outcomes(events) == [["f": "old"], [:], ["f": "new"]])
    }

    @Test("a time that a program sets needs a full sync; a link needs one of its folder") func timesAndLinks() throws {
        let time = W.record(type: 14, inode: 1, a: 1_234_567_890)
        let link = W.record(type: 13, path: "somewhere", path2: "link")
        func after(_ events: [[UInt8]]) throws -> (isOld: Bool, link: String?) {
            let scratch = try Scratch()
            let trace = try PowerCutTrace(bytes: Array(events.joined()))
            try trace.buildImage(at: trace.cuts - 1, mode: .none, seed: 1, into: scratch("image"))
            let files = FileManager.default
            let date = try files.attributesOfItem(atPath: scratch("image") + "/f")[.modificationDate] as? Date
            return (
                date?.timeIntervalSince1970 == 1_234_567_890,
                try? files.destinationOfSymbolicLink(atPath: scratch("image") + "/link")
            )
        }
        let begun = Self.namedFile + [Self.write(1, 0, "data"), time, link]
        #expect(try after(begun) == (false, nil))
        #expect(try after(begun + [Self.begin(1, 5), Self.end(5)]) == (false, nil))
        #expect(try after(begun + [Self.begin(1, 5, kind: 1), Self.end(5)]) == (true, nil))
        #expect(try after(begun + [Self.begin(99, 6, kind: 1), Self.end(6)]) == (false, "somewhere"))
    }

    @Test("leaving out a sync leaves the others") func omission() throws {
        let events =
            Self.namedFile + [
                Self.write(1, 0, "A"), Self.begin(1, 2), Self.end(2), Self.write(1, 1, "B", dsync: 3),
                Self.end(3, result: 1),
            ]
        let trace = try PowerCutTrace(bytes: Array(events.joined()))
        #expect(trace.syncs.map(\.path) == ["", "f", "f"])
        #expect(trace.syncs.map(\.kind) == [.full, .data, .synchronousWrite])
        let scratch = try Scratch()
        for (kind, left) in [(PowerCutSync.Kind.data, "\0B"), (.synchronousWrite, "A")] {
            let edited = try trace.removingSyncs { $0.kind == kind }
            try edited.buildImage(at: edited.cuts - 1, mode: .none, seed: 1, into: scratch("image"))
            #expect(try tree(scratch("image")) == ["f": Data(left.utf8)])
        }
    }

    @Test("a record cut short ends the trace, a foreign octet is an error") func damagedTrace() throws {
        let whole = Array((Self.namedFile + [Self.write(1, 0, "data")]).joined())
        #expect(try PowerCutTrace(bytes: Array(whole.dropLast())).cuts == 5)
        #expect(try PowerCutTrace(bytes: []).cuts == 1)
        #expect(throws: PowerCutTraceError.notATrace(octet: 0)) {
            try PowerCutTrace(bytes: [UInt8](repeating: 7, count: 64))
        }
        #expect(throws: PowerCutTraceError.unknownInode(5, position: 0)) {
            try PowerCutTrace(bytes: Self.write(5, 0, "x"))
        }
    }

    @Test("sampled cuts ascend and reach the end") func sampledCuts() throws {
        let trace = try PowerCutTrace(bytes: Array((0..<100).flatMap { _ in W.record(type: 11) }))
        let cuts = trace.sampledCuts(10, seed: 3)
        #expect(cuts.count == 10)
        #expect(cuts == cuts.sorted())
        #expect(cuts.last == 100)
        #expect(trace.sampledCuts(1000, seed: 3) == Array(0...100))
    }
}
