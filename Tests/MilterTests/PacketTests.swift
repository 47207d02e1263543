// What a filter sends, as octets: each packet gives a response or a fault, however it is cut up.
import Testing

@testable import Milter

/// A packet of a filter.
func packet(_ command: String, _ data: [UInt8] = []) -> [UInt8] {
    let length = UInt32(data.count + 1)
    return withUnsafeBytes(of: length.bigEndian) { Array($0) } + Array(command.utf8) + data
}

func text(_ parts: String...) -> [UInt8] { parts.flatMap { Array($0.utf8) + [0] } }

func number(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

@Suite struct PacketTests {
    private func read(_ octets: [UInt8], pieceMax: Int = .max) throws -> [MilterResponse] {
        var reader = MilterPacketReader()
        var found: [MilterResponse] = []
        for start in stride(from: 0, to: octets.count, by: min(pieceMax, max(octets.count, 1))) {
            let piece = Array(octets[start..<min(octets.count, start + min(pieceMax, octets.count))])
            piece.withUnsafeBytes { reader.take($0) }
            while let response = try reader.next() { found.append(response) }
        }
        return found
    }

    @Test func everyVerdict() throws {
        let refused = MilterReply(550, 7, 1, ["Refused by a filter of this host"])
        let expected: [(String, MilterResponse)] = [
            ("c", .verdict(.continue)), ("a", .verdict(.accept)), ("d", .verdict(.discard)), ("s", .verdict(.skip)),
            ("r", .verdict(.refuse(refused))), ("t", .verdict(.refuse(.tryLater))),
            ("4", .verdict(.refuse(.shutdown))), ("f", .verdict(.refuse(.shutdown))), ("p", .progress),
        ]
        for (command, response) in expected { #expect(try read(packet(command)) == [response]) }
    }

    @Test func everyChange() throws {
        let name = Array("X-A".utf8)
        let value = Array("b".utf8)
        let expected: [([UInt8], MilterChange)] = [
            (packet("h", text("X-A", "b")), .addField(name: name, value: value)),
            (packet("i", number(3) + text("X-A", "b")), .insertField(at: 3, name: name, value: value)),
            (packet("m", number(1) + text("X-A", "")), .changeField(index: 1, name: name, value: [])),
            (packet("e", text("<a@b>", "SIZE=1")), .changeSender(Array("<a@b>".utf8))),
            (packet("+", text("<a@b>")), .addRecipient(Array("<a@b>".utf8))),
            (packet("2", text("<a@b>")), .addRecipient(Array("<a@b>".utf8))),
            (
                packet("2", text("<a@b>", "NOTIFY=NEVER  ORCPT=rfc822;c@d", "X")),
                .addRecipient(Array("<a@b>".utf8), parameters: ["NOTIFY=NEVER", "ORCPT=rfc822;c@d", "X"])
            ),
            (packet("-", text("<a@b>")), .removeRecipient(Array("<a@b>".utf8))),
            (packet("q", text("spam")), .quarantine(reason: "spam")),
        ]
        for (octets, change) in expected {
            #expect(try read(octets) == [.change(change)])
            #expect(try read(octets + packet("c"), pieceMax: 1) == [.change(change), .verdict(.continue)])
        }
    }

    /// A new body is handed on as it comes, however large its packet is; other packets have a limit.
    @Test func bodiesStream() throws {
        let size = MilterLimits.packetOctetsMax + 10
        let whole = packet("b", Array(repeating: 0x61, count: size)) + packet("c")
        var octets = 0
        var verdicts = 0
        for response in try read(whole, pieceMax: 1 << 16) {
            switch response {
            case .change(.body(let piece)): octets += piece.count
            case .verdict(.continue): verdicts += 1
            default: Issue.record("\(response)")
            }
        }
        #expect(octets == size && verdicts == 1)
        #expect(try read(packet("b")) == [.change(.body([]))])
        #expect(throws: MilterFault.packetTooLong) {
            try read(number(UInt32(MilterLimits.packetOctetsMax) + 1) + [0x68])
        }
    }

    @Test(
        "what cannot be read",
        arguments: [
            number(0), packet("?"), packet("h"), packet("h", text("X-A")), packet("h", text("X A", "b")),
            packet("h", text("", "b")), packet("h", text("X:", "b")), packet("h", text("X-A", "b", "c")),
            packet("i", [0, 0]), packet("m", text("X-A", "b").dropLast()), packet("+"), packet("+", [0x61]),
            packet("y", text("250 fine")), packet("y", text("55 no")), packet("y", text("550-a\n551 b")), packet("y"),
            packet("O", number(6)), packet("O", number(6) + number(0) + number(0) + number(1)),
            packet("h", text(String(repeating: "x", count: MilterLimits.fieldNameOctetsMax + 1), "b")),
        ])
    func malformed(_ octets: [UInt8]) {
        #expect(throws: MilterFault.malformed) { try read(octets) }
    }

    @Test func limits() throws {
        let most = String(repeating: "x", count: MilterLimits.recipientParameterOctetsMax - 1)
        #expect(try read(packet("2", text("<a@b>", most))).count == 1)
        #expect(throws: MilterFault.malformed) { try read(packet("2", text("<a@b>", most + "x"))) }
        // Told again, a value has a space in front and a tab in each fold.
        let value = String(repeating: "\n", count: MilterLimits.fieldOctetsMax / 2 - 1)
        #expect(try read(packet("h", text("X", value))).count == 1)
        #expect(throws: MilterFault.tooManyChanges) { try read(packet("h", text("X", value + "\n"))) }
        let reason = String(repeating: "x", count: MilterLimits.reasonOctetsMax)
        #expect(try read(packet("q", text(reason + "x"))) == [.change(.quarantine(reason: reason))])
    }

    @Test func replies() {
        #expect(MilterReply(Array("550 5.7.9 100%% no\0".utf8)) == MilterReply(550, 7, 9, ["100% no"]))
        #expect(MilterReply(Array("451 later".utf8)) == MilterReply(451, 7, 1, ["later"]))
        // Another class than the code's is text.
        #expect(MilterReply(Array("451 5.7.1 later".utf8)) == MilterReply(451, 7, 1, ["5.7.1 later"]))
        #expect(
            MilterReply(Array("554-5.1.1 one\r\n554 5.1.1 two\r\n".utf8)) == MilterReply(554, 1, 1, ["one", "two"]))
        #expect(MilterReply(Array("421 bye".utf8)) == MilterReply(421, 7, 0, ["bye"]))
        #expect(MilterReply(Array("550 a\u{7}\u{e9}".utf8))?.lines == ["a???"])
        #expect(MilterReply(Array("550".utf8))?.lines == [""])
        let lines = Array(repeating: "550-x", count: MilterLimits.replyLinesMax + 1).joined(separator: "\n")
        #expect(MilterReply(Array(lines.utf8)) == nil)
        let long = "550 " + String(repeating: "x", count: 5_000)
        #expect(MilterReply(Array(long.utf8))?.lines[0].utf8.count == MilterLimits.replyLineOctetsMax)
    }

    @Test func macrosThatAFilterChooses() throws {
        let list = number(2) + text("i {mail_addr}, j") + number(99) + text("x") + number(5) + text("")
        let found = try read(packet("O", number(6) + number(0x1FF) + number(0x80) + list))
        var agreement = MilterAgreement(version: 6, actions: .all, steps: .noAnswerToField)
        agreement.macros = [.sender: ["i", "{mail_addr}", "j"], .endOfMessage: []]
        #expect(found == [.agreement(agreement)])
        let names = (0...MilterLimits.macrosMax).map { "{m\($0)}" }.joined(separator: " ")
        guard
            case .agreement(let many)? = try read(
                packet("O", number(6) + number(0) + number(0) + number(0) + text(names))
            )
            .first
        else {
            Issue.record("no agreement")
            return
        }
        #expect(many.macros[.connect]?.count == MilterLimits.macrosMax)
    }
}
