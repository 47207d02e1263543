import Glibc

/// Folds the events of a trace into nodes, changes and the positions from which they are durable.
/// The rules are in PowerCutTrace.swift.
struct PowerCutModelBuilder {
    private(set) var nodes = [PowerCutNode(isDirectory: true)]
    private(set) var directoryChanges: [PowerCutDirectoryChange] = []
    private(set) var durability: [PowerCutDurability] = []
    private(set) var syncs: [PowerCutSync] = []

    private let model: PowerCutModel
    private let omitted: Set<Int>

    // The run as the process itself saw it.
    private var liveEntries: [Int: [String: Int]] = [0: [:]]
    private var livePlace: [Int: (directory: Int, name: String)] = [:]
    private var nodeOfInode: [UInt64: Int] = [:]

    // What no successful sync has covered yet.
    private var pendingChanges: [Int: [Int]] = [:]
    private var pendingNames: [Int] = []

    private struct OpenSync {
        let position: Int
        let node: Int
        let kind: PowerCutSync.Kind
        /// The write itself, for a synchronous write.
        let change: Int?
    }
    private var openSyncs: [Int64: OpenSync] = [:]

    init(model: PowerCutModel, omitted: Set<Int>) {
        self.model = model
        self.omitted = omitted
    }

    // MARK: The folder before the trace

    mutating func load(base: String) throws(PowerCutTraceError) { try load(base, into: 0) }

    private mutating func load(_ path: String, into directory: Int) throws(PowerCutTraceError) {
        for name in try PowerCutFile.names(in: path) {
            let child = "\(path)/\(name)"
            let isDirectory = PowerCutFile.isDirectory(child)
            let target = PowerCutFile.linkTarget(child)
            nodes.append(
                PowerCutNode(
                    isDirectory: isDirectory, linkTarget: target,
                    basePath: isDirectory || target != nil ? nil : child))
            let node = nodes.count - 1
            nodes[directory].baseEntries[name] = node
            setLive(directory, name, node)
            if isDirectory {
                liveEntries[node] = [:]
                try load(child, into: node)
            }
        }
    }

    // MARK: Events

    mutating func add(_ event: PowerCutEvent, at position: Int) throws(PowerCutTraceError) {
        switch event {
        case .open(let inode, let path, let result): try open(inode, path, result, at: position)
        case .write(let inode, let offset, let payload, let token):
            let node = try self.node(of: inode, at: position)
            append(.write(offset: offset, payload: payload), to: node, at: position)
            if let token {
                beginSync(.synchronousWrite, node, token, change: nodes[node].changes.count - 1, at: position)
            }
        case .truncate(let inode, let size):
            append(.truncate(size: size), to: try node(of: inode, at: position), at: position)
        case .allocate(let inode, let offset, let length, let keepsSize, let zeroes):
            append(
                .allocate(offset: offset, length: length, keepsSize: keepsSize, zeroes: zeroes),
                to: try node(of: inode, at: position), at: position)
        case .syncBegin(let inode, let kind, let token):
            beginSync(kind, try node(of: inode, at: position), token, change: nil, at: position)
        case .syncEnd(let token, let result): endSync(token, result: result, at: position)
        case .rename(let from, let to, let exchanges): try rename(from, to, exchanges, at: position)
        case .unlink(let path):
            let (directory, name) = try place(of: path, at: position)
            edit([.init(directory: directory, name: name, node: nil)], at: position)
        case .makeDirectory(let path):
            let (directory, name) = try place(of: path, at: position)
            edit([.init(directory: directory, name: name, node: newNode(isDirectory: true))], at: position)
        case .link(let inode, let from, let to):
            // A file made with O_TMPFILE has no earlier name.
            let named = from.isEmpty ? nil : lookup(from)
            let node = if let named { named } else { try self.node(of: inode, at: position) }
            let (directory, name) = try place(of: to, at: position)
            nodeOfInode[inode] = node
            edit([.init(directory: directory, name: name, node: node)], at: position)
        case .symbolicLink(let target, let path):
            let (directory, name) = try place(of: path, at: position)
            nodes.append(PowerCutNode(isDirectory: false, linkTarget: target))
            edit([.init(directory: directory, name: name, node: nodes.count - 1)], at: position)
        case .times(let inode, let seconds, let nanoseconds):
            append(
                .times(seconds: seconds, nanoseconds: nanoseconds), to: try node(of: inode, at: position), at: position)
        case .acknowledgement, .unsupported: break
        }
    }

    private mutating func open(
        _ inode: UInt64, _ path: String, _ result: PowerCutEvent.OpenResult, at position: Int
    ) throws(PowerCutTraceError) {
        defer { if let node = nodeOfInode[inode] { nodes[node].inode = inode } }
        if result.contains(.unnamed) {
            nodeOfInode[inode] = newNode(isDirectory: false)
        } else if result.contains(.created) {
            let node = newNode(isDirectory: false)
            let (directory, name) = try place(of: path, at: position)
            nodeOfInode[inode] = node
            edit([.init(directory: directory, name: name, node: node)], at: position)
        } else if let node = lookup(path) {
            nodeOfInode[inode] = node
            if result.contains(.truncated) { append(.truncate(size: 0), to: node, at: position) }
        } else {
            throw .unknownFile(path: path, position: position)
        }
    }

    private mutating func rename(
        _ from: String, _ to: String, _ exchanges: Bool, at position: Int
    ) throws(PowerCutTraceError) {
        guard let node = lookup(from) else { throw .unknownFile(path: from, position: position) }
        let source = try place(of: from, at: position)
        let target = try place(of: to, at: position)
        let addition = PowerCutDirectoryChange.Edit(directory: target.0, name: target.1, node: node)
        let removal = PowerCutDirectoryChange.Edit(
            directory: source.0, name: source.1, node: exchanges ? lookup(to) : nil)
        if source.0 == target.0 {
            // The removal first: a rename to itself must keep the name.
            edit([removal, addition], at: position)
        } else {
            edit([addition], at: position)
            let needed = directoryChanges.count - 1
            edit([removal], at: position)
            directoryChanges[directoryChanges.count - 1].needs = needed
            if !exchanges { livePlace[node] = target }
        }
    }

    // MARK: Syncs

    private mutating func beginSync(
        _ kind: PowerCutSync.Kind, _ node: Int, _ token: Int64, change: Int?, at position: Int
    ) {
        syncs.append(PowerCutSync(position: position, kind: kind, path: path(of: node)))
        if kind != .range, !omitted.contains(position) {
            openSyncs[token] = OpenSync(position: position, node: node, kind: kind, change: change)
        } else if kind == .synchronousWrite {
            // The result is still needed: it says how much of the write there was.
            openSyncs[token] = OpenSync(position: position, node: node, kind: .range, change: change)
        }
    }

    private mutating func endSync(_ token: Int64, result: Int, at end: Int) {
        guard let sync = openSyncs.removeValue(forKey: token) else { return }
        if let change = sync.change { shorten(sync.node, change, to: max(0, result)) }
        switch sync.kind {
        case .range: break
        case .synchronousWrite:
            guard result > 0, let change = sync.change else { return }
            cover(sync.node, at: end) { index, earlier in
                index == change || (earlier.changesSize && earlier.position < sync.position)
            }
        case .data, .full:
            if nodes[sync.node].isDirectory {
                guard result == 0 else { return }
                coverNames(at: end) { change in
                    change.position < sync.position && change.edits.contains { $0.directory == sync.node }
                }
            } else if result == 0 {
                cover(sync.node, at: end) { $1.position < sync.position && !($1.isTimes && sync.kind == .data) }
                guard model.fileSyncPersistsNewNames else { return }
                coverNames(at: end) { change in
                    change.position < sync.position && change.edits.contains { $0.node == sync.node }
                }
            } else {
                // The pages are clean now, whatever the disk holds: no later sync will write them.
                pendingChanges[sync.node]?.removeAll { nodes[sync.node].changes[$0].position < sync.position }
            }
        case .filesystem:
            guard result == 0 else { return }
            for node in nodes.indices { cover(node, at: end) { $1.position < sync.position } }
            coverNames(at: end) { $0.position < sync.position }
        }
    }

    private mutating func cover(_ node: Int, at end: Int, where covered: (Int, PowerCutFileChange) -> Bool) {
        pendingChanges[node]?.removeAll { index in
            guard covered(index, nodes[node].changes[index]) else { return false }
            nodes[node].changes[index].durableFrom = end
            durability.append(PowerCutDurability(position: end, node: node, change: index))
            return true
        }
    }

    private mutating func coverNames(at end: Int, where covered: (PowerCutDirectoryChange) -> Bool) {
        var durable = Set(pendingNames.filter { covered(directoryChanges[$0]) })
        for index in durable { if let needed = directoryChanges[index].needs { durable.insert(needed) } }
        for index in durable { directoryChanges[index].durableFrom = min(end, directoryChanges[index].durableFrom) }
        pendingNames.removeAll { durable.contains($0) }
    }

    private mutating func shorten(_ node: Int, _ change: Int, to octets: Int) {
        guard case .write(let offset, let payload) = nodes[node].changes[change].kind else { return }
        nodes[node].changes[change].kind = .write(offset: offset, payload: payload.prefix(octets))
    }

    // MARK: Names and nodes

    private mutating func newNode(isDirectory: Bool) -> Int {
        nodes.append(PowerCutNode(isDirectory: isDirectory))
        if isDirectory { liveEntries[nodes.count - 1] = [:] }
        return nodes.count - 1
    }

    private mutating func append(_ kind: PowerCutFileChange.Kind, to node: Int, at position: Int) {
        nodes[node].changes.append(PowerCutFileChange(position: position, kind: kind))
        pendingChanges[node, default: []].append(nodes[node].changes.count - 1)
    }

    private mutating func edit(_ edits: [PowerCutDirectoryChange.Edit], at position: Int) {
        directoryChanges.append(PowerCutDirectoryChange(position: position, edits: edits))
        pendingNames.append(directoryChanges.count - 1)
        for edit in edits { setLive(edit.directory, edit.name, edit.node) }
    }

    private mutating func setLive(_ directory: Int, _ name: String, _ node: Int?) {
        liveEntries[directory]?[name] = node
        if let node { livePlace[node] = (directory, name) }
    }

    private func node(of inode: UInt64, at position: Int) throws(PowerCutTraceError) -> Int {
        guard let node = nodeOfInode[inode] else { throw .unknownInode(inode, position: position) }
        return node
    }

    private func lookup(_ path: String) -> Int? {
        var node = 0
        for name in path.split(separator: "/") {
            guard let next = liveEntries[node]?[String(name)] else { return nil }
            node = next
        }
        return node
    }

    private func place(of path: String, at position: Int) throws(PowerCutTraceError) -> (Int, String) {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { String(path[..<$0]) } ?? ""
        guard let directory = lookup(folder), nodes[directory].isDirectory else {
            throw .unknownFile(path: folder, position: position)
        }
        return (directory, slash.map { String(path[path.index(after: $0)...]) } ?? path)
    }

    private func path(of node: Int) -> String {
        var names: [String] = []
        var at = node
        while let place = livePlace[at] {
            names.append(place.name)
            at = place.directory
        }
        return names.reversed().joined(separator: "/")
    }
}
