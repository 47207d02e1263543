// Text of fields: encoded words, parameters of RFC 2231, base subjects, message identifiers, case mapping. Each ends,
// holds what it promises, and gives the same in pieces.
//
// Bytes: the text; for parameters it follows a media type.
import MIME

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzEncodedWord(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let text = EncodedWords.decode(input)
    let hasWords = input.withUnsafeBytes { EncodedWords.areIn($0) }
    precondition(hasWords || text == input, "text without words is changed")
    let subject = BaseSubject(input)
    precondition(subject.key == CaseFolder.fold(BaseSubject.text(of: input)))
    for id in MessageIDs.all(in: input) {
        precondition(id.contains(64) && id.count <= MIMELimits.messageIDOctetsMax + 1)
    }
    precondition(MessageIDs.all(in: input).count <= MIMELimits.referencesMax)
    checkFolding(input)
    let header = Array("Content-Type: a/b; ".utf8) + input.map { $0 == 10 ? 32 : $0 } + [10, 10]
    let parameters = header.withUnsafeBytes { MessageSummary(scanning: $0) }.structure.parts[0].parameters
    let joined = Parameter.joined(parameters)
    precondition(joined.count <= parameters.count, "more parameters than there were")
    for parameter in joined {
        precondition(!parameter.value.contains { $0 == 0 || $0 == 13 || $0 == 10 }, "a line end in a value")
    }
    _ = Parameter.text("name", of: parameters)
    _ = Charset.isKnown(Array(input.prefix(16)))
    return 0
}

private func checkFolding(_ text: [UInt8]) {
    let whole = CaseFolder.fold(text)
    var folder = CaseFolder()
    var out: [UInt8] = []
    for octet in text { [octet].withUnsafeBytes { folder.fold($0, into: &out) } }
    folder.finish(into: &out)
    precondition(out == whole, "pieces matter")
    var search = TextSearch([text])
    for octet in text { search.take([octet]) }
    search.endText()
    precondition(search.isComplete, "a text is not found in itself")
}
