// An IMAP client that speaks in lines: tags, literals, and the untagged responses of each command.

/// What a command brought: its untagged responses, each with its literals in place, and the tagged reply without its tag.
struct IMAPAnswer: CustomStringConvertible {
    var untagged: [String] = []
    var tagged = ""

    var isOK: Bool { tagged.hasPrefix("OK ") }
    var isNO: Bool { tagged.hasPrefix("NO ") }
    var isBAD: Bool { tagged.hasPrefix("BAD ") }
    var description: String { (untagged + [tagged]).joined(separator: "\n") }

    func all(_ word: String) -> [String] { untagged.filter { $0.contains(word) } }
    func first(_ word: String) -> String? { untagged.first { $0.contains(word) } }
    /// What stands behind a response code's name.
    func code(_ name: String) -> String? {
        for line in untagged + [tagged] {
            guard let start = line.range(of: "[" + name) else { continue }
            let rest = line[start.upperBound...]
            return rest.firstIndex(of: "]").map { String(rest[..<$0]).trimmed }
        }
        return nil
    }
}

final class IMAPClient {
    let socket: TestClient
    private var count = 0

    init(_ address: String, receiveBuffer: Int32? = nil) throws {
        socket = try TestClient(address, receiveBuffer: receiveBuffer)
    }

    /// The next response with its literals: `{3}` is followed by the octets, in one string.
    func line() throws -> String {
        var line = try socket.line()
        while line.hasSuffix("}"), let open = line.lastIndex(of: "{"),
            let size = Int(line[line.index(after: open)...].dropLast())
        {
            line += "\r\n" + String(decoding: try socket.octets(size), as: UTF8.self)
            line += try socket.line()
        }
        return line
    }

    func nextTag() -> String {
        count += 1
        return "a\(count)"
    }

    /// Sends a command; its literals are non-synchronizing as written in `text`.
    func send(_ text: String) throws -> String {
        let tag = nextTag()
        try socket.send("\(tag) \(text)\r\n")
        return tag
    }

    func answer(_ tag: String) throws -> IMAPAnswer {
        var answer = IMAPAnswer()
        while true {
            let line = try line()
            if line.hasPrefix(tag + " ") {
                answer.tagged = String(line.dropFirst(tag.count + 1))
                return answer
            }
            answer.untagged.append(line)
        }
    }

    @discardableResult
    func run(_ text: String) throws -> IMAPAnswer { try answer(send(text)) }

    /// APPEND with a non-synchronizing literal.
    @discardableResult
    func append(_ message: String, to mailbox: String = "INBOX", _ options: String = "") throws -> IMAPAnswer {
        try run("APPEND \(mailbox) \(options.isEmpty ? "" : options + " "){\(message.utf8.count)+}\r\n\(message)")
    }
}

extension Substring {
    fileprivate var trimmed: String { String(drop { $0 == " " }) }
}

extension String {
    fileprivate func range(of text: String) -> Range<Index>? { firstRange(of: text) }
    fileprivate var trimmed: String { String(drop { $0 == " " }) }
}
