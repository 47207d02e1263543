import Glibc

/// What `tools/fuzz --states` reads. With FUZZ_STATES set a target says which states its machine can be in, with which events
/// there, and which of them an input has led to.
enum StateReport {
    static let isAsked = getenv("FUZZ_STATES") != nil
    // libFuzzer calls from one thread.
    nonisolated(unsafe) private static var told: Set<String> = []

    static func reached(_ state: @autoclosure () -> String, _ event: String) {
        if isAsked { tell("state: \(state()) \(event)") }
    }

    static func expect<Event: CaseIterable & RawRepresentable<String>>(_ states: [String], _ events: Event.Type) {
        for state in states {
            for event in events.allCases { tell("expected: \(state) \(event.rawValue)") }
        }
    }

    private static func tell(_ line: String) {
        guard told.insert(line).inserted else { return }
        Array((line + "\n").utf8).withUnsafeBytes { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
