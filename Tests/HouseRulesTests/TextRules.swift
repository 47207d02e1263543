// Rules on the text of a file: what opens it, what its names may be, and what would make a run not repeatable.

/// Files longer than this open with a comment that says what they are for.
let linesWithoutHeaderMax = 150

/// Words that mark work left undone. In two parts, because this file is read by its own rule.
let unfinishedWords = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]

/// Words that name nothing: what belongs together has a name of its own.
let emptyNames = ["Ut" + "ils", "Help" + "ers", "Man" + "ager"]

func checkText(_ source: SourceText) -> [Violation] {
    checkHeader(source) + checkWords(source) + checkNames(source) + checkRepeatable(source) + checkReasons(source)
}

/// The first line that is not empty and not an import is a comment.
private func checkHeader(_ source: SourceText) -> [Violation] {
    guard source.lines.count > linesWithoutHeaderMax else { return [] }
    let first = source.lines.first { line in
        let text = trimmed(line.raw)
        return !text.isEmpty && !text.hasPrefix("#") && importedModule(line.code) == nil
    }
    guard let first, !trimmed(first.raw).hasPrefix("//"), !trimmed(first.raw).hasPrefix("/*") else { return [] }
    return [.init(place: "\(source.path):1", text: "over \(linesWithoutHeaderMax) lines and no comment opens it")]
}

private func checkWords(_ source: SourceText) -> [Violation] {
    source.lines.flatMap { line in
        words(line.raw).filter { unfinishedWords.contains($0) }.map { word in
            Violation(place: "\(source.path):\(line.number)", text: "\(word): finish it, or open an issue")
        }
    }
}

private func checkNames(_ source: SourceText) -> [Violation] {
    let keywords: Set<String> = ["class", "struct", "enum", "actor", "protocol", "typealias"]
    var violations: [Violation] = []
    let file = source.path.split(separator: "/").last.map(String.init) ?? source.path
    for name in emptyNames where file.contains(name) {
        violations.append(.init(place: source.path, text: "a file named \(name)"))
    }
    for line in source.lines {
        let words = words(line.code)
        for (keyword, declared) in zip(words, words.dropFirst()) where keywords.contains(keyword) {
            for name in emptyNames where declared.contains(name) {
                violations.append(.init(place: "\(source.path):\(line.number)", text: "a type named \(declared)"))
            }
        }
    }
    return violations
}

/// Clock and randomness are passed in, below App.
private func checkRepeatable(_ source: SourceText) -> [Violation] {
    guard source.path.hasPrefix("Sources/"), !source.path.hasPrefix("Sources/App/") else { return [] }
    let code = source.code
    var violations: [Violation] = []
    for call in [
        "Date()", "Date.now", "SystemRandomNumberGenerator", "gettimeofday(", ".shuffled()", ".randomElement()",
    ] {
        for line in source.lines where line.code.contains(call) {
            violations.append(.init(place: "\(source.path):\(line.number)", text: "\(call): pass it in"))
        }
    }
    var rest = code[...]
    while let found = rest.firstRange(of: ".random(") {
        let arguments = code[found.upperBound...].prefix(upToParenthesis: true)
        if !arguments.contains("using:") {
            let number = code[..<found.lowerBound].count { $0 == "\n" } + 1
            violations.append(
                .init(place: "\(source.path):\(number)", text: ".random without a generator: pass one in"))
        }
        rest = code[found.upperBound...]
    }
    return violations
}

extension Substring {
    /// The text before the parenthesis that closes one opened before it.
    fileprivate func prefix(upToParenthesis: Bool) -> Substring {
        var depth = 0
        let end = firstIndex { character in
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            return depth < 0
        }
        return self[..<(end ?? endIndex)]
    }
}

/// What switches a check of the compiler off has its reason on the line above, in a comment.
private func checkReasons(_ source: SourceText) -> [Violation] {
    var violations: [Violation] = []
    for (index, line) in source.lines.enumerated() {
        let place = "\(source.path):\(line.number)"
        if source.path.hasPrefix("Sources/"), line.code.contains("try!") {
            violations.append(.init(place: place, text: "try! hides an error"))
        }
        let unchecked = ["@unchecked Sendable", "nonisolated(unsafe)"].first { line.code.contains($0) }
        guard let unchecked else { continue }
        // Attributes may stand between the comment and the declaration.
        let above = source.lines[..<index].last { !trimmed($0.raw).hasPrefix("@") }
        if !line.raw.contains("//"), !(above.map { trimmed($0.raw).hasPrefix("//") } ?? false) {
            violations.append(.init(place: place, text: "\(unchecked) without its reason on the line above"))
        }
    }
    return violations
}

private func words(_ text: String) -> [String] {
    text.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map(String.init)
}
