// Messages: every range lies within the message and within the part above it; the size of the pieces that go in changes
// nothing; a packed summary comes back; sections, text search, previews and header filters end, and agree with
// themselves however the message is cut.
//
// Bytes: how to cut, then the message.
import MIME

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzStructure(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard let cut = input.first else { return 0 }
    let message = Array(input.dropFirst())
    let whole = message.withUnsafeBytes { MessageSummary(scanning: $0) }
    precondition(scan(message, cut: cut) == whole, "pieces matter")
    precondition(scan(message, cut: 0) == whole, "single octets matter")
    check(whole.structure, octets: message.count)
    precondition(Envelope(bytes: whole.envelope.bytes) == whole.envelope, "an envelope that does not come back")
    precondition(
        PackedSummary(bytes: PackedSummary(whole).bytes)?.summary == whole, "a summary that does not come back")
    checkText(whole.structure, message, cut)
    checkFilter(message, whole.structure.header, cut)
    return 0
}

private func pieces(_ octets: ArraySlice<UInt8>, _ cut: UInt8, _ body: (UnsafeRawBufferPointer) -> Void) {
    Pieces.each(of: octets, cut: cut) { $0.withUnsafeBytes(body) }
}

private func scan(_ message: [UInt8], cut: UInt8) -> MessageSummary {
    var scanner = StructureScanner()
    pieces(message[...], cut) { scanner.consume($0) }
    return scanner.finish()
}

private func check(_ structure: MessageStructure, octets: Int) {
    let parts = structure.parts
    precondition(structure.octets == octets && !parts.isEmpty && parts.count <= MIMELimits.partsMax)
    precondition(parts[0].header.offset == 0 && parts[0].body.end == octets && parts[0].end == parts.count)
    for (index, part) in parts.enumerated() {
        precondition(part.header.count >= 0 && part.body.count >= 0 && part.header.end == part.body.offset)
        precondition((0...part.body.count).contains(part.lines), "more lines than octets")
        var from = part.body.offset
        for child in structure.children(of: index) {
            precondition(parts[child].header.offset >= from, "parts that overlap")
            from = parts[child].body.end
            precondition(from <= part.body.end && parts[child].end <= part.end, "a part beyond the one above it")
        }
        let hasParts = part.end > index + 1
        precondition(hasParts == (part.kind == .multipart || part.kind == .message), "parts where there are none")
        precondition(
            part.kind != .message || parts[index + 1].envelope != nil && structure.children(of: index).count == 1)
        precondition(!part.type.isEmpty && !part.subtype.isEmpty && !part.encoding.isEmpty)
    }
    checkNumbers(structure, path: [], of: 0)
}

/// Every part has a number, and the number leads to it.
private func checkNumbers(_ structure: MessageStructure, path: [Int], of root: Int) {
    guard path.count < 8 else { return }
    let numbered = structure.parts[root].kind == .multipart ? structure.children(of: root) : [root]
    for (place, index) in numbered.enumerated() {
        let number = path + [place + 1]
        precondition(structure.index(of: number) == index, "another part has the number")
        precondition(structure.section(number, .all) == structure.parts[index].body)
        switch structure.parts[index].kind {
        case .message:
            precondition(structure.section(number, .header) == structure.parts[index + 1].header)
            checkNumbers(structure, path: number, of: index + 1)
        case .multipart where index != root: checkNumbers(structure, path: number, of: index)
        default: precondition(structure.index(of: number + [1]) == nil, "a part below one without parts")
        }
    }
    precondition(structure.index(of: path + [numbered.count + 1]) == nil)
}

private func checkText(_ structure: MessageStructure, _ message: [UInt8], _ cut: UInt8) {
    var found: [[Bool]] = []
    for size in [cut, 0, 255] {
        var search = TextSearch([[97], Array("--b".utf8), [0xC3, 0xA4], Array("content-type".utf8)])
        search.take(structure, withHeaders: true) { range, body in
            var more = true
            pieces(message[range.offset..<range.end], size) { if more { more = body($0) } }
        }
        found.append(search.found)
    }
    precondition(found[0] == found[1] && found[1] == found[2], "pieces matter to a search")
    for part in structure.parts {
        var sizes: [[UInt8]] = []
        for size in [cut, 0] {
            guard var decoder = part.binaryDecoder else { continue }
            var out: [UInt8] = []
            pieces(message[part.body.offset..<part.body.end], size) { decoder.decode($0, into: &out) }
            decoder.finish(into: &out)
            sizes.append(out)
        }
        precondition(sizes.count != 2 || sizes[0] == sizes[1], "pieces matter to a decoder")
    }
    guard let part = Preview.part(of: structure) else { return }
    var preview = Preview(part)
    pieces(message[part.body.offset..<part.body.end], 255) { _ = preview.take($0) }
    let text = String(validating: preview.finish(), as: UTF8.self)
    precondition(text.map { $0.unicodeScalars.count <= MIMELimits.previewCharactersMax } ?? false, "no preview")
}

private func checkFilter(_ message: [UInt8], _ range: OctetRange, _ cut: UInt8) {
    let header = message[range.offset..<range.end]
    for isExcluding in [false, true] {
        let filter = HeaderFilter([Array("subject".utf8), Array("To".utf8)], excluding: isExcluding)
        var streamed = filter
        var out: [UInt8] = []
        pieces(header, cut) { streamed.take($0, into: &out) }
        streamed.finish(into: &out)
        precondition(out == Array(header).withUnsafeBytes { filter.select(from: $0) }, "pieces matter to a filter")
    }
}
