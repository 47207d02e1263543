// PREVIEW (RFC 8970 section 3.3): the beginning of what a message says, as plain text of one line.
//
// The first part that is shown as text counts, plain text before HTML among alternatives. Quoted lines are left out
// unless there is nothing else. Of a part at most `MIMELimits.previewSourceOctetsMax` are read, so a preview costs the
// same for a message of any size.
package struct Preview {
    private var text: PartText
    private let isHTML: Bool
    private var source: [UInt8] = []
    private var octets = 0

    /// The part whose text is shown; nil for a message without any, whose preview is empty.
    package static func part(of structure: MessageStructure) -> Part? {
        var html: Part?
        for part in structure.parts {
            // What is encrypted says nothing.
            if part.isType("multipart", "encrypted") { return nil }
            guard part.kind == .text, part.body.count > 0, part.disposition?.isAttachment != true else { continue }
            if part.subtype.equalsIgnoringCase("plain") { return part }
            if html == nil, part.subtype.equalsIgnoringCase("html") { html = part }
        }
        return html
    }

    package init(_ part: Part) {
        text = PartText(part)
        isHTML = part.subtype.equalsIgnoringCase("html")
    }

    /// Takes the next octets of the part, as stored. Answers whether more is wanted.
    package mutating func take(_ piece: UnsafeRawBufferPointer) -> Bool {
        let room = MIMELimits.previewSourceOctetsMax - octets
        let taken = piece.slice(0, Swift.min(piece.count, room))
        text.decode(taken, into: &source)
        octets += taken.count
        return octets < MIMELimits.previewSourceOctetsMax
    }

    /// The preview in UTF-8.
    package mutating func finish() -> [UInt8] {
        text.finish(into: &source)
        let plain = isHTML ? HTMLText.plain(source) : source
        let preview = Self.condensed(plain, skippingQuotes: !isHTML)
        return preview.isEmpty && !isHTML ? Self.condensed(plain, skippingQuotes: false) : preview
    }

    /// One line without runs of spaces, cut after `MIMELimits.previewCharactersMax` characters.
    static func condensed(_ text: [UInt8], skippingQuotes: Bool) -> [UInt8] {
        var out = String.UnicodeScalarView()
        var count = 0
        for line in text.split(separator: 10) {
            if skippingQuotes, line.first == 62 { continue }
            var needsSpace = count > 0
            for scalar in String(decoding: line, as: UTF8.self).unicodeScalars {
                if scalar.properties.isWhitespace || scalar.value < 32 || scalar.value == 0x7F {
                    needsSpace = count > 0
                    continue
                }
                // Characters that are not seen: soft hyphen, joiners that fill previews, byte order marks.
                if scalar.properties.isDefaultIgnorableCodePoint, scalar.value != 0x200D { continue }
                if needsSpace {
                    out.append(" ")
                    count += 1
                    needsSpace = false
                }
                guard count < MIMELimits.previewCharactersMax else { return Array(trimmed(out).utf8) }
                out.append(scalar)
                count += 1
            }
        }
        return Array(trimmed(out).utf8)
    }

    private static func trimmed(_ scalars: String.UnicodeScalarView) -> String {
        var scalars = scalars
        while scalars.last == " " { scalars.removeLast() }
        return String(scalars)
    }
}

extension Disposition {
    var isAttachment: Bool { type.equalsIgnoringCase("attachment") }
}

/// The text of HTML without its markup, enough for a preview and no more.
enum HTMLText {
    /// Elements whose content is not shown.
    private static let hidden = ["style", "script", "head", "title", "template"]

    static func plain(_ html: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        html.withUnsafeBytes { html in
            var position = 0
            while position < html.count {
                switch html[position] {
                case 60: position = tag(html, position, &out)
                case 38: position = entity(html, position, &out)
                case 10, 13:
                    out.append(32)
                    position += 1
                default:
                    out.append(html[position])
                    position += 1
                }
            }
        }
        return out
    }

    /// From `<` on; answers where the text goes on.
    private static func tag(_ html: UnsafeRawBufferPointer, _ start: Int, _ out: inout [UInt8]) -> Int {
        if html.slice(start, html.count).starts(with: "<!--".utf8) {
            var end = start + 4
            while let dash = html.position(of: 45, from: end) {
                if html.slice(dash, html.count).starts(with: "-->".utf8) { return dash + 3 }
                end = dash + 1
            }
            return html.count
        }
        var end = start + 1
        while end < html.count, (97...122).contains(html[end].lowered) { end += 1 }
        let name = String(decoding: html.slice(start + 1, end).map(\.lowered), as: UTF8.self)
        // A less-than sign in the text.
        guard end > start + 1 || end < html.count && (html[end] == 47 || html[end] == 33 || html[end] == 63) else {
            out.append(60)
            return start + 1
        }
        guard let close = html.position(of: 62, from: end) else { return html.count }
        // Elements within a line do not part words.
        if !["b", "i", "u", "a", "em", "strong", "span", "font"].contains(name), html[start + 1] != 47 {
            out.append(32)
        }
        guard hidden.contains(name) else { return close + 1 }
        return endOf(name, html, close + 1)
    }

    /// Where the element's end tag ends.
    private static func endOf(_ name: String, _ html: UnsafeRawBufferPointer, _ start: Int) -> Int {
        var position = start
        let count = name.utf8.count
        while let open = html.position(of: 60, from: position) {
            if open + 2 + count <= html.count, html[open + 1] == 47,
                html.slice(open + 2, open + 2 + count).elementsEqual(name.utf8, by: { $0.lowered == $1 })
            {
                return html.position(of: 62, from: open).map { $0 + 1 } ?? html.count
            }
            position = open + 1
        }
        return html.count
    }

    private static let names: [String: Unicode.Scalar] = [
        "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": " ", "copy": "\u{A9}", "reg": "\u{AE}",
        "ndash": "\u{2013}", "mdash": "\u{2014}", "hellip": "\u{2026}", "lsquo": "\u{2018}", "rsquo": "\u{2019}",
        "ldquo": "\u{201C}", "rdquo": "\u{201D}", "bull": "\u{2022}", "euro": "\u{20AC}", "zwnj": "\u{200C}",
        "auml": "\u{E4}", "ouml": "\u{F6}", "uuml": "\u{FC}", "Auml": "\u{C4}", "Ouml": "\u{D6}", "Uuml": "\u{DC}",
        "szlig": "\u{DF}", "eacute": "\u{E9}", "egrave": "\u{E8}", "agrave": "\u{E0}", "ccedil": "\u{E7}",
    ]
    private static let nameOctetsMax = 10

    /// From `&` on; what is no entity is text.
    private static func entity(_ html: UnsafeRawBufferPointer, _ start: Int, _ out: inout [UInt8]) -> Int {
        let limit = Swift.min(html.count, start + 1 + nameOctetsMax + 1)
        guard let end = html.slice(0, limit).position(of: 59, from: start + 1) else {
            out.append(38)
            return start + 1
        }
        let name = String(decoding: html.slice(start + 1, end), as: UTF8.self)
        var scalar = names[name]
        if name.hasPrefix("#x") || name.hasPrefix("#X") {
            scalar = UInt32(name.dropFirst(2), radix: 16).flatMap { Unicode.Scalar($0) }
        } else if name.hasPrefix("#") {
            scalar = UInt32(name.dropFirst()).flatMap { Unicode.Scalar($0) }
        }
        guard let scalar, scalar.value != 0 else {
            out.append(38)
            return start + 1
        }
        out.append(contentsOf: UTF8.encode(scalar)!)
        return end + 1
    }
}
