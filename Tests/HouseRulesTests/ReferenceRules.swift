// Rules on docs/rfc/index.tsv: what is cited is listed, and what is listed is there.
import Foundation

let rfcIndex = "docs/rfc/index.tsv"

/// The sections of RFCs that the code holds to: RFC, section, status, file, separated by tabs. `paths` are all files of
/// the checkout, `cited` the RFCs named in sources, each with a place that names it.
func checkIndex(_ index: String, paths: Set<String>, cited: [String: String]) -> [Violation] {
    var violations: [Violation] = []
    var listed: Set<String> = []
    var seen: Set<String> = []
    for (offset, line) in index.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
        guard !line.isEmpty, !line.hasPrefix("#") else { continue }
        func complain(_ text: String) { violations.append(.init(place: "\(rfcIndex):\(offset + 1)", text: text)) }
        let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        guard fields.count == 4, !fields[0].isEmpty, fields[0].allSatisfy(\.isNumber) else {
            complain("not RFC, section, status and file: \(line)")
            continue
        }
        listed.insert(fields[0])
        if !seen.insert(String(line)).inserted { complain("twice: \(line)") }
        if !["yes", "partial", "no"].contains(fields[2]) { complain("neither yes nor partial nor no: \(fields[2])") }
        if fields[3] == "-" {
            if fields[2] != "no" { complain("\(fields[2]), and no file") }
        } else if !paths.contains(fields[3]) {
            complain("no file \(fields[3])")
        }
    }
    for (rfc, place) in cited.sorted(by: { $0.key < $1.key }) where !listed.contains(rfc) {
        violations.append(.init(place: place, text: "cites RFC \(rfc), which \(rfcIndex) does not list"))
    }
    return violations
}

/// The numbers of the RFCs that a text names.
func citations(in text: String) -> Set<String> {
    var found: Set<String> = []
    var rest = text[...]
    while let at = rest.range(of: "RFC ") {
        rest = rest[at.upperBound...]
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        if (3...5).contains(digits.count) { found.insert(String(digits)) }
    }
    return found
}
