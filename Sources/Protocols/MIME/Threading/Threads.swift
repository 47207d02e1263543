// The threading algorithms of RFC 5256 section 3 on what is known of each message. Pure: the gateway gathers the
// messages, and the numbers in the answer are those it gave them.

/// What THREAD needs to know of a message.
package struct ThreadMessage: Sendable {
    /// Message number or UID, whichever is answered with.
    package var number: UInt32
    /// Milliseconds of the sent date (RFC 5256 section 2.2).
    package var date: Int64
    package var subject: BaseSubject
    /// In the normal form of `MessageIDs`.
    package var messageID: [UInt8]?
    package var references: [[UInt8]]

    package init(
        number: UInt32, date: Int64, subject: BaseSubject, messageID: [UInt8]? = nil, references: [[UInt8]] = []
    ) {
        self.number = number
        self.date = date
        self.subject = subject
        self.messageID = messageID
        self.references = references
    }
}

/// Threads, in the order of the answer.
package struct ThreadForest: Equatable, Sendable {
    package struct Node: Equatable, Sendable {
        /// Nil for a parent that is not there: its children are siblings.
        package var number: UInt32?
        package var children: [Int]
    }

    package var nodes: [Node]
    package var roots: [Int]

    /// The threads as THREAD answers them: `(2)(3 6 (4 23)(44 7 96))` (RFC 5256 section 4). Threads may be of any depth,
    /// so nothing here calls itself.
    package func write(into out: inout [UInt8]) {
        // What is still to be written, last first.
        var left: [Step] = roots.reversed().map { .list($0) }
        while let step = left.popLast() {
            switch step {
            case .close: out.append(41)
            case .list(let index):
                out.append(40)
                left.append(.close)
                left.append(.node(index))
            case .node(let index):
                let node = nodes[index]
                if let number = node.number { out.append(contentsOf: String(number).utf8) }
                guard !node.children.isEmpty else { continue }
                if node.number != nil { out.append(32) }
                if node.children.count == 1, node.number != nil {
                    left.append(.node(node.children[0]))
                } else {
                    left.append(contentsOf: node.children.reversed().map { .list($0) })
                }
            }
        }
    }

    private enum Step {
        case list(Int)
        case node(Int)
        case close
    }

    package var text: String {
        var out: [UInt8] = []
        write(into: &out)
        return String(decoding: out, as: UTF8.self)
    }
}

extension ThreadForest {
    /// ORDEREDSUBJECT: messages with one base subject are a thread; all but the first are children of the first.
    /// - Parameter messages: in the order of the mailbox.
    package static func orderedBySubject(_ messages: [ThreadMessage]) -> ThreadForest {
        let order = messages.indices.sorted { a, b in
            let (left, right) = (messages[a].subject.key, messages[b].subject.key)
            if left != right { return left.precedes(right) }
            return (messages[a].date, a) < (messages[b].date, b)
        }
        var nodes = messages.map { Node(number: $0.number, children: []) }
        var roots: [Int] = []
        for index in order {
            if let root = roots.last, messages[root].subject.key == messages[index].subject.key {
                nodes[root].children.append(index)
            } else {
                roots.append(index)
            }
        }
        roots.sort { (messages[$0].date, $0) < (messages[$1].date, $1) }
        return ThreadForest(nodes: nodes, roots: roots)
    }

    /// REFERENCES.
    /// - Parameter messages: in the order of the mailbox.
    package static func byReferences(_ messages: [ThreadMessage]) -> ThreadForest {
        var links = ReferenceLinks(messages)
        links.link()
        return links.forest()
    }
}

extension [UInt8] {
    /// Octet order, as collations compare what they prepared.
    package func precedes(_ other: [UInt8]) -> Bool {
        withUnsafeBytes { a in other.withUnsafeBytes { b in a.precedes(b) } }
    }
}
