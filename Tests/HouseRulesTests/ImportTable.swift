/// The law on doors, as docs/ARCHITECTURE.md states it in three tables.
struct ImportTable {
    struct Room {
        let storey: String
        let name: String
        /// Rooms of ours that it may import; `*` stands for every room.
        let ours: [String]
        /// Modules from outside; a name may end in `*`.
        let outside: [String]
    }

    /// A storey and the modules from outside that are open to all of its rooms. Highest first.
    struct Storey {
        let name: String
        let outside: [String]
    }

    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    let rooms: [String: Room]
    let storeys: [Storey]
    /// Targets under Tests that are not the tests of one room.
    let testTargets: Set<String>

    /// Reads the tables out of the document. They are known by their header rows.
    init(markdown: String) throws(Malformed) {
        var rooms: [String: Room] = [:]
        var storeys: [Storey] = []
        var testTargets: Set<String> = []
        var header: [String] = []
        for line in markdown.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("|") else {
                header = []
                continue
            }
            let cells = line.dropFirst().split(separator: "|", omittingEmptySubsequences: false).dropLast()
                .map { trimmed($0) }
            if header.isEmpty {
                header = cells
                continue
            }
            if cells.allSatisfy({ $0.allSatisfy { "-: ".contains($0) } }) { continue }
            guard cells.count == header.count else { throw Malformed(description: "a row of another width: \(line)") }
            switch header.first {
            case "room":
                guard header == ["room", "storey", "may import", "from outside", "why"] else {
                    throw Malformed(description: "the table of rooms has other columns: \(header)")
                }
                guard let name = quoted(cells[0]).first else {
                    throw Malformed(description: "a row without a room: \(line)")
                }
                guard rooms[name] == nil else { throw Malformed(description: "two rows for \(name)") }
                guard !cells[4].isEmpty else { throw Malformed(description: "no reason given for \(name)") }
                rooms[name] = Room(
                    storey: cells[1], name: name, ours: quoted(cells[2]), outside: quoted(cells[3]))
            case "storey": storeys.append(Storey(name: cells[0], outside: quoted(cells[1])))
            case "test target": testTargets.formUnion(quoted(cells[0]))
            default: continue
            }
        }
        guard !rooms.isEmpty, !storeys.isEmpty, !testTargets.isEmpty else {
            throw Malformed(description: "one of the tables of rooms, storeys and test targets is missing or empty")
        }
        self.rooms = rooms
        self.storeys = storeys
        self.testTargets = testTargets
    }

    /// Higher numbers are higher storeys; nil for a storey that the table does not have.
    func height(of storey: String) -> Int? {
        storeys.firstIndex { $0.name == storey }.map { storeys.count - $0 }
    }

    /// Whether the room may import the module, ours or not.
    func allows(_ room: Room, _ module: String) -> Bool {
        if module == "Swift" { return true }
        if rooms[module] != nil { return room.ours.contains(module) || room.ours.contains("*") }
        let open = storeys.first { $0.name == room.storey }?.outside ?? []
        return (room.outside + open).contains { pattern in
            pattern.hasSuffix("*") ? module.hasPrefix(pattern.dropLast()) : module == pattern
        }
    }
}

/// What stands between backquotes in `cell`.
private func quoted(_ cell: String) -> [String] {
    cell.split(separator: "`", omittingEmptySubsequences: false).enumerated()
        .filter { $0.offset % 2 == 1 }.map { String($0.element) }
}

func trimmed(_ text: some StringProtocol) -> String {
    let isBlank = { (character: Character) in character == " " || character == "\t" }
    return String(text.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
}
