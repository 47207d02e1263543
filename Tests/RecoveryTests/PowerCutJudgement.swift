// What the power cuts of several suites have in common: a recording that nothing has escaped, and the images of it, each
// judged by a child process.
import Foundation
import PowerCutSupport
import Testing

extension PowerCutTrace {
    /// The recording that a run has left in `scratch`.
    static func recorded(in scratch: Scratch) throws -> PowerCutTrace {
        let trace = try PowerCutTrace(contentsOf: scratch("trace"))
        // LMDB's lock file is made anew after a crash; nothing else may escape the recording.
        #expect(trace.unsupported.allSatisfy { $0.hasSuffix("lock.mdb") }, "\(trace.unsupported)")
        return trace
    }
}

extension Verdicts {
    /// Builds images of a recording at `cuts`, in each mode, and has each checked. Stops early at `enoughBroken`.
    ///
    /// - Parameters:
    ///   - mode: of the child process that checks.
    ///   - more: what the check is told behind the image, the journal, and how much of that was promised before the cut.
    init(
        on trace: PowerCutTrace, cuts: [Int], modes: [PowerCutMode] = PowerCutMode.allCases, by mode: String,
        enoughBroken: Int, in scratch: Scratch, telling more: (PowerCutImageBuilder) throws -> [String] = { _ in [] }
    ) throws {
        let builder = try PowerCutImageBuilder(trace, scratch: scratch("durable"))
        let check = CheckProcess(mode)
        for cut in cuts {
            let promised = trace.acks(before: cut).reduce(0) { $0 + $1.count }
            for (number, mode) in modes.enumerated() {
                try builder.buildImage(at: cut, mode: mode, seed: UInt64(number + 1), into: scratch("image"))
                let verdict = try check.ask([scratch("image"), scratch("journal"), "\(promised)"] + more(builder))
                note(verdict, at: "cut \(cut) of \(trace.cuts), \(mode), seed \(number + 1)")
            }
            if broken >= enoughBroken { break }
        }
    }
}
