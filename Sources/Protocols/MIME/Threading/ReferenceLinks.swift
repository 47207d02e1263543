// REFERENCES (RFC 5256 section 3), step by step; each step bears its number there.
//
// Nodes are the messages, by their place in the mailbox, then one for each identifier that no message has (a dummy).
// While links are made only parents are known: the order of siblings is that of dates, and comes last.
struct ReferenceLinks {
    private let messages: [ThreadMessage]
    private var parents: [Int32]
    /// Whether something was made a child of it.
    private var hasChildren: [Bool]
    private var nodeOfID: [[UInt8]: Int32] = [:]
    private var children: [[Int]] = []

    private static let none: Int32 = -1

    init(_ messages: [ThreadMessage]) {
        self.messages = messages
        parents = [Int32](repeating: Self.none, count: messages.count)
        hasChildren = [Bool](repeating: false, count: messages.count)
        nodeOfID.reserveCapacity(messages.count)
        // Of messages with one identifier the first has it.
        for (index, message) in messages.enumerated() {
            if let id = message.messageID, nodeOfID[id] == nil { nodeOfID[id] = Int32(index) }
        }
    }

    // MARK: Step 1

    mutating func link() {
        for (index, message) in messages.enumerated() {
            var last = Self.none
            for id in message.references {
                let node = node(of: id)
                // (1.A): a link that is there stays.
                if last != Self.none, parents[Int(node)] == Self.none { connect(last, to: node) }
                last = node
            }
            // (1.B): the link of a message to its last reference replaces one that was only guessed.
            parents[index] = Self.none
            if last != Self.none { connect(last, to: Int32(index)) }
        }
    }

    private mutating func node(of id: [UInt8]) -> Int32 {
        if let node = nodeOfID[id] { return node }
        let node = Int32(parents.count)
        nodeOfID[id] = node
        parents.append(Self.none)
        hasChildren.append(false)
        return node
    }

    /// Makes `child`, which has no parent, a child of `parent` unless that would close a loop.
    private mutating func connect(_ parent: Int32, to child: Int32) {
        guard parent != child else { return }
        // What has no children is nobody's ancestor.
        if hasChildren[Int(child)] {
            var above = parents[Int(parent)]
            var steps = 0
            while above != Self.none {
                // A thread deeper than the limit is divided here; its parts meet again by their subjects.
                if above == child || steps == MIMELimits.threadDepthMax { return }
                above = parents[Int(above)]
                steps += 1
            }
        }
        parents[Int(child)] = parent
        hasChildren[Int(parent)] = true
    }

    // MARK: Steps 2 to 6

    mutating func forest() -> ThreadForest {
        var roots = prune()
        roots = sorted(roots)
        roots = mergeSubjects(roots)
        // (6): siblings by date. The order of those below does not depend on that of those above.
        for index in children.indices where children[index].count > 1 { children[index] = sorted(children[index]) }
        roots = sorted(roots)
        let nodes = children.indices.map { index in
            ThreadForest.Node(
                number: index < messages.count ? messages[index].number : nil, children: children[index])
        }
        return ThreadForest(nodes: nodes, roots: roots)
    }

    /// (2) and (3): messages without parents are under the root; dummies go, and leave their children to what is above
    /// them, but for one under the root with more than one child.
    private mutating func prune() -> [Int] {
        children = [[Int]](repeating: [], count: parents.count)
        var above = parents
        var roots: [Int] = []
        var isRoot = [Bool](repeating: false, count: parents.count)
        for index in messages.indices {
            let parent = Int(survivor(above: index, &above))
            if parent < 0 {
                roots.append(index)
            } else {
                children[parent].append(index)
                if parent >= messages.count, !isRoot[parent] {
                    isRoot[parent] = true
                    roots.append(parent)
                }
            }
        }
        return roots.map { root in
            guard isDummy(root), children[root].count == 1 else { return root }
            let child = children[root][0]
            children[root] = []
            return child
        }
    }

    /// The nearest message above a node, or the topmost dummy above it, or none. Dummies on the way are made to point
    /// there, so that a long row of them is walked once.
    private func survivor(above index: Int, _ above: inout [Int32]) -> Int32 {
        var end = above[index]
        while end != Self.none, isDummy(Int(end)), above[Int(end)] != Self.none { end = above[Int(end)] }
        var node = above[index]
        while node != end {
            let next = above[Int(node)]
            above[Int(node)] = end
            node = next
        }
        return end
    }

    private func isDummy(_ node: Int) -> Bool { node >= messages.count }

    /// By sent date, then by place in the mailbox; a dummy by its first child.
    private mutating func sorted(_ siblings: [Int]) -> [Int] {
        for node in siblings where isDummy(node) { children[node] = sorted(children[node]) }
        let keys = siblings.map { node in
            let shown = isDummy(node) ? children[node][0] : node
            return (date: messages[shown].date, place: shown, node: node)
        }
        return keys.sorted { ($0.date, $0.place) < ($1.date, $1.place) }.map(\.node)
    }

    // MARK: Step 5

    private func subject(_ node: Int) -> BaseSubject { messages[isDummy(node) ? children[node][0] : node].subject }

    private func isReply(_ node: Int) -> Bool { !isDummy(node) && messages[node].subject.isReply }

    /// (5): threads with one subject become one.
    private mutating func mergeSubjects(_ roots: [Int]) -> [Int] {
        var table: [[UInt8]: Int] = [:]
        for root in roots {
            let key = subject(root).key
            guard !key.isEmpty else { continue }
            guard let other = table[key] else {
                table[key] = root
                continue
            }
            if !isDummy(other), isDummy(root) || isReply(other) && !isReply(root) { table[key] = root }
        }
        var kept: [Int] = []
        var places: [Int: Int] = [:]
        for root in roots {
            let key = subject(root).key
            guard !key.isEmpty, let other = table[key], other != root else {
                places[root] = kept.count
                kept.append(root)
                continue
            }
            if isDummy(other), isDummy(root) {
                children[other] += children[root]
            } else if isDummy(other) || isReply(root) && !isReply(other) {
                children[other].append(root)
            } else {
                // The other stands before: one that the table took from further on is no reply, or a dummy.
                guard let place = places[other] else { preconditionFailure("a thread whose other half is not there") }
                let dummy = children.count
                children.append([other, root])
                table[key] = dummy
                kept[place] = dummy
            }
        }
        return kept
    }
}
