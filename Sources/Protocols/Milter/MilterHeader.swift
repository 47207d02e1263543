// The header of a message as filters see it and change it. What no filter touches stays as the octets that came.
//
// Fields that this host has put in front, Return-Path and Received, are not shown and not counted: filters expect a message as
// it came. What stands on top for them goes behind Return-Path, which stays the first field.
import MIME

package struct MilterHeader: Sendable {
    package struct Field: Sendable {
        /// As it stands; empty where the lines are no field, which is not shown either.
        package let name: [UInt8]
        /// What follows the colon, with its folds and without the last line end.
        let body: [UInt8]
        /// The whole field with its line end.
        let lines: [UInt8]
        let isOurs: Bool

        package var isShown: Bool { !isOurs && !name.isEmpty }

        /// As a filter is told: folds with LF alone, and without the space behind the colon unless that is wanted.
        package func value(leadingSpace: Bool) -> [UInt8] {
            var value = body[...]
            if !leadingSpace, value.first == 32 { value = value.dropFirst() }
            return value.filter { $0 != 13 && $0 != 0 }
        }
    }

    package private(set) var fields: [Field] = []
    /// From the empty line on.
    private let tail: [UInt8]
    package private(set) var isChanged = false

    /// - Parameters:
    ///   - octets: the header, up to its empty line where it has one.
    ///   - ours: names of fields, in lower case, the first of which are this host's.
    /// - Returns: nil where there are more fields than are looked at, or one that no filter could be told.
    package init?(_ octets: [UInt8], ours: [String] = ["return-path", "received"]) {
        var fields: [Field] = []
        var ours = ours.map { Array($0.utf8) }
        var position = 0
        let isWithin = octets.withUnsafeBytes { header in
            var rest = HeaderFields(header)
            while let field = rest.next() {
                position += field.lines.count
                let name = lowercased(field.name)
                let found = ours.firstIndex(of: name)
                if let found { ours.remove(at: found) }
                guard fields.count < MilterLimits.headerFieldsMax,
                    found != nil || field.name.count + field.body.count <= MilterLimits.fieldOctetsMax
                else { return false }
                fields.append(
                    Field(
                        name: Array(field.name), body: Array(field.body), lines: Array(field.lines),
                        isOurs: found != nil))
            }
            return true
        }
        guard isWithin else { return nil }
        self.fields = fields
        tail = Array(octets[position...])
    }

    /// All of it, with its empty line.
    package var octets: [UInt8] { fields.flatMap(\.lines) + tail }

    /// The fields up to the last of ours, behind which others may be put that are on top of the message.
    package var topOctets: [UInt8] {
        let count = fields.lastIndex(where: \.isOurs).map { $0 + 1 } ?? 0
        return fields[..<count].flatMap(\.lines)
    }

    /// The same, with the empty line that a body needs before it.
    package var octetsBeforeBody: [UInt8] {
        let octets = octets
        guard tail.isEmpty else { return octets }
        return octets + (octets.last == 10 || octets.isEmpty ? [13, 10] : [13, 10, 13, 10])
    }

    package mutating func setReturnPath(_ path: String) {
        guard let index = fields.firstIndex(where: { $0.isOurs && lowercased($0.name) == Array("return-path".utf8) })
        else { return }
        let body = Array(" \(path)".utf8)
        let name = fields[index].name
        fields[index] = Field(name: name, body: body, lines: name + [58] + body + [13, 10], isOurs: true)
        isChanged = true
    }

    /// Does what a filter asks for, where it is about the header.
    ///
    /// - Parameter leadingSpace: the values come with the space behind the colon.
    package mutating func apply(_ change: MilterChange, leadingSpace: Bool) {
        switch change {
        case .addField(let name, let value): insert(Field(name, value, leadingSpace), at: fields.count)
        case .insertField(let index, let name, let value):
            insert(Field(name, value, leadingSpace), at: position(behind: index))
        case .changeField(let index, let name, let value):
            let wanted = lowercased(name)
            let found = fields.indices.filter { fields[$0].isShown && lowercased(fields[$0].name) == wanted }
            let ordinal = max(1, index) - 1
            if found.indices.contains(ordinal) {
                if value.isEmpty {
                    fields.remove(at: found[ordinal])
                } else {
                    fields[found[ordinal]] = Field(name, value, leadingSpace)
                }
                isChanged = true
            } else if !value.isEmpty {
                insert(Field(name, value, leadingSpace), at: fields.count)
            }
        case .changeSender, .addRecipient, .removeRecipient, .body, .quarantine: break
        }
    }

    private mutating func insert(_ field: Field, at index: Int) {
        // A message that ends within its header may end within a line.
        if index > 0, let last = fields[index - 1].lines.last, last != 10 {
            let open = fields[index - 1]
            fields[index - 1] = Field(
                name: open.name, body: open.body, lines: open.lines + [13, 10], isOurs: open.isOurs)
        }
        fields.insert(field, at: index)
        isChanged = true
    }

    /// Where a field goes that is to stand behind so many that are shown.
    private func position(behind count: Int) -> Int {
        guard count > 0 else {
            // On top: only Return-Path stays above.
            return fields.first.map { $0.isOurs && lowercased($0.name) == Array("return-path".utf8) } == true ? 1 : 0
        }
        var seen = 0
        for (index, field) in fields.enumerated() where field.isShown {
            seen += 1
            if seen == count { return index + 1 }
        }
        return fields.count
    }
}

extension MilterHeader.Field {
    /// A field that a filter writes: lines within its value are folds, and begin with a space or a tab; a line of nothing
    /// would end the header and is left out.
    init(_ name: [UInt8], _ value: [UInt8], _ leadingSpace: Bool) {
        var body: [UInt8] = leadingSpace ? [] : [32]
        let lines = value.filter { $0 != 13 && $0 != 0 }.split(separator: 10, omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            if index > 0 {
                guard line.contains(where: { $0 != 32 && $0 != 9 }) else { continue }
                body += [13, 10]
                if line.first != 32, line.first != 9 { body.append(9) }
            }
            body += line
        }
        self.init(name: name, body: body, lines: name + [58] + body + [13, 10], isOurs: false)
    }
}

private func lowercased(_ octets: some Sequence<UInt8>) -> [UInt8] {
    octets.map { (65...90).contains($0) ? $0 | 0x20 : $0 }
}
