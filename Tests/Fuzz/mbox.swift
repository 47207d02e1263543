// mbox files: the messages are those of a plain reading of the whole file, which holds every line and no limit on
// memory; line ends are CRLF; and the size of the pieces that go in changes nothing. Where a `Content-Length` may hold
// there are no more messages than that.
//
// Bytes: how `From ` lines are quoted, with the bit 64 that lengths are believed, and with the top bit that status fields
// are left out; how to cut; then the file.
import MIME

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMbox(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard input.count >= 2 else { return 0 }
    let isCounted = input[0] & 64 != 0
    let quoting = isCounted ? MboxQuoting.automatic : [.mboxrd, .mboxo, .none][Int(input[0] & 63) % 3]
    let drops = input[0] & 128 != 0
    let file = Array(input[2...])
    let whole = read(file, quoting, drops, cut: nil)
    precondition(read(file, quoting, drops, cut: input[1]) == whole, "pieces matter")
    precondition(read(file, quoting, drops, cut: 0) == whole, "single octets matter")
    let plain = plainMessages(of: file, quoting)
    if isCounted {
        precondition(whole.messages.count <= plain.count, "a length makes messages")
        return 0
    }
    precondition(whole.messages.count == plain.count, "another number of messages")
    for (message, expected) in zip(whole.messages, plain) {
        precondition(message.status.keywords.count <= MIMELimits.keywordsMax)
        if drops {
            precondition(message.octets.count <= expected.count, "octets that are not of the message")
        } else {
            precondition(message.octets == expected, "another message")
        }
    }
    return 0
}

private struct Message: Equatable {
    var from: MboxFromLine
    var octets: [UInt8] = []
    var status = MboxStatus()
}

private struct Reading: Equatable {
    var messages: [Message] = []
    var strayOctets = 0
}

/// Reads in the pieces that follow from `cut`.
private func read(_ file: [UInt8], _ quoting: MboxQuoting, _ drops: Bool, cut: UInt8?) -> Reading {
    let isEnd: @Sendable (Int, Int) -> Bool = { body, length in
        let (end, isOver) = body.addingReportingOverflow(length)
        guard !isOver, (0...file.count).contains(end) else { return false }
        return end == file.count || file[end...].starts(with: "From ".utf8)
    }
    var reader = MboxReader(
        quoting: quoting, dropsStatusFields: drops, isEnd: quoting == .automatic ? isEnd : nil)
    var reading = Reading()
    var isOpen = false
    let sink = { (event: MboxEvent) in
        switch event {
        case .began(let from):
            precondition(!isOpen, "a message begins within another")
            isOpen = true
            reading.messages.append(Message(from: from))
        case .bytes(let run):
            precondition(isOpen && !run.isEmpty, "octets outside a message")
            reading.messages[reading.messages.count - 1].octets += run
        case .ended(let status):
            precondition(isOpen, "a message ends twice")
            isOpen = false
            reading.messages[reading.messages.count - 1].status = status
        }
    }
    Pieces.each(of: file[...], cut: cut) { $0.withUnsafeBytes { reader.consume($0, sink) } }
    reader.finish(sink)
    precondition(!isOpen && reader.messages == reading.messages.count)
    reading.strayOctets = reader.strayOctets
    return reading
}

/// The messages with all their header fields, by the rules at the head of `MboxReader` and nothing else.
private func plainMessages(of file: [UInt8], _ quoting: MboxQuoting) -> [[UInt8]] {
    var lines = file.split(separator: 10, omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    var messages: [[[UInt8]]] = []
    for line in lines {
        // A line over the limit is taken for nothing but what it is.
        let isLong = line.count > MIMELimits.lineOctetsMax
        var text = Array(line.last == 13 ? line.dropLast() : line)
        if !isLong, MboxFromLine(parsing: text) != nil {
            messages.append([])
        } else if !messages.isEmpty {
            if !isLong { unquote(&text, quoting) }
            messages[messages.count - 1].append(text)
        }
    }
    return messages.map { lines in
        var lines = lines
        // The empty line before the next message is the file's, unless it is the one that ends the header.
        if let headerEnd = lines.firstIndex(of: []), lines.last == [], headerEnd < lines.count - 1 {
            lines.removeLast()
        }
        return Array(lines.map { $0 + [13, 10] }.joined())
    }
}

private func unquote(_ line: inout [UInt8], _ quoting: MboxQuoting) {
    let marks = line.prefix { $0 == 62 }.count
    guard marks > 0, line.dropFirst(marks).starts(with: "From ".utf8) else { return }
    switch quoting {
    case .none: return
    case .mboxo: if marks == 1 { line.removeFirst() }
    case .mboxrd, .automatic: line.removeFirst()
    }
}
