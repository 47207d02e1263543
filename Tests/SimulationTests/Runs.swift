// Running seeds, and making a failing run short.
#if canImport(Glibc)
import Glibc
#endif

struct FailedRun {
    var seed: UInt64
    var error: String
    /// What is left after all that does not matter was taken out.
    var steps: [ClientStep]

    var report: String {
        let lines = steps.enumerated().map { "  \($0.offset + 1). \($0.element)" }.joined(separator: "\n")
        return "seed \(seed): \(error)\n\(lines)"
    }
}

struct Runner {
    var stepsPerRun = 60
    var makeDisk: () throws -> any SimulatedDisk

    /// Nil when the run went well.
    func run(_ seed: UInt64) -> FailedRun? {
        let steps = generate(seed: seed, steps: stepsPerRun)
        guard let error = failure(seed, steps) else { return nil }
        let short = shrink(steps) { failure(seed, $0) != nil }
        return FailedRun(seed: seed, error: failure(seed, short) ?? error, steps: short)
    }

    func failure(_ seed: UInt64, _ steps: [ClientStep]) -> String? {
        do {
            try Simulation(try makeDisk()).run(steps, filler: seed % 4 == 0)
            return nil
        } catch {
            return "\(error)"
        }
    }
}

/// Takes out ever smaller parts for as long as `fails` holds.
func shrink<Element>(_ elements: [Element], _ fails: ([Element]) -> Bool) -> [Element] {
    var current = elements
    var length = max(current.count / 2, 1)
    while true {
        var start = 0
        var isShorter = false
        while start < current.count {
            var candidate = current
            candidate.removeSubrange(start..<min(start + length, current.count))
            if fails(candidate) {
                current = candidate
                isShorter = true
            } else {
                start += length
            }
        }
        if length == 1, !isShorter { return current }
        length = max(length / 2, 1)
    }
}

/// Seeds of a run of the tests; `LETTERLOG_SOAK_SEEDS` asks for more.
func seedCount(_ usual: Int) -> Int {
    guard let text = getenv("LETTERLOG_SOAK_SEEDS"), let wanted = Int(String(cString: text)) else { return usual }
    return max(wanted, usual)
}
