// The sorted map of rows that wait for a fold, against a dictionary; its copies against what was there when they were made.
import InputSupport
import Testing

@testable import EventStore

@Suite("RowTree")
struct RowTreeTests {
    /// Keys of all the shapes there are: short, long, one the beginning of another, ending in zeros.
    private static func key(_ random: inout SeededGenerator) -> [UInt8] {
        let head = [UInt8](repeating: 0, count: 3) + [UInt8(random.next() % 4)]
        let tail = (0..<Int(random.next() % 24)).map { _ in UInt8(random.next() % 3) }
        return head + tail
    }

    private static func rows(_ tree: RowTree, from start: [UInt8] = []) -> [([UInt8], [UInt8]?)] {
        var found: [([UInt8], [UInt8]?)] = []
        var cursor = tree.cursor(from: start)
        while let row = cursor.row {
            found.append((row.key.octets, row.value))
            cursor.advance()
        }
        return found
    }

    private static func sorted(_ model: [[UInt8]: [UInt8]?], from start: [UInt8] = []) -> [([UInt8], [UInt8]?)] {
        model.filter { !$0.key.lexicographicallyPrecedes(start) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key, $0.value) }
    }

    private static func same(_ left: [([UInt8], [UInt8]?)], _ right: [([UInt8], [UInt8]?)]) -> Bool {
        left.elementsEqual(right) { $0.0 == $1.0 && $0.1 == $1.1 }
    }

    @Test("agrees with a dictionary, and a copy keeps what it had", arguments: 1...5)
    func model(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var tree = RowTree()
        var model: [[UInt8]: [UInt8]?] = [:]
        var copies: [(RowTree, [[UInt8]: [UInt8]?])] = []
        for step in 0..<2000 {
            let key = Self.key(&random)
            let value: [UInt8]? = random.next() % 4 == 0 ? nil : [UInt8(step % 251), UInt8(step / 251)]
            tree.set(key, value)
            model[key] = .some(value)
            if step % 500 == 77 { copies.append((tree, model)) }
        }
        #expect(Self.same(Self.rows(tree), Self.sorted(model)))
        #expect(tree.count == model.count)
        #expect(tree.octets == model.reduce(0) { $0 + $1.key.count + ($1.value?.count ?? 0) })
        #expect(tree.lastPresent?.key.octets == Self.sorted(model).last { $0.1 != nil }?.0)
        for _ in 0..<30 {
            let key = Self.key(&random)
            #expect(tree.row(key).map(\.value) == model[key])
            #expect(Self.same(Self.rows(tree, from: key), Self.sorted(model, from: key)))
        }
        for (copy, old) in copies { #expect(Self.same(Self.rows(copy), Self.sorted(old))) }
    }

    @Test("keys in order and in reverse order", arguments: [true, false])
    func runs(ascending: Bool) {
        var tree = RowTree()
        let numbers = (0..<5000).map { [UInt8($0 >> 8), UInt8($0 & 255)] }
        for key in ascending ? numbers : numbers.reversed() { tree.set(key, key) }
        #expect(Self.rows(tree).map(\.0) == numbers)
        #expect(Self.rows(tree, from: [7, 7]).first?.0 == [7, 7])
        #expect(Self.rows(tree, from: [0xFF]).isEmpty)
        #expect(RowTree().row([1]) == nil && Self.rows(RowTree()).isEmpty)
    }
}
