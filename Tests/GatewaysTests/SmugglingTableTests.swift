// SMTP smuggling (RFC 5321 sections 2.3.8 and 4.1.1.4): everything that some server has taken for the end of DATA, between
// a message and a second one hidden in it. Sent over sockets, whole and in two pieces; what a mailbox then holds counts.
import Foundation
import SMTP
import Testing

@testable import Gateways

/// What stands between the text of a message and the commands hidden behind it.
private struct Variant: Sendable {
    let octets: String
    /// `CRLF.CRLF` is in it: what follows are commands, and rightly so.
    var ends = false
    /// The reply to the message, with the default and with `bareLineEnds` accepted.
    var refused = "550 5.6.0"
    var accepted = "250 2.6.0"

    var shown: String {
        var text = ""
        for scalar in octets.unicodeScalars {
            switch scalar {
            case "\r": text += "CR "
            case "\n": text += "LF "
            case "\0": text += "NUL "
            case "\u{85}": text += "NEL "
            case " ": text += "SP "
            case "\t": text += "TAB "
            default: text += "`\(scalar)` "
            }
        }
        return text.trimmingCharacters(in: .whitespaces)
    }
}

private let variants: [Variant] = [
    Variant(octets: "\r\n.\r\n", ends: true, refused: "250 2.6.0"),
    Variant(octets: "\n.\n"), Variant(octets: "\n.\r\n"), Variant(octets: "\r\n.\n"), Variant(octets: "\r.\r"),
    Variant(octets: "\r.\r\n"), Variant(octets: "\r\n.\r"), Variant(octets: "\n.\r"), Variant(octets: "\r.\n"),
    Variant(octets: "\n\n.\n\n"), Variant(octets: "\r\r.\r\r"), Variant(octets: "\n\r.\n\r"),
    Variant(octets: "\r\n\n.\r\n"),
    Variant(octets: "\r\n\r.\r\n"), Variant(octets: "\r\n.\r\r\n"), Variant(octets: "\r\n.\n\r\n"),
    Variant(octets: "\r\r\n.\r\n", ends: true), Variant(octets: "\n\r\n.\r\n", ends: true),
    Variant(octets: "\r\n.\r\n\n", ends: true, refused: "250 2.6.0"),
    Variant(octets: "\r\n\0.\r\n", accepted: "550 5.6.0"), Variant(octets: "\r\n.\0\r\n", accepted: "550 5.6.0"),
    Variant(octets: "\r\0\n.\r\0\n", accepted: "550 5.6.0"), Variant(octets: "\0.\0", accepted: "550 5.6.0"),
    Variant(octets: "\r\n..\r\n", refused: "250 2.6.0"), Variant(octets: "\r\n .\r\n", refused: "250 2.6.0"),
    Variant(octets: "\r\n. \r\n", refused: "250 2.6.0"), Variant(octets: "\r\n.\t\r\n", refused: "250 2.6.0"),
    Variant(octets: "\u{85}.\u{85}", refused: "250 2.6.0"), Variant(octets: "\r\n\u{85}.\r\n", refused: "250 2.6.0"),
]

@Suite struct SmugglingTableTests {
    private static let hidden =
        "MAIL FROM:<smuggled@client.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\n"

    /// The reply to the message that carries the other, and whether that one was delivered.
    private static func send(_ variant: Variant, _ node: TestNode, cut: Bool) throws -> (reply: String, hidden: Bool) {
        let before = try node.bodies("bob@example.test").count
        let client = try node.smtp()
        #expect(try client.command("MAIL FROM:<a@client.test>").hasPrefix("250"))
        #expect(try client.command("RCPT TO:<alice@example.test>").hasPrefix("250"))
        #expect(try client.command("DATA").hasPrefix("354"))
        let text = Array("Subject: outer\r\n\r\ntext".utf8)
        let end = Array(variant.octets.utf8)
        let rest = Array(hidden.utf8) + Array("\r\n.\r\nNOOP\r\n".utf8)
        if cut {
            try client.send(text + end.prefix(end.count / 2))
            try client.send(Array(end.dropFirst(end.count / 2)))
            try client.send(rest)
        } else {
            try client.send(text + end + rest)
        }
        let reply = try client.line()
        // Up to the answer to NOOP, whatever else was answered on the way.
        var linesLeft = 10
        while linesLeft > 0, try client.line() != "250 2.0.0 OK" { linesLeft -= 1 }
        return (String(reply.prefix(9)), try node.bodies("bob@example.test").count > before)
    }

    @Test func theTable() async throws {
        var replies: [[String]] = []
        for policy in [BareLineEndPolicy.refuse, .accept] {
            var column: [String] = []
            try await withNode(options: { $0.bareLineEnds = policy }) { node in
                column = try await onOwnThread {
                    try variants.map { variant in
                        var told = ""
                        for cut in [false, true] {
                            let outcome = try Self.send(variant, node, cut: cut)
                            let expected = policy == .refuse ? variant.refused : variant.accepted
                            #expect(outcome.reply == expected, "\(variant.shown), cut: \(cut), \(policy)")
                            #expect(outcome.hidden == variant.ends, "\(variant.shown), cut: \(cut), \(policy)")
                            told = outcome.reply
                        }
                        return told
                    }
                }
            }
            replies.append(column)
        }
        let rows = variants.indices.map { index in
            [variants[index].shown, variants[index].ends ? "yes" : "no", replies[0][index], replies[1][index]]
        }
        try checkPage(
            "docs/protocols/smuggling.md",
            """
            # SMTP smuggling

            A message can carry another when two servers disagree about where DATA ends. Here it ends at CR LF `.` CR LF and
            nowhere else (RFC 5321 section 4.1.1.4). A message with a CR or LF outside a CRLF (section 2.3.8), or a NUL, is
            read to its end and refused. The columns: what stands between a message and the commands hidden in it; whether
            what follows are commands; the reply to the message; the same where bare line ends are accepted, which no key of
            the configuration does.

            Written by `tools/tables` from `SmugglingTableTests`, which sends each line over a socket and looks into the
            mailbox of the hidden recipient.


            """ + markdownTable(["between", "ends DATA", "reply", "reply, bare line ends accepted"], rows))
    }
}
