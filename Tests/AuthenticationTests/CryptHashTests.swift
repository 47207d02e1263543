// Hashes of other systems, made of "pencil" by Perl's crypt, and what becomes of an account that has one.
import MailCore
import MailTypes
import Synchronization
import Testing

@testable import Authentication

@Suite struct CryptHashTests {
    static let hashes: [String] = [
        "$y$j9T$AnsV4p9rIjP9iZvAYTYZd1$0RK4nsaGKskpUK/TDUH.EQRarUxpinenfHsrn4/am93",
        "$y$j75$AnsV4p9rIjP9iZvAYTYZd1$ZD73rYuMw4JDBxkqP0VmHdgkwGhyW1AUdzaC/s/lSt.",
        "$6$saltsalt$rD9fW1BwIrjB90WCgCTdIQc3phTBhf04I6Iw/XlgKD9E9aEbzqGZipjiFxGo/4wWXDA6jV6/vZO.kKdDSfUJb0",
        "$6$rounds=1000$saltsalt$bbY.T.ZpN43KapLdmlSbP6MmxBlkMSbhrh.Y1rmY0fYaRO/t.4sKqUiU.Z8byKf8Oa1yagMn/0fncuHSYrb9h.",
        "$5$saltsalt$hl9BvcGsj7AkON13nbqeQHDgRpHyFxt7WDzLoS.OCQ/",
        "$2b$05$abcdefghijklmnopqrstuu680Yiaj5hFUaJTH/rTAcbA2PQEGfiZu",
        "$2a$04$abcdefghijklmnopqrstuu/FyAyuZSl3DbPdvio4KrIBdz2k2yhV2",
    ]

    @Test(arguments: hashes)
    func rightAndWrong(_ hash: String) {
        #expect(CryptHash.isTaken(hash))
        #expect(CryptHash.verify(hash, password: Array("pencil".utf8)))
        #expect(!CryptHash.verify(hash, password: Array("Pencil".utf8)))
        #expect(!CryptHash.verify(hash, password: []))
        #expect(!CryptHash.verify(hash, password: Array("pencil\0".utf8)))
    }

    @Test(arguments: [
        "", "$", "$$$$", "pencil", "ab.JdVg2pQyBE", "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "*0", "$6$a$short",
        "$6$rounds=99999999$saltsalt$" + String(repeating: "a", count: 86),
        "$2b$31$" + String(repeating: "a", count: 53),
        "$y$jFT$AnsV4p9rIjP9iZvAYTYZd1$" + String(repeating: "a", count: 43),
        "$6$salt\n$" + String(repeating: "a", count: 86),
    ])
    func isNotTaken(_ hash: String) {
        #expect(!CryptHash.isTaken(hash))
        #expect(!CryptHash.verify(hash, password: Array("pencil".utf8)))
    }

    @Test func theSchemeStandsInFront() {
        let hash = Self.hashes[0]
        for scheme in ["CRYPT", "crypt", "SHA512-CRYPT", "BLF-CRYPT"] {
            #expect(CryptHash.parse("{\(scheme)}\(hash)") == .success(hash))
        }
        #expect(CryptHash.parse("{CRYPT}nonsense") == .failure(CryptHash.Refusal()))
        for text in [hash, "{PLAIN}x", "{", "password", ""] { #expect(CryptHash.parse(text) == nil) }
    }

    @Test(arguments: hashes)
    func aGoodLoginMakesVerifiersOfIt(_ hash: String) async throws {
        try await withSASL { site in
            site.perform(.setCredential(NewCredential(label: "password", scheme: .crypt, verifier: hash)))
            let before = try #require(try site.engine.read { try $0.credentials(site.alice) }.first)
            same(try await ScramClient().logIn(site, "SCRAM-SHA-256").outcome, "denied")
            #expect(await site.converse("PLAIN", ["\0alice\0wrong"]).outcome == "denied")
            #expect(await site.converse("PLAIN", ["\0alice\0pencil"]).outcome == "success \(site.alice.rawValue)")
            // The change follows the answer.
            while try site.engine.read({ try $0.credentials(site.alice) }).first?.scheme != .scram {
                try await Task.sleep(for: .milliseconds(5))
            }
            let after = try #require(try site.engine.read { try $0.credentials(site.alice) }.first)
            #expect(after.id == before.id && after.label == before.label)
            same(try await ScramClient().logIn(site, "SCRAM-SHA-256").outcome, "success \(site.alice.rawValue)")
            #expect(await site.converse("PLAIN", ["\0alice\0pencil"]).outcome == "success \(site.alice.rawValue)")
        }
    }

    @Test func aUseIsNotedOnceADay() async throws {
        try await withSASL { site in
            let before = try #require(try site.engine.read { try $0.head(site.alice) })
            for _ in 0..<3 {
                #expect(await site.converse("PLAIN", ["\0alice\0pencil"]).outcome == "success \(site.alice.rawValue)")
                same(
                    try await ScramClient(algorithm: .sha1).logIn(site, "SCRAM-SHA-1").outcome,
                    "success \(site.alice.rawValue)")
            }
            while try site.engine.read({ try $0.credentials(site.alice) }).first?.lastUsed == nil {
                try await Task.sleep(for: .milliseconds(5))
            }
            site.perform(.noteCredentialUse(id: 1))
            let head = try #require(try site.engine.read { try $0.head(site.alice) })
            #expect(head.aseq == ModSeq(before.aseq.rawValue + 1))
            #expect(
                try site.engine.read { try $0.credentials(site.alice) }.first?.lastUsed
                    == Timestamp(seconds: 1_800_000_000))
        }
    }
}
