// Filters that are broken or mean harm, beyond those that fail: they speak at the wrong time, in crumbs, or without measure. Nothing
// of it reaches another filter or the log, or takes longer than a filter may take.
import Milter
import NIOCore
import Testing

@testable import Gateways

private typealias M = ScriptedMilter

@Suite struct MilterHostileTests {
    @Test func oneOctetAtATime() async throws {
        let agreement = M.packet("O", M.number(6) + M.number(0x1FF) + M.number(0))
        let answer = M.addField("X-A", "3") + M.packet("b", Array("New\r\n".utf8)) + M.packet("c")
        let milter = try M { told in
            switch told.command {
            case "O": .parts(agreement.map { [$0] })
            case "E": .parts(answer.map { [$0] })
            default: nil
            }
        }
        try await withMilters([milter]) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("250"))
            #expect(try node.letters("alice@example.test")[0].hasSuffix("X-A: 2\r\nX-A: 3\r\n\r\nNew\r\n"))
        }
    }

    /// Of those that there are, each is told what it knows; of any other the filter is not there.
    @Test(arguments: [0, 1, 2, 3, 4, 5, 6, 7, UInt32.max])
    func versions(_ version: UInt32) async throws {
        let milter = try M(version: version) { _ in nil }
        try await withMilters([milter]) { (node: TestNode) throws in
            let client = try node.smtp()
            guard (MilterAgreement.versionMin...MilterAgreement.version).contains(version) else {
                #expect(try client.command("MAIL FROM:<joe@client.test>").hasPrefix("451 4.7.1"))
                return #expect(milter.commands.isEmpty)
            }
            #expect(try client.deliver(plainLetter).hasPrefix("250"))
            #expect(milter.commands == (version < 4 ? "CHMRLLLLNBE" : "CHMRTLLLLNBE"))
        }
    }

    /// It wants what nobody has offered, says so twice, or without being asked.
    @Test(
        arguments: [
            M.packet("O", M.number(6) + M.number(0x200) + M.number(0)),
            M.packet("O", M.number(6) + M.number(0) + M.number(0x8000_0000)),
            Array(repeating: M.packet("O", M.number(6) + M.number(0) + M.number(0)), count: 2).flatMap { $0 },
            M.packet("c") + M.packet("O", M.number(6) + M.number(0) + M.number(0)),
            M.packet("O", M.number(6)), M.packet("p"),
        ])
    func agreements(_ octets: [UInt8]) async throws {
        let milter = try M { told in told.command == "O" ? .octets(octets) : nil }
        try await withMilters([milter], change: { $0[0].timeout = .seconds(5) }) { (node: TestNode) throws in
            let client = try node.smtp()
            #expect(try client.command("MAIL FROM:<joe@client.test>").hasPrefix("451 4.7.1"))
            #expect(try client.command("NOOP").hasPrefix("250"))
        }
    }

    /// What comes behind a verdict is not done, and spoils nothing that comes later.
    @Test func wordsAfterTheLast() async throws {
        let late = M.addField("X-Late", "1") + M.packet("r") + M.packet("b", [0x61]) + M.packet("c")
        let milter = try M { told in
            told.command == "E" ? .octets(M.addField("X-A", "3") + M.packet("c") + late) : nil
        }
        try await withMilters([milter]) { (node: TestNode) throws in
            let client = try node.smtp()
            for _ in 0..<3 { #expect(try client.deliver(plainLetter).hasPrefix("250")) }
            let letters = try node.letters("alice@example.test")
            #expect(letters.count == 3)
            #expect(letters.allSatisfy { $0.hasSuffix("X-A: 2\r\nX-A: 3\r\n\r\nBody\r\n") })
        }
    }

    /// A filter that hears everything and reads nothing: what waits for it is bounded, and so is the time.
    @Test func deafness() async throws {
        let milter = try M(steps: 0x1D_F080) { told in told.command == "T" ? .deaf : .silence }
        let line = String(repeating: "x", count: 998) + "\r\n"
        let letter = "Subject: large\r\n\r\n" + String(repeating: line, count: 12_000)
        try await withMilters(
            [milter], spoolsAt: 100_000,
            change: {
                $0[0].timeout = .milliseconds(500)
                $0[0].absence = .accept
            }
        ) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(letter).hasPrefix("250"))
            #expect(try node.letters("alice@example.test")[0].hasSuffix(letter))
            try waitUntil { node.gateways.context.openMilters.current == 0 }
        }
    }

    /// Pieces of a body with nothing in them are no way to go on for ever.
    @Test func nothingWithoutEnd() async throws {
        let milter = try M { told in told.command == "E" ? .endless(M.packet("b")) : nil }
        try await withMilters([milter], change: { $0[0].verdictTimeout = .minutes(5) }) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("451 4.7.1"))
        }
        // One of them is an empty body.
        let empty = try M { told in told.command == "E" ? .change(M.packet("b")) : nil }
        try await withMilters([empty]) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("250"))
            #expect(try node.letters("alice@example.test")[0].hasSuffix("X-A: 2\r\n\r\n"))
        }
    }

    /// A field that no other filter could be told is the fault of the one that writes it.
    @Test(arguments: [
        String(repeating: "y", count: MilterLimits.fieldOctetsMax), String(repeating: "y\n", count: 30_000),
    ])
    func fieldsThatAreTooLong(_ value: String) async throws {
        let first = try M { told in told.command == "E" ? .change(M.addField("X-Long", value)) : nil }
        let second = try M { _ in nil }
        try await withMilters([first, second], change: { $0[0].absence = .accept }) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("250"))
            #expect(second.told.allSatisfy { $0.data.count <= MilterLimits.sentOctetsMax })
            #expect(second.commands == "CHMRTLLLLNBE")
            #expect(try node.letters("alice@example.test")[0].hasSuffix("\r\n" + plainLetter))
        }
    }
}
