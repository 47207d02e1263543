// What a client that never said UTF8 gets in place of a header with UTF-8 in it (RFC 6856 section 2.1): the same fields in
// ASCII, so that such a client shows the text as it is. Where the words of a field are text, each run of words that are
// not ASCII becomes encoded words (RFC 2047); where they are names beside addresses, so do those and their quoted strings;
// a parameter of a MIME field gets its RFC 2231 form, which is all that may stand there.
//
// The message in the store stays what it is. A header whose octets above 127 are no UTF-8 goes out untouched, as it always
// did: nobody knows its charset. An address that is not ASCII becomes an ASCII word that nobody can write to: there is no
// better one for it.
//
// Invariants
// - Fields that are ASCII go out octet for octet, and so do the line ends and words around what is encoded.
// - A field is looked at whole: space between encoded words on two lines is part of the text, and is encoded with it.
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
            let end = fieldEnd(header, from: start)
            append(header[start..<end], to: &output)
            start = end
        }
        return output
    }

    /// Whether a header of which only the beginning is known has UTF-8 in it: its octets above 127 are UTF-8, but for a
    /// character that the cut may have gone through.
    package static func needsUTF8(beginning octets: [UInt8]) -> Bool {
        guard octets.contains(where: { $0 >= 0x80 }) else { return false }
        return (0...3).contains { String(validating: octets.dropLast($0), as: UTF8.self) != nil }
    }

    /// Where the field ends, with the lines that continue it.
    private static func fieldEnd(_ header: [UInt8], from start: Int) -> Int {
        var end = start
        repeat {
            guard let lineFeed = header[end...].firstIndex(of: Ascii.lineFeed) else { return header.count }
            end = lineFeed + 1
        } while end < header.count && (header[end] == Ascii.space || header[end] == tab)
        return end
    }

    private static func append(_ field: ArraySlice<UInt8>, to output: inout [UInt8]) {
        guard field.contains(where: { $0 >= 0x80 }) else { return output += field }
        var name: [UInt8] = []
        var rest = field
        if let end = field.firstIndex(of: colon), field[..<end].allSatisfy({ $0 < 0x80 }) {
            name = field[..<end].map(Ascii.uppercased)
            output += field[...end]
            rest = field[(end + 1)...]
            // An encoded word has space before it (RFC 2047 section 5).
            if let first = rest.first, first >= 0x80 { output.append(Ascii.space) }
        }
        if mimeFields.contains(where: { name.elementsEqual($0.utf8) }) {
            appendParameters(of: rest, to: &output)
        } else {
            appendWords(of: rest, hasNames: addressFields.contains { name.elementsEqual($0.utf8) }, to: &output)
        }
    }

    /// Those with addresses (RFC 5322 section 3.6), where a quoted string is a name or part of an address.
    private static let addressFields = [
        "FROM", "SENDER", "REPLY-TO", "TO", "CC", "BCC", "RETURN-PATH", "RESENT-FROM", "RESENT-SENDER",
        "RESENT-REPLY-TO",
        "RESENT-TO", "RESENT-CC", "RESENT-BCC", "DISPOSITION-NOTIFICATION-TO", "MAIL-FOLLOWUP-TO", "MAIL-REPLY-TO",
        "ERRORS-TO", "DELIVERED-TO",
    ]

    // MARK: Words

    private static func appendWords(of field: ArraySlice<UInt8>, hasNames: Bool, to output: inout [UInt8]) {
        var run: ArraySlice<UInt8>?
        // Behind an encoded word that was there before.
        var wordEnd: Int?
        var position = field.startIndex
        while position < field.endIndex {
            let word = nextWord(field, from: position, hasNames: hasNames)
            if word.contains(where: { $0 >= 0x80 }) {
                // With the space between, which decoders drop between encoded words.
                run = field[(run?.startIndex ?? wordEnd ?? position)..<word.endIndex]
                wordEnd = nil
            } else if !word.allSatisfy(isSpace) {
                let isEncoded = word.starts(with: encodedWordMark)
                let octets = run.map { isEncoded ? field[$0.startIndex..<position] : $0 }
                if let run, let octets {
                    flush(octets, hasNames: hasNames, to: &output)
                    output += field[run.endIndex..<position]
                }
                run = nil
                wordEnd = isEncoded ? word.endIndex : nil
                output += word
            } else if run == nil {
                output += word
            }
            position = word.endIndex
        }
        guard let run else { return }
        flush(run, hasNames: hasNames, to: &output)
        output += field[run.endIndex...]
    }

    /// Begins an encoded word.
    private static let encodedWordMark = Array("=?".utf8)

    private static func flush(_ run: ArraySlice<UInt8>, hasNames: Bool, to output: inout [UInt8]) {
        // Unfolded (RFC 5322 section 2.2.3).
        let text = run.filter { $0 != Ascii.carriageReturn && $0 != Ascii.lineFeed }
        encode(hasNames ? unquoted(text) : text, to: &output)
    }

    /// Spaces and line ends, or a word; where there are names, also a delimiter of addresses or a quoted string.
    private static func nextWord(_ field: ArraySlice<UInt8>, from start: Int, hasNames: Bool) -> ArraySlice<UInt8> {
        let rest = field[start...]
        if isSpace(field[start]) { return rest.prefix(while: isSpace) }
        guard hasNames else { return rest.prefix { !isSpace($0) } }
        if isDelimiter(field[start]) { return rest.prefix(1) }
        if field[start] == quote, let end = quotedEnd(field, from: start) { return field[start..<end] }
        let word = rest.dropFirst().prefix { !isSpace($0) && !isDelimiter($0) && $0 != quote }
        return field[start..<word.endIndex]
    }

    /// Behind the quote that ends the string: one with a backslash before it is its content (RFC 5322 section 3.2.4).
    private static func quotedEnd(_ field: ArraySlice<UInt8>, from start: Int) -> Int? {
        var position = start + 1
        while position < field.endIndex {
            switch field[position] {
            case quote: return position + 1
            case backslash: position += 2
            default: position += 1
            }
        }
        return nil
    }

    /// What stands in quotes is a phrase without them, and without the backslashes: encoded words have no place within
    /// (RFC 2047 section 5).
    private static func unquoted(_ octets: some Sequence<UInt8>) -> [UInt8] {
        var text: [UInt8] = []
        var (isQuoted, isEscaped) = (false, false)
        for octet in octets {
            if isEscaped {
                text.append(octet)
                isEscaped = false
            } else if octet == quote {
                isQuoted.toggle()
            } else if isQuoted, octet == backslash {
                isEscaped = true
            } else {
                text.append(octet)
            }
        }
        return text
    }

    /// As encoded words of at most 75 octets (RFC 2047 section 2), each of whole characters (section 5), folded between.
    private static func encode(_ text: some Collection<UInt8>, to output: inout [UInt8]) {
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

    // MARK: Parameters

    /// Those with parameters (RFC 2045 section 5.1, RFC 2183 section 2).
    private static let mimeFields = ["CONTENT-TYPE", "CONTENT-DISPOSITION"]

    /// Values that are not ASCII become extended ones (RFC 2231 section 4); what else is not ASCII has no form, and its
    /// octets become `?`.
    private static func appendParameters(of field: ArraySlice<UInt8>, to output: inout [UInt8]) {
        var position = field.startIndex
        while position < field.endIndex {
            guard field[position] == Ascii.equals else {
                output.append(field[position] < 0x80 ? field[position] : Ascii.questionMark)
                position += 1
                continue
            }
            let start = position + 1
            let isQuoted = start < field.endIndex && field[start] == quote
            let end =
                (isQuoted ? quotedEnd(field, from: start) : nil)
                ?? field[start...].firstIndex { isSpace($0) || $0 == semicolon } ?? field.endIndex
            let value = field[start..<end]
            position = end
            guard value.contains(where: { $0 >= 0x80 }) else {
                output.append(Ascii.equals)
                output += value
                continue
            }
            output += Array("*=utf-8''".utf8)
            for octet in unquoted(value) where octet != Ascii.carriageReturn && octet != Ascii.lineFeed {
                output += isAttributeCharacter(octet) ? [octet] : percent(octet)
            }
        }
    }

    /// `attribute-char` of RFC 2231 section 7, the harmless ones of them.
    private static func isAttributeCharacter(_ octet: UInt8) -> Bool {
        Ascii.isLetter(octet) || Ascii.isDigit(octet) || [Ascii.hyphen, Ascii.dot, Ascii.underscore].contains(octet)
    }

    private static func percent(_ octet: UInt8) -> [UInt8] {
        [0x25] + Array(Hex.encode([octet]).uppercased().utf8)
    }

    // MARK: Octets

    private static let tab: UInt8 = 0x09
    private static let quote: UInt8 = 0x22
    private static let colon: UInt8 = 0x3A
    private static let semicolon: UInt8 = 0x3B
    private static let backslash: UInt8 = 0x5C
    private static func isSpace(_ octet: UInt8) -> Bool { octet <= Ascii.space }
    /// `< > ( ) , ; : @`
    private static func isDelimiter(_ octet: UInt8) -> Bool {
        [0x3C, 0x3E, 0x28, 0x29, 0x2C, semicolon, colon, 0x40].contains(octet)
    }
}
