// The base subject of RFC 5256 section 2.1. Every step bears its number there; servers and clients must agree on it.
package struct BaseSubject: Hashable, Sendable {
    /// What is left, prepared for comparison (RFC 5051).
    package var key: [UInt8]
    /// Something was taken away that says so: the message is a reply, or a forward (section 3, REFERENCES).
    package var isReply: Bool

    /// - Parameter subject: unfolded, encoded words and all; nil for a message without the field.
    package init(_ subject: [UInt8]?) {
        var extraction = Extraction(subject ?? [])
        extraction.run()
        key = CaseFolder.fold(extraction.text)
        isReply = extraction.isReply
    }

    /// What is left, as it is written.
    package static func text(of subject: [UInt8]) -> [UInt8] {
        var extraction = Extraction(subject)
        extraction.run()
        return Array(extraction.text)
    }
}

private struct Extraction {
    private(set) var text: ArraySlice<UInt8>
    private(set) var isReply = false

    /// Step (1).
    init(_ subject: [UInt8]) {
        var plain: [UInt8] = []
        plain.reserveCapacity(subject.count)
        for octet in EncodedWords.decode(subject) {
            let octet = octet.isSpace ? 32 : octet
            if octet != 32 || plain.last != 32 { plain.append(octet) }
        }
        text = plain[...]
    }

    mutating func run() {
        repeat {
            removeTrailers()
            removeLeaders()
        } while removeForward()
    }

    /// Step (2): `subj-trailer`.
    private mutating func removeTrailers() {
        while true {
            if text.last == 32 {
                text.removeLast()
            } else if text.suffix(5).map(\.lowered) == Array("(fwd)".utf8) {
                text.removeLast(5)
                isReply = true
            } else {
                return
            }
        }
    }

    /// Steps (3) to (5): `subj-leader`, and `subj-blob` before something.
    ///
    /// All blobs at the beginning are looked at in one go. Either `subj-refwd` follows them and all go with it, or none
    /// of those before the rest can be kept: taking them one by one would read a long row of them again and again.
    private mutating func removeLeaders() {
        while true {
            text = text.drop { $0 == 32 }
            var last = text
            var rest = text
            while let next = Self.afterBlob(rest) { (last, rest) = (rest, next) }
            if let next = Self.afterReplyMark(rest) {
                text = next
                isReply = true
            } else {
                text = rest.isEmpty ? last : rest
                return
            }
        }
    }

    /// What follows `("re" / "fw" / "fwd") *WSP [subj-blob] ":"`; nil when the text does not begin so.
    private static func afterReplyMark(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let start = text.prefix(3).map(\.lowered)
        var rest: ArraySlice<UInt8>
        if start == Array("fwd".utf8) {
            rest = text.dropFirst(3)
        } else if start.starts(with: "re".utf8) || start.starts(with: "fw".utf8) {
            rest = text.dropFirst(2)
        } else {
            return nil
        }
        rest = rest.drop { $0 == 32 }
        if let next = afterBlob(rest) { rest = next }
        return rest.first == 58 ? rest.dropFirst() : nil
    }

    /// What follows `subj-blob`; nil when the text does not begin with one.
    private static func afterBlob(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard text.first == 91 else { return nil }
        guard let end = text.dropFirst().firstIndex(where: { $0 == 91 || $0 == 93 }), text[end] == 93 else {
            return nil
        }
        return text[(end + 1)...].drop { $0 == 32 }
    }

    /// Step (6): `subj-fwd-hdr` and `subj-fwd-trl`. Answers whether they were there.
    private mutating func removeForward() -> Bool {
        guard text.last == 93, text.count >= 6, text.prefix(5).map(\.lowered) == Array("[fwd:".utf8) else {
            return false
        }
        text = text.dropFirst(5).dropLast()
        isReply = true
        return true
    }
}
