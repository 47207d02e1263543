import ArgumentParser
import Foundation
import Glibc
import Server

/// Prints the lines of answers as the flags ask.
final class Printer {
    private let output: OutputOptions
    private var meter: ProgressMeter?
    private var pending: [UInt8] = []
    private let flushesLines: Bool

    /// - Parameter live: each line is wanted at once, also by a pipe.
    init(_ output: OutputOptions, live: Bool = false) {
        self.output = output
        flushesLines = live || isatty(STDOUT_FILENO) == 1
        if !output.quiet, !output.json, isatty(STDERR_FILENO) == 1 { meter = ProgressMeter() }
    }

    /// - Throws: the failure a last line tells.
    func print(_ line: AnswerLine) throws {
        switch line.kind {
        case .item: put(line.text)
        case .note: if !output.quiet, !output.json { put(line.text) }
        case .progress: meter?.show(line.done ?? 0, of: line.total)
        case .done:
            if !line.text.isEmpty, !output.quiet { put(line.text) }
            finish()
        case .failed:
            finish()
            throw AdministrationFailure(line.text, line.status ?? .failed)
        }
    }

    /// Lines of our own, in both forms.
    func print(_ text: String, _ value: JSONValue, isAnswer: Bool = false) throws {
        try print(AnswerLine(isAnswer ? .item : .done, output.json ? value.text : text))
        flush()
    }

    private func put(_ text: String) {
        meter?.clear()
        pending.append(contentsOf: text.utf8)
        pending.append(0x0A)
        if flushesLines || pending.count > 1 << 16 { flush() }
    }

    /// Nothing is lost in a buffer: called before the process ends, and while it waits for more.
    func flush() {
        var written = 0
        while written < pending.count {
            let count = pending[written...].withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            // A reader that has gone: `log show | head`.
            guard count > 0 else { break }
            written += count
        }
        pending.removeAll(keepingCapacity: true)
    }

    func finish() {
        meter?.clear()
        flush()
    }
}

/// A line on a terminal that says how far long work is.
struct ProgressMeter {
    private let start = ContinuousClock.now
    private var shown: ContinuousClock.Instant?

    mutating func show(_ done: Int, of total: Int?) {
        let now = ContinuousClock.now
        if let shown, now - shown < .milliseconds(200) { return }
        shown = now
        let seconds = max(
            0.001, Double((now - start).components.seconds) + Double((now - start).components.attoseconds) / 1e18)
        let rate = Double(done) / seconds
        var text = "\(done)"
        if let total { text += " of \(total)" }
        text += ", \(Int(rate))/s"
        if let total, rate > 0 { text += ", \(Int(Double(max(0, total - done)) / rate)) s left" }
        write("\r\u{1B}[K" + text)
    }

    mutating func clear() {
        guard shown != nil else { return }
        shown = nil
        write("\r\u{1B}[K")
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

extension StoreOptions {
    /// Runs one administrative command on the store and prints its answer.
    func run(_ command: some AdministrationCommand, live: Bool = false, repairs: Bool = false) throws {
        let (store, configuration) = try resolve()
        let client = try AdministrationClient(
            store: store, configuration: configuration, form: output.json ? .json : .text, repairs: repairs)
        defer { client.close() }
        let printer = Printer(output, live: live)
        defer { printer.finish() }
        try client.run(command) { try printer.print($0) }
    }
}
