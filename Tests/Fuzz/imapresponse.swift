// What is written to a client can be read: every response is whole lines of atoms, quoted strings, literals and lists that
// close; 8-bit octets stand in literals unless the client has enabled UTF-8; a mailbox name is read as it was written.
//
// Bytes: flags; then strings and a message, cut at zero octets.
import IMAP
import MIME
import MailTypes

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzIMAPResponse(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard let kind = input.first else { return 0 }
    let usesUTF8 = kind & 1 != 0
    let strings = input.dropFirst().split(separator: 0, maxSplits: 4, omittingEmptySubsequences: false).map(Array.init)
    let texts = strings.map { String(decoding: $0, as: UTF8.self) }
    let message = strings.last ?? []
    var writer = IMAPWriter(usesUTF8: usesUTF8)
    let summary = message.withUnsafeBytes { MessageSummary(scanning: $0) }
    writer.beginFetch(UInt32(kind) + 1)
    writer.flags(SystemFlags(rawValue: kind >> 2), keywords: texts.compactMap { Keyword($0) }, isRecent: kind & 2 != 0)
    writer.envelope(summary.envelope)
    writer.bodyStructure(summary.structure, extended: true)
    writer.bodyStructure(summary.structure, extended: false)
    writer.preview(texts.first)
    let names = texts.filter { text in
        !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x3A }
    }
    if !names.isEmpty {
        writer.beginSection(
            BodySection(part: [1, 2], .headerFields(names), partial: PartialRange(offset: 7, count: 1)))
        writer.literal(count: message.count, isBinary: message.contains(0))
        message.withUnsafeBytes { writer.append($0) }
    }
    writer.endFetch()
    for text in texts {
        if let name = MailboxName(text) {
            writer.list(text, attributes: ["\\HasChildren"], childInfo: ["SUBSCRIBED"], oldName: text)
            writer.status(name, [.number(.messages, 1)])
            readBack(name, usesUTF8: usesUTF8)
        }
        writer.quota(root: text, [("STORAGE", 1, 2)])
        writer.reply(.untagged(.no(text, code: .badURL(text))))
        writer.reply(.untagged(.ok(text, code: .inProgress(tag: text, done: 1, goal: nil))))
    }
    let numbers = UIDSet(strings.flatMap { $0 }.map { UID(UInt32($0) * 3 + 1) })
    writer.vanished(numbers, isEarlier: kind & 4 != 0)
    writer.search(numbers.runs, modSeq: 5)
    writer.esearch(tag: texts[0], isUID: true, numbers.runs, [.min, .max, .all, .count], modSeq: 5)
    var reader = Reader(writer.bytes, usesUTF8: usesUTF8)
    reader.responses()
    return 0
}

/// A name as it is written in a LIST is understood as the same name.
private func readBack(_ name: MailboxName, usesUTF8: Bool) {
    var written: [UInt8] = []
    MailboxText.append(name.description, usesUTF8: usesUTF8, to: &written)
    // A literal in an answer is one that is sent unasked in a command.
    if written.first == 0x7B, let end = written.firstIndex(of: 0x7D) { written.insert(0x2B, at: end) }
    var machine = IMAPServerMachine(
        IMAPServerConfiguration(hostName: "x", allowsPlaintextLogin: true, appendOctetsMax: 1))
    var actions: [IMAPAction] = []
    machine.start(into: &actions)
    func send(_ octets: [UInt8]) {
        actions = []
        _ = octets.withUnsafeBytes { machine.receive($0, into: &actions) }
    }
    send(Array("a LOGIN u p\r\n".utf8))
    machine.loginFinished(.success(hidden: []), into: &actions)
    if usesUTF8 { send(Array("a ENABLE UTF8=ACCEPT\r\n".utf8)) }
    send(Array("a SUBSCRIBE ".utf8) + written + [13, 10])
    guard case .perform(.subscribe(let read))? = actions.last else {
        // Net-Unicode forbids some characters that the store does not (RFC 6855 section 3).
        let isForbidden = name.description.unicodeScalars.contains {
            (0x80...0x9F).contains($0.value) || $0.value == 0x2028 || $0.value == 0x2029
        }
        precondition(isForbidden && usesUTF8, "a name cannot be read as it is written")
        return
    }
    precondition(read == name, "another name")
}

/// Reads responses as RFC 9051 section 9 has them, content aside.
private struct Reader {
    private let octets: [UInt8]
    private let usesUTF8: Bool
    private var position = 0

    init(_ octets: [UInt8], usesUTF8: Bool) {
        self.octets = octets
        self.usesUTF8 = usesUTF8
    }

    mutating func responses() {
        while position < octets.count { response() }
    }

    private mutating func response() {
        take("* ")
        // Text for people ends a status response.
        for status in ["OK ", "NO "] where octets[position...].starts(with: status.utf8) {
            while octets[position] != 13 {
                precondition((0x20...0x7E).contains(octets[position]), "text that is not printable")
                position += 1
            }
            return take("\r\n")
        }
        var depth = 0
        while octets[position] != 13 {
            switch octets[position] {
            case 0x28:
                depth += 1
                position += 1
            case 0x29:
                depth -= 1
                precondition(depth >= 0, "a list that was not opened")
                position += 1
            case 0x22: quoted()
            case 0x7E where octets[position + 1] == 0x7B:
                position += 1
                literal(mayHaveNul: true)
            case 0x7B: literal(mayHaveNul: false)
            default:
                precondition((0x20...0x7E).contains(octets[position]), "an octet outside strings")
                position += 1
            }
        }
        precondition(depth == 0, "a list that does not close")
        take("\r\n")
    }

    private mutating func quoted() {
        let start = position
        position += 1
        while octets[position] != 0x22 {
            precondition(
                octets[position] != 13 && octets[position] != 10 && octets[position] != 0, "in a quoted string")
            precondition(usesUTF8 || octets[position] < 0x80, "8-bit in a quoted string")
            position += octets[position] == 0x5C ? 2 : 1
        }
        position += 1
        precondition(String(validating: octets[start..<position], as: UTF8.self) != nil, "a quoted string is not UTF-8")
    }

    private mutating func literal(mayHaveNul: Bool) {
        position += 1
        var count = 0
        while octets[position] != 0x7D {
            precondition((0x30...0x39).contains(octets[position]), "a literal's count")
            count = count * 10 + Int(octets[position] - 0x30)
            position += 1
        }
        position += 1
        take("\r\n")
        precondition(count <= octets.count - position, "a literal is cut short")
        precondition(mayHaveNul || !octets[position..<(position + count)].contains(0), "a NUL in a literal")
        position += count
    }

    private mutating func take(_ text: String) {
        precondition(octets[position...].starts(with: text.utf8), "framing")
        position += text.utf8.count
    }
}
