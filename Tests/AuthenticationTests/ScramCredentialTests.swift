import Digests
import Testing

@testable import Authentication

@Suite struct ScramCredentialTests {
    /// The example of RFC 7677 section 3: user "user", password "pencil". The keys were computed with Python's hashlib
    /// from the salt and count given there.
    private let line =
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        + "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

    @Test func readsAndWritesTheTextOfRFC5803() throws {
        let verifier = try #require(ScramCredential.verifiers(line).first)
        #expect(verifier.algorithm == .sha256)
        #expect(verifier.iterations == 4096)
        #expect(verifier.verify(password: Array("pencil".utf8)))
        #expect(!verifier.verify(password: Array("Pencil".utf8)))
        #expect(ScramCredential.text(verifier) == line)
    }

    @Test(arguments: [
        "", "SCRAM-SHA-256", "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==", "SCRAM-MD5$4096:YQ==$YQ==:YQ==",
        "SCRAM-SHA-256$0:W22ZaJ0SNY7soEsUEjb6gQ==$YQ==:YQ==", "SCRAM-SHA-256$4096:!$YQ==:YQ==", "$$", ":",
    ])
    func passesOverWhatIsNone(_ text: String) {
        #expect(ScramCredential.verifiers(text).isEmpty)
    }

    @Test func aNewOneHasBothDigestsUnderTheirOwnSalts() throws {
        let text = try ScramCredential.make("pässword")
        let verifiers = ScramCredential.verifiers(text)
        #expect(verifiers.map(\.algorithm) == [.sha256, .sha1])
        #expect(verifiers.allSatisfy { $0.iterations == 10_000 && $0.salt.count == 16 })
        #expect(verifiers[0].salt != verifiers[1].salt)
        #expect(verifiers.allSatisfy { $0.verify(password: Array("pässword".utf8)) })
        #expect(try ScramCredential.make("pässword") != text)
    }

    @Test func refusesWhatCannotBeAPassword() {
        #expect(throws: ScramCredential.Failure.unsuitable(.empty)) { try ScramCredential.make("") }
        #expect(throws: ScramCredential.Failure.unsuitable(.prohibited(7))) { try ScramCredential.make("a\u{7}") }
        #expect(throws: ScramCredential.Failure.tooLong) {
            try ScramCredential.make(String(repeating: "x", count: 513), iterations: 4_096)
        }
        #expect(throws: ScramCredential.Failure.iterations) { try ScramCredential.make("x", iterations: 100) }
    }
}
