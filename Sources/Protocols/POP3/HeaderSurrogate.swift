// What a client that never said UTF8 gets in place of a header with UTF-8 in it (RFC 6856 section 2.1): the same fields in
// ASCII, each run of words that are not ASCII as encoded words (RFC 2047), so that such a client shows the text as it is.
//
// The message in the store stays what it is. A header whose octets above 127 are no UTF-8 goes out untouched, as it always
// did: nobody knows its charset. An address that is not ASCII becomes an ASCII word that nobody can write to: there is no
// better one for it.
//
// Rejected: -ERR [UTF8] for such a message, since programs that fetch mail stop at it, and few of them say UTF8.

import Octets

package enum HeaderSurrogate {
    /// Nil where the header can go out as it is.
    ///
    /// - Parameter header: the message's octets up to and with the empty line, or all of them.
    package static func make(_ header: [UInt8]) -> [UInt8]? {
        guard header.contains(where: { $0 >= 0x80 }), String(validating: header, as: UTF8.self) != nil else {
            return nil
        }
        var output: [UInt8] = []
        output.reserveCapacity(header.count * 2)
        var start = 0
        while start < header.count {
            let end = header[start...].firstIndex(of: Ascii.lineFeed).map { $0 + 1 } ?? header.count
            append(header[start..<end], to: &output)
            start = end
        }
        return output
    }

    /// One line with its end.
    private static func append(_ line: ArraySlice<UInt8>, to output: inout [UInt8]) {
        guard line.contains(where: { $0 >= 0x80 }) else { return output += line }
        var run: ArraySlice<UInt8>?
        var position = line.startIndex
        while position < line.endIndex {
            let word = nextWord(line, from: position)
            if word.contains(where: { $0 >= 0x80 }) {
                // With the space between, which decoders drop between encoded words.
                run = line[(run?.startIndex ?? position)..<word.endIndex]
            } else if !word.allSatisfy(isSpace) {
                flush(&run, until: position, line, to: &output)
                output += word
            } else if run == nil {
                output += word
            }
            position = word.endIndex
        }
        flush(&run, until: line.endIndex, line, to: &output)
    }

    /// Writes the run, and the space behind it up to `end`.
    private static func flush(
        _ run: inout ArraySlice<UInt8>?, until end: Int, _ line: ArraySlice<UInt8>, to output: inout [UInt8]
    ) {
        guard let octets = run else { return }
        encode(octets, to: &output)
        output += line[octets.endIndex..<end]
        run = nil
    }

    /// Spaces and line ends, a delimiter of addresses, a quoted string, or a word.
    private static func nextWord(_ line: ArraySlice<UInt8>, from start: Int) -> ArraySlice<UInt8> {
        let rest = line[start...]
        if isSpace(line[start]) { return rest.prefix(while: isSpace) }
        if isDelimiter(line[start]) { return rest.prefix(1) }
        if line[start] == quote, let end = rest.dropFirst().firstIndex(of: quote) { return line[start...end] }
        let word = rest.dropFirst().prefix { !isSpace($0) && !isDelimiter($0) && $0 != quote }
        return line[start..<word.endIndex]
    }

    private static let quote: UInt8 = 0x22
    private static func isSpace(_ octet: UInt8) -> Bool { octet <= Ascii.space }
    /// `< > ( ) , ; : @`
    private static func isDelimiter(_ octet: UInt8) -> Bool {
        [0x3C, 0x3E, 0x28, 0x29, 0x2C, 0x3B, 0x3A, 0x40].contains(octet)
    }

    /// As encoded words of at most 75 octets (RFC 2047 section 2), each of whole characters (section 5), folded between.
    private static func encode(_ octets: ArraySlice<UInt8>, to output: inout [UInt8]) {
        // What stands in quotes is a phrase without them; encoded words have no place within (section 5).
        let text = octets.filter { $0 != quote }
        var piece: [UInt8] = []
        var isFirst = true
        func end(_ output: inout [UInt8]) {
            if !isFirst { output += [Ascii.carriageReturn, Ascii.lineFeed, Ascii.space] }
            isFirst = false
            output += Array("=?utf-8?b?\(Base64.encode(piece))?=".utf8)
            piece = []
        }
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            if piece.count + UTF8.width(scalar) > POP3Limits.encodedWordTextOctetsMax { end(&output) }
            piece += Array(String(scalar).utf8)
        }
        if !piece.isEmpty { end(&output) }
    }
}
