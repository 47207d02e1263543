// What filters have to do with the rest of a session: TLS that begins within it, recipients that are counted and reported, and a
// site that takes other filters meanwhile.
import MailCore
import MailTypes
import Milter
import SMTP
import Testing

@testable import Gateways

private typealias M = ScriptedMilter

@Suite struct MilterSessionTests {
    // MARK: Recipients

    /// Also where the copy waits in the queue for its report.
    @Test func whereARecipientIs() async throws {
        let milter = try M { _ in nil }
        try await withMilters([milter]) { (node: TestNode) throws in
            func mailer(_ recipient: String, _ client: TestClient) throws -> String? {
                #expect(try client.command("RCPT TO:\(recipient)").hasPrefix("250"))
                return milter.macros["R"]?["{rcpt_mailer}"]
            }
            let client = try node.submission("alice")
            #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
            #expect(try mailer("<far@elsewhere.test>", client) == "esmtp")
            #expect(try mailer("<bob@example.test> NOTIFY=SUCCESS", client) == "local")
            #expect(try mailer("<far@elsewhere.test> NOTIFY=SUCCESS", client) == "esmtp")
            #expect(try mailer("<bob@example.test>", client) == "local")
            let stranger = try node.smtp()
            #expect(try stranger.command("MAIL FROM:<joe@client.test>").hasPrefix("250"))
            #expect(try mailer("<bob@example.test> NOTIFY=SUCCESS,FAILURE", stranger) == "local")
        }
    }
}
