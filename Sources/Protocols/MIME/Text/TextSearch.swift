/// Looks for several strings at once in texts that come in pieces, without regard to case (RFC 9051 section 6.4.4, RFC
/// 5051).
///
/// It holds what was prepared of one piece and as much before it as the longest string has, whatever the text's length.
package struct TextSearch: Sendable {
    private var finders: [SubstringFinder]
    /// For each string whether it was found in any text so far.
    package private(set) var found: [Bool]
    private var folder = CaseFolder()
    private var window: [UInt8] = []
    /// An address that is put together.
    var gathered: [UInt8] = []
    private let overlap: Int
    private var missing: Int

    /// - Parameter strings: in UTF-8. An empty one is in every text, and found even where there is none.
    package init(_ strings: [[UInt8]]) {
        finders = strings.map { SubstringFinder(CaseFolder.fold($0)) }
        found = finders.map { $0.needle.isEmpty }
        missing = found.count { !$0 }
        overlap = Swift.max(0, (finders.map(\.needle.count).max() ?? 0) - 1)
    }

    /// Every string has been found: nothing more need be read.
    package var isComplete: Bool { missing == 0 }

    /// Begins again, for another message.
    package mutating func reset() {
        missing = 0
        for index in finders.indices {
            found[index] = finders[index].needle.isEmpty
            if !found[index] { missing += 1 }
        }
        folder.reset()
        window.removeAll(keepingCapacity: true)
    }

    /// Takes the next octets of a text, in UTF-8.
    package mutating func take(_ piece: UnsafeRawBufferPointer) {
        var rest = piece
        while !rest.isEmpty, !isComplete {
            let part = rest.slice(0, Swift.min(rest.count, MIMELimits.searchPieceOctets))
            rest = rest.slice(part.count, rest.count)
            folder.fold(part, into: &window)
            look()
            if window.count > overlap { window.removeFirst(window.count - overlap) }
        }
    }

    package mutating func take(_ piece: [UInt8]) { piece.withUnsafeBytes { take($0) } }

    /// The text is at its end; no string is found across it.
    package mutating func endText() {
        if !isComplete {
            let before = window.count
            folder.finish(into: &window)
            if window.count > before { look() }
        }
        folder.reset()
        window.removeAll(keepingCapacity: true)
    }

    private mutating func look() {
        window.withUnsafeBytes { window in
            for index in finders.indices where !found[index] && finders[index].isFound(in: window) {
                found[index] = true
                missing -= 1
            }
        }
    }
}
