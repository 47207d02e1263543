// Messages made to be too much: each limit is passed and seen to hold, and what is packed comes back.
import MIME
import Testing

/// `depth` multiparts within one another.
private func nested(_ depth: Int) -> [UInt8] {
    var text = ""
    for level in 0..<depth { text += "Content-Type: multipart/mixed; boundary=b\(level)x\n\n--b\(level)x\n" }
    text += "\ninnermost\n"
    for level in (0..<depth).reversed() { text += "--b\(level)x--\n" }
    return crlf(text)
}

@Suite("Torture")
struct TortureTests {
    @Test("depth: what lies deeper is one part without parts")
    func depth() {
        let most = summary(nested(MIMELimits.depthMax)).structure
        checkRanges(most)
        #expect(most.parts.count == MIMELimits.depthMax + 1)
        #expect(most.parts.last?.kind == .text)
        for depth in [MIMELimits.depthMax + 1, 1000] {
            let message = nested(depth)
            let over = summary(message)
            checkRanges(over.structure)
            #expect(over.structure.parts.count == MIMELimits.depthMax + 1)
            #expect(over.structure.parts.last?.kind == .basic)
            #expect(summary(message, pieces: 97) == over)
        }
        let messages = crlf(String(repeating: "Content-Type: message/rfc822\n\n", count: 1000) + "\nx\n")
        let over = summary(messages).structure
        checkRanges(over)
        #expect(over.parts.count == MIMELimits.depthMax + 1)
    }

    @Test("parts: what follows belongs to the last")
    func parts() {
        let one = "--b\n\nx\n"
        for count in [MIMELimits.partsMax - 1, MIMELimits.partsMax, MIMELimits.partsMax + 500] {
            let message = crlf(
                "Content-Type: multipart/mixed; boundary=b\n\n" + String(repeating: one, count: count) + "--b--\n")
            let found = summary(message)
            checkRanges(found.structure)
            #expect(found.structure.parts.count == min(count + 1, MIMELimits.partsMax))
            #expect(summary(message, pieces: 1009) == found)
        }
        let digest = crlf(
            "Content-Type: multipart/digest; boundary=b\n\n" + String(repeating: "--b\n\nA: b\n\nx\n", count: 9000)
                + "--b--\n")
        let found = summary(digest).structure
        checkRanges(found)
        #expect(found.parts.count == MIMELimits.partsMax)
    }

    @Test("headers over the limit: ranges are right, fields beyond are not looked at")
    func headers() {
        let filler = "X: " + String(repeating: "y", count: 995) + "\n"
        let count = MIMELimits.headerOctetsMax / filler.utf8.count + 2
        let message = crlf("Subject: seen\n" + String(repeating: filler, count: count) + "From: unseen@x\n\nbody\n")
        let found = summary(message)
        #expect(found.envelope.subject.map { text($0) } == "seen")
        #expect(found.envelope.from.isEmpty)
        #expect(octets(found.structure.section([], .text), of: message) == "body\r\n")
        #expect(summary(message, pieces: 65_536) == found)
        let oneLine = Array("Subject: ".utf8) + [UInt8](repeating: 120, count: 3 << 20)
        #expect(summary(oneLine).structure.header.count == oneLine.count)
        #expect(summary(oneLine, pieces: 10_000) == summary(oneLine))
    }

    @Test("strings over the limit: parts are known by their place")
    func strings() {
        let long = String(repeating: "d", count: 60_000)
        let part = "--b\nContent-Type: image/png; name=x\nContent-Description: \(long)\n\nx\n"
        let message = crlf(
            "Content-Type: multipart/mixed; boundary=b\n\n" + String(repeating: part, count: 40) + "--b--\n")
        let found = summary(message)
        checkRanges(found.structure)
        #expect(found.structure.parts.count == 41)
        #expect(found.structure.parts[1].description?.count == 60_000)
        #expect(found.structure.parts[40].description == nil)
        #expect(found.structure.parts[40].isType("image", "png"))
        let kept = found.structure.parts.reduce(0) { $0 + ($1.description?.count ?? 0) }
        #expect(kept <= MIMELimits.structureTextOctetsMax)
    }

    @Test("one too many: parameters, languages, long types, long boundaries")
    func fields() {
        let many = (0..<(MIMELimits.parametersMax + 5)).map { "; p\($0)=\($0)" }.joined()
        let part = summary(
            crlf(
                "Content-Type: x/y\(many)\nContent-Language: \(Array(repeating: "en", count: 40).joined(separator: ","))\n\n"
            )
        )
        .structure.parts[0]
        #expect(part.parameters.count == MIMELimits.parametersMax)
        #expect(part.languages.count == MIMELimits.languagesMax)
        let type = String(repeating: "t", count: MIMELimits.mediaNameOctetsMax + 1)
        #expect(summary(crlf("Content-Type: \(type)/x\n\n")).structure.parts[0].isType("text", "plain"))
        for (count, kind) in [
            (MIMELimits.boundaryOctetsMax, Part.Kind.multipart), (MIMELimits.boundaryOctetsMax + 1, .text),
        ] {
            let boundary = String(repeating: "b", count: count)
            let message = crlf(
                "Content-Type: multipart/mixed; boundary=\(boundary)\n\n--\(boundary)\n\nx\n--\(boundary)--\n")
            #expect(summary(message).structure.parts[0].kind == kind)
            #expect(summary(message, pieces: 50) == summary(message))
        }
    }

    @Test("octets of any kind have a structure")
    func anything() {
        var state: UInt32 = 3
        func next(_ bound: Int) -> Int {
            state = state &* 1_664_525 &+ 1_013_904_223
            return Int(state >> 16) % bound
        }
        let words = [
            "Content-Type: multipart/mixed; boundary=", "b", "bb", "\n", "\r\n", "\n\n", "--b", "--bb", "--b--",
            "message/rfc822", "Content-Type: ",
            "text", ";", " ", "\r", "\0", ":", "(", "\"", "x", "multipart/digest; boundary=b", "To: a@x", "\u{E4}",
        ]
        for _ in 0..<1500 {
            let message = Array((0..<next(40)).map { _ in words[next(words.count)] }.joined().utf8)
            let found = summary(message)
            checkRanges(found.structure)
            for size in [1, 2, 5] { #expect(summary(message, pieces: size) == found, "\(text(message))") }
            #expect(PackedSummary(bytes: PackedSummary(found).bytes)?.summary == found)
        }
    }

    @Test("packed summaries come back; others are refused")
    func packed() {
        for row in structures {
            let found = summary(
                crlf("Date: Fri, 21 Nov 1997 09:55:06 -0600\nReferences: <a@x>\n <b@x>\n" + row.message))
            let packed = PackedSummary(found)
            #expect(PackedSummary(bytes: packed.bytes)?.summary == found)
            #expect(packed.sentDate?.time.seconds == 880_127_706)
            #expect(packed.sentDate?.zoneMinutes == -360)
            #expect(packed.references.map { text($0) } == "<a@x> <b@x>")
            #expect(packed.withEnvelope { Array($0) } == found.envelope.bytes)
            for count in packed.bytes.indices {
                #expect(PackedSummary(bytes: Array(packed.bytes[..<count]))?.summary == nil)
            }
            #expect(PackedSummary(bytes: packed.bytes + [0])?.summary == nil)
            for index in packed.bytes.indices {
                var bytes = packed.bytes
                bytes[index] ^= 0xFF
                if let other = PackedSummary(bytes: bytes)?.summary { _ = described(other.structure) }
            }
        }
        #expect(PackedSummary(bytes: [2, 0]) == nil)
        #expect(PackedSummary(bytes: []) == nil)
    }
}
