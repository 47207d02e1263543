import Foundation
import PowerCutSupport
import Testing

/// The harness against a small store: right, it loses nothing at any cut; with one sync left out, it does.
@Suite struct TwoFileProtocolTests {
    private static let records = 90

    private struct Verdict {
        var images = 0
        /// Images in which an acknowledged record is missing or damaged.
        var lossy = 0
        /// Images whose content differs from that of the image with nothing volatile: the random mode does something.
        var withVolatileContent = 0
    }

    private static func record(_ scratch: Scratch) throws -> PowerCutTrace {
        let environment = try PowerCutPreload.environment(
            root: scratch("root"), trace: scratch("trace"), acks: scratch("acks"))
        let (status, output) = try PowerCutPreload.run(
            try program("two_files"), [scratch("root"), scratch("acks"), "\(records)"], environment: environment)
        #expect(status == 0, "\(output)")
        return try PowerCutTrace(contentsOf: scratch("trace"))
    }

    /// What the store's recovery finds: the number of the last committed record when all up to it are whole, else nil.
    private static func recover(_ image: String) -> UInt64? {
        guard let commit = FileManager.default.contents(atPath: "\(image)/commit") else { return 0 }
        var last: UInt64 = 0
        for slot in [0, 512] where commit.count >= slot + 512 {
            let number = commit.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: slot, as: UInt64.self) }
            let complement = commit.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: slot + 8, as: UInt64.self) }
            if number == ~complement { last = max(last, number) }
        }
        guard last > 0 else { return 0 }
        for number in 1...last {
            let path = "\(image)/segment-\((number - 1) / 40)"
            guard let handle = FileHandle(forReadingAtPath: path) else { return nil }
            try? handle.seek(toOffset: (number - 1) % 40 * 1300)
            let found = (try? handle.read(upToCount: 1300)) ?? Data()
            var expected = withUnsafeBytes(of: number) { Data($0) }
            expected += Data(repeating: UInt8(truncatingIfNeeded: number), count: 1292)
            if found != expected { return nil }
        }
        return last
    }

    private static func judge(_ trace: PowerCutTrace, cuts: Int, in scratch: Scratch) throws -> Verdict {
        var verdict = Verdict()
        let builder = try PowerCutImageBuilder(trace, scratch: scratch("durable"))
        for cut in trace.sampledCuts(cuts, seed: 7) {
            let acknowledged = trace.acks(before: cut).last.map { octets in
                octets.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
            }
            var images: [[String: Data?]] = []
            for mode in PowerCutMode.allCases {
                try builder.buildImage(at: cut, mode: mode, seed: UInt64(cut), into: scratch("image"))
                let recovered = recover(scratch("image"))
                verdict.images += 1
                if (recovered ?? 0) < (acknowledged ?? 0) || recovered == nil { verdict.lossy += 1 }
                images.append(try tree(scratch("image")))
            }
            if images[0] != images[1] { verdict.withVolatileContent += 1 }
        }
        return verdict
    }

    @Test("no acknowledged record is lost in any of 600 images") func sound() throws {
        let scratch = try Scratch()
        let verdict = try Self.judge(try Self.record(scratch), cuts: 200, in: scratch)
        #expect(verdict.images == 600)
        #expect(verdict.lossy == 0)
        #expect(verdict.withVolatileContent > 20)
    }

    enum Omission: String, CaseIterable {
        case recordSync, commitSync, folderSync
    }

    @Test("leaving out one kind of sync is noticed", arguments: Omission.allCases)
    func omitted(_ omission: Omission) throws {
        let scratch = try Scratch()
        let whole = try Self.record(scratch)
        let trace = try whole.removingSyncs { sync in
            switch omission {
            case .recordSync: sync.kind == .data && sync.path.hasPrefix("segment")
            case .commitSync: sync.kind == .synchronousWrite
            case .folderSync: sync.path.isEmpty
            }
        }
        let verdict = try Self.judge(trace, cuts: 60, in: scratch)
        #expect(verdict.lossy > 0)
    }

    @Test("the same seed gives the same image, whatever was built before") func reproducible() throws {
        let scratch = try Scratch()
        let trace = try Self.record(scratch)
        let builder = try PowerCutImageBuilder(trace, scratch: scratch("durable"))
        for cut in [3, trace.cuts / 2, trace.cuts / 3, trace.cuts - 1] {
            for mode in PowerCutMode.allCases {
                try builder.buildImage(at: cut, mode: mode, seed: 5, into: scratch("one"))
                try trace.buildImage(at: cut, mode: mode, seed: 5, into: scratch("two"))
                #expect(try tree(scratch("one")) == tree(scratch("two")))
            }
        }
    }
}
