// Structures and envelopes as text, in the notation of RFC 9051 section 7.5.2, so that expectations can be read beside
// the RFC. Names and types are in the case of the message.
import MIME

func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }

func quoted(_ bytes: [UInt8]?) -> String {
    guard let bytes else { return "NIL" }
    return "\"" + text(bytes).replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
}

private func list(_ items: [String]) -> String { items.isEmpty ? "NIL" : "(" + items.joined(separator: " ") + ")" }

func described(_ addresses: [EmailAddress]) -> String {
    addresses.isEmpty
        ? "NIL"
        : "("
            + addresses.map {
                list([quoted($0.name), quoted($0.route), quoted($0.mailbox), quoted($0.host)])
            }.joined() + ")"
}

func described(_ envelope: Envelope) -> String {
    list([
        quoted(envelope.date), quoted(envelope.subject), described(envelope.from), described(envelope.sender),
        described(envelope.replyTo), described(envelope.to), described(envelope.cc), described(envelope.bcc),
        quoted(envelope.inReplyTo), quoted(envelope.messageID),
    ])
}

private func described(_ parameters: [Parameter]) -> String {
    list(parameters.flatMap { [quoted($0.name), quoted($0.value)] })
}

private func extensions(_ part: Part) -> [String] {
    let disposition = part.disposition.map { list([quoted($0.type), described($0.parameters)]) } ?? "NIL"
    return [disposition, list(part.languages.map { quoted($0) }), quoted(part.location)]
}

/// BODYSTRUCTURE.
func described(_ structure: MessageStructure, _ index: Int = 0) -> String {
    let part = structure.parts[index]
    if part.kind == .multipart {
        let children = structure.children(of: index).map { described(structure, $0) }.joined()
        return list([children, quoted(part.subtype), described(part.parameters)] + extensions(part))
    }
    var items = [
        quoted(part.type), quoted(part.subtype), described(part.parameters), quoted(part.contentID),
        quoted(part.description), quoted(part.encoding), "\(part.body.count)",
    ]
    if part.kind == .message {
        items += [
            structure.parts[index + 1].envelope.map { described($0) } ?? "no envelope", described(structure, index + 1),
        ]
    }
    if part.kind == .message || part.kind == .text { items.append("\(part.lines)") }
    return list(items + [quoted(part.md5)] + extensions(part))
}

/// A message of lines, with CRLF.
func crlf(_ text: String) -> [UInt8] { Array(text.replacing("\n", with: "\r\n").utf8) }

func summary(_ message: [UInt8]) -> MessageSummary {
    message.withUnsafeBytes { MessageSummary(scanning: $0) }
}

/// Fed in pieces of `size` octets.
func summary(_ message: [UInt8], pieces size: Int) -> MessageSummary {
    var scanner = StructureScanner()
    var offset = 0
    while offset < message.count {
        let end = min(message.count, offset + size)
        // A copy of its own, so that reading beyond a piece is seen.
        let piece = Array(message[offset..<end])
        piece.withUnsafeBytes { scanner.consume($0) }
        offset = end
    }
    return scanner.finish()
}

func octets(_ range: OctetRange?, of message: [UInt8]) -> String? {
    range.map { text(message[$0.offset..<$0.end]) }
}
