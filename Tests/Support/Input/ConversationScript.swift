/// A conversation as a mail admin would read it: `C:` is the client, `S:` the server, and replies come where they stand.
package struct ConversationScript: Sendable {
    private let text: String

    package init(_ text: String) { self.text = text }

    /// Client lines with the server lines that follow each; the first group has the greeting only.
    package var steps: [(client: String, server: [String])] {
        var steps: [(client: String, server: [String])] = [("", [])]
        for line in text.split(separator: "\n", omittingEmptySubsequences: true) {
            let content = String(line.dropFirst(3))
            if line.hasPrefix("C:") {
                steps.append((content + "\r\n", []))
            } else {
                steps[steps.count - 1].server.append(content)
            }
        }
        return steps
    }

    /// All that the client says.
    package var input: [UInt8] { Array(steps.map(\.client).joined().utf8) }
}
