// The side of a mail server towards its filters: whatever a filter says, however it is cut up, what we do is the same; each question
// is answered once or the filter has failed; nothing follows a failure; and no change that it asks for makes more than one field.
//
// Bytes: how to cut; then what the filter says, as turns: an octet with the length, then so many octets. Between two turns the
// next question is asked, when the last one has been answered.
import MIME
import Milter

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMilter(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard input.count > 1 else { return 0 }
    var turns: [[UInt8]] = []
    var position = 1
    while position < input.count {
        let end = min(position + 1 + Int(input[position]), input.count)
        turns.append(Array(input[position + 1..<end]))
        position = end
    }
    let whole = Run().play(turns, pieceMax: .max)
    precondition(Run().play(turns, pieceMax: 1) == whole, "octets matter")
    precondition(Run().play(turns, pieceMax: Int(input[0]) + 1) == whole, "pieces matter")
    return 0
}

private struct Run {
    private static let questions: [MilterQuestion] = [
        .connect(host: "[192.0.2.1]", .v4("192.0.2.1", port: 25)), .helo("mx.test"),
        .sender(path: "<a@b>", parameters: []), .recipient(path: "<c@d>", parameters: []), .data,
        .field(name: [0x58], value: [0x79]), .endOfHeader, .body([0x61]), .endOfMessage,
    ]
    private static let letter = "Return-Path: <a@b>\r\nReceived: x\r\nSubject: y\r\nSubject: z\r\n\r\n"

    private var machine = MilterClientMachine()
    private var actions: [MilterClientAction] = []
    private var entries: [MilterClientAction] = []
    private var isAsked = false
    private var next = 0

    func play(_ turns: [[UInt8]], pieceMax: Int) -> [MilterClientAction] {
        var run = self
        run.machine.begin(into: &run.actions)
        run.take()
        for turn in turns {
            for start in stride(from: 0, to: turn.count, by: min(pieceMax, max(1, turn.count))) {
                let piece = Array(turn[start..<min(turn.count, start + min(pieceMax, turn.count))])
                piece.withUnsafeBytes { run.machine.receive($0, into: &run.actions) }
                run.take()
            }
            run.ask()
        }
        run.machine.fail(.timeout, into: &run.actions)
        run.take()
        precondition(run.machine.isOver)
        return run.entries
    }

    private mutating func ask() {
        guard machine.isReady else { return }
        precondition(!isAsked, "ready without an answer")
        isAsked = true
        machine.ask(Self.questions[next % Self.questions.count], ["i": "1"], into: &actions)
        next += 1
        take()
    }

    private mutating func take() {
        for action in actions {
            if case .failed = entries.last { preconditionFailure("an action after a failure") }
            switch action {
            case .answered(let verdict):
                precondition(isAsked, "an answer to nothing")
                isAsked = false
                if case .refuse(let reply) = verdict {
                    precondition((400...599).contains(reply.code) && !reply.lines.isEmpty)
                    precondition(reply.lines.allSatisfy { $0.utf8.allSatisfy { (0x20...0x7E).contains($0) } })
                }
            case .change(.body(let piece)):
                // Pieces of a body are as they came.
                if case .change(.body(let before))? = entries.last {
                    entries[entries.count - 1] = .change(.body(before + piece))
                    continue
                }
            case .change(let change): check(change)
            case .send, .ready, .progress, .failed: break
            }
            entries.append(action)
        }
        actions = []
    }

    private func check(_ change: MilterChange) {
        for leadingSpace in [false, true] {
            guard var header = MilterHeader(Array(Self.letter.utf8)) else { preconditionFailure() }
            header.apply(change, leadingSpace: leadingSpace)
            let octets = header.octets
            let names = octets.withUnsafeBytes { bytes in
                var fields = HeaderFields(bytes)
                var names: [[UInt8]] = []
                while let field = fields.next() { names.append(Array(field.name)) }
                return names
            }
            precondition((3...5).contains(names.count), "a change of more than one field")
            precondition(names[0] == Array("Return-Path".utf8) && names.allSatisfy { !$0.isEmpty })
            precondition(octets.suffix(4) == [13, 10, 13, 10], "the end of the header is another")
        }
    }
}
