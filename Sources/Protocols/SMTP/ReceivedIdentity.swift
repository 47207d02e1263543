/// The name that the host before us gave a message: the word behind `id` in the topmost Received field (RFC 5321 section
/// 4.4). Nil where there is none, or the field does not end within `header`.
///
/// - Parameter header: the octets of a message from its start, at most the whole header.
package func receivedIdentity(_ header: [UInt8]) -> String? {
    var field: [UInt8]?
    var start = 0
    while let lineFeed = header[start...].firstIndex(of: Ascii.lineFeed) {
        let line = header[start..<lineFeed]
        start = lineFeed + 1
        if let first = line.first, first == Ascii.space || first == Ascii.tab {
            field? += line
            continue
        }
        if let field { return identity(inReceived: field) }
        if line.allSatisfy({ $0 == Ascii.carriageReturn }) { return nil }
        let name = Array("RECEIVED:".utf8)
        if line.count >= name.count, zip(line, name).allSatisfy({ Ascii.uppercased($0) == $1 }) {
            field = Array(line.dropFirst(name.count))
        }
    }
    return nil
}

/// Words before the date, comments left out.
private func identity(inReceived field: [UInt8]) -> String? {
    var words: [[UInt8]] = [[]]
    var depth = 0
    for octet in field {
        switch octet {
        case 0x28: depth += 1
        case 0x29: depth = max(0, depth - 1)
        default: break
        }
        // The date.
        if octet == 0x3B, depth == 0 { break }
        if depth > 0 || octet == 0x29 || octet <= Ascii.space {
            if words.last?.isEmpty == false { words.append([]) }
        } else {
            words[words.count - 1].append(octet)
        }
    }
    guard let place = words.firstIndex(where: { $0.count == 2 && $0[0] | 0x20 == 0x69 && $0[1] | 0x20 == 0x64 }),
        place + 1 < words.count, !words[place + 1].isEmpty
    else { return nil }
    return String(decoding: words[place + 1], as: UTF8.self)
}
