/// One line of a Swift file, whole and without what the compiler does not read as code.
struct SourceLine: Equatable {
    /// From 1.
    let number: Int
    let raw: String
    /// The line with comments and the contents of strings taken out.
    let code: String
}

/// A Swift source, split so that rules about code do not stumble over prose.
///
/// It knows comments (nested ones too), strings with escapes and interpolation, and raw and multi-line strings. It does
/// not know regular expression literals: nothing here uses them.
struct SourceText {
    let path: String
    let lines: [SourceLine]

    init(path: String, text: String) {
        self.path = path
        var scanner = CodeScanner(Array(text.unicodeScalars))
        let code = scanner.codeOnly().split(separator: "\n", omittingEmptySubsequences: false)
        let raw = text.split(separator: "\n", omittingEmptySubsequences: false)
        lines = zip(raw, code).enumerated().map { index, pair in
            SourceLine(number: index + 1, raw: String(pair.0), code: String(pair.1))
        }
    }

    var code: String { lines.map(\.code).joined(separator: "\n") }
}

/// Copies code and line ends, leaves out the rest.
private struct CodeScanner {
    private let input: [Unicode.Scalar]
    private var position = 0
    private var output = String.UnicodeScalarView()

    init(_ input: [Unicode.Scalar]) { self.input = input }

    mutating func codeOnly() -> String {
        scanCode(untilParenthesis: false)
        return String(output)
    }

    private func has(_ text: String, at offset: Int = 0) -> Bool {
        var index = position + offset
        for scalar in text.unicodeScalars {
            guard index < input.count, input[index] == scalar else { return false }
            index += 1
        }
        return true
    }

    /// Moves on by `count`, keeping line ends so that line numbers stay true.
    private mutating func leaveOut(_ count: Int) {
        for _ in 0..<count where position < input.count {
            if input[position] == "\n" { output.append("\n") }
            position += 1
        }
    }

    private mutating func scanCode(untilParenthesis: Bool) {
        var depth = 0
        while position < input.count {
            if has("//") {
                while position < input.count, input[position] != "\n" { position += 1 }
            } else if has("/*") {
                skipBlockComment()
            } else if let hashes = rawStringHashes() {
                scanString(hashes: hashes)
            } else {
                if has("(") { depth += 1 }
                if has(")") {
                    if untilParenthesis, depth == 0 { return }
                    depth -= 1
                }
                output.append(input[position])
                position += 1
            }
        }
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if has("/*") {
                depth += 1
                leaveOut(2)
            } else if has("*/") {
                depth -= 1
                leaveOut(2)
            } else {
                leaveOut(1)
            }
        } while depth > 0 && position < input.count
    }

    /// The number of `#` before the quotation mark that begins a string here; nil when none begins.
    private func rawStringHashes() -> Int? {
        var hashes = 0
        while has("#", at: hashes) { hashes += 1 }
        return has("\"", at: hashes) ? hashes : nil
    }

    private mutating func scanString(hashes: Int) {
        let guardMarks = String(repeating: "#", count: hashes)
        leaveOut(hashes)
        let quote = has("\"\"\"") ? "\"\"\"" : "\""
        leaveOut(quote.count)
        output.append(contentsOf: "\"\"".unicodeScalars)
        while position < input.count {
            if has(quote + guardMarks) {
                leaveOut(quote.count + hashes)
                return
            }
            if has("\\" + guardMarks + "(") {
                leaveOut(hashes + 2)
                scanCode(untilParenthesis: true)
                leaveOut(1)
            } else if has("\\" + guardMarks) {
                leaveOut(hashes + 2)
            } else {
                leaveOut(1)
            }
        }
    }
}
