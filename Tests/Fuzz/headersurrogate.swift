// The header that POP3 gives to a client that never said UTF8: ASCII, field for field; what was ASCII is as it was; a subject
// reads as it did; no encoded word is too long.
//
// Bytes: a header.
import MIME
import POP3

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHeaderSurrogate(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let header = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let isUTF8 = String(validating: header, as: UTF8.self) != nil
    let isASCII = header.allSatisfy { $0 < 0x80 }
    let made = HeaderSurrogate.make(header)
    precondition((made != nil) == (isUTF8 && !isASCII), "made for nothing, or not made")
    if isUTF8 {
        precondition(HeaderSurrogate.needsUTF8(beginning: header) == !isASCII, "needs UTF8, or does not")
    }
    guard let made else { return 0 }
    precondition(made.allSatisfy { $0 < 0x80 }, "not ASCII")
    let (before, after) = (fields(header), fields(made))
    precondition(before.count == after.count, "another number of fields")
    for (field, other) in zip(before, after) {
        if field.allSatisfy({ $0 < 0x80 }) {
            precondition(field == other, "an ASCII field is changed")
        } else {
            checkWords(other)
            checkSubject(field, other)
        }
    }
    return 0
}

private func fields(_ header: [UInt8]) -> [ArraySlice<UInt8>] {
    var found: [ArraySlice<UInt8>] = []
    var start = 0
    for (index, octet) in header.enumerated() where octet == 10 {
        if index + 1 < header.count, header[index + 1] == 32 || header[index + 1] == 9 { continue }
        found.append(header[start...index])
        start = index + 1
    }
    if start < header.count { found.append(header[start...]) }
    return found
}

/// RFC 2047 section 2, for the words that we make.
private func checkWords(_ field: ArraySlice<UInt8>) {
    let mark = Array("=?utf-8?b?".utf8)
    for word in field.split(whereSeparator: { $0 <= 32 }) where word.starts(with: mark) {
        let end = word.dropFirst(mark.count).firstIndex(of: 63) ?? word.endIndex
        precondition(end + 2 - word.startIndex <= 75 || end == word.endIndex, "an encoded word is too long")
    }
}

/// A subject without encoded words of its own reads the same, but for the space before it.
private func checkSubject(_ field: ArraySlice<UInt8>, _ other: ArraySlice<UInt8>) {
    let name = Array("Subject:".utf8)
    // A NUL is no text to who decodes, and a mark of encoded words is one.
    let isPlain = field.dropFirst(name.count).allSatisfy { $0 == 13 || $0 == 10 || $0 >= 32 && $0 != 61 && $0 != 63 }
    guard field.starts(with: name), isPlain else { return }
    let text = field.dropFirst(name.count).filter { $0 != 13 && $0 != 10 }
    let read = EncodedWords.decode(other.dropFirst(name.count).filter { $0 != 13 && $0 != 10 })
    precondition(read.drop { $0 == 32 }.elementsEqual(text.drop { $0 == 32 }), "a subject reads otherwise")
}
