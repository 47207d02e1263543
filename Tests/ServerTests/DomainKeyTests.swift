// `domain dkim`: keys are made, shown by their public half, and hidden otherwise, wherever the store tells of itself.
import Digests
import Foundation
import MailCore
import MessageAuthentication
import Octets
import Testing

@testable import Server

@Suite struct DomainKeyTests {
    private func add(
        _ backend: LocalBackend, _ selector: String, _ algorithm: String = "ed25519", domain: String = "Example.test",
        bits: Int = 2_048, key: String? = nil
    ) throws -> [AnswerLine] {
        try backend.answer(
            DomainKeyAdd(domain: domain, selector: selector, algorithm: algorithm, bits: bits, key: key))
    }

    @Test func aKeyIsAddedListedShownAndRemoved() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        let added = try add(backend, "2026A").map(\.text)
        #expect(added.filter { !$0.isEmpty }.count == 1)
        #expect(added[0].hasPrefix("2026a._domainkey.example.test. IN TXT \"v=DKIM1; k=ed25519; p="))
        let rsa = try add(backend, "r1", "rsa", bits: 1_024).map(\.text)
        #expect(rsa[0].hasPrefix("r1._domainkey.example.test. IN TXT \"v=DKIM1; k=rsa; p=MIGf"))
        let list = try backend.answer(DomainKeyList(domain: nil)).filter { $0.kind == .item }.map(\.text)
        #expect(list.count == 2)
        #expect(list[0].hasPrefix("example.test  2026a  Ed25519, since 20"))
        #expect(list[1].hasPrefix("example.test  r1  RSA, 1024 bits, since 20"))
        #expect(try backend.answer(DomainKeyShow(domain: "example.test", selector: "2026a")).map(\.text) == added)
        #expect(try backend.answer(DomainKeyList(domain: "other.test")).allSatisfy { $0.kind != .item })
        for selector in ["2026a", "r1"] {
            #expect(
                try backend.answer(DomainKeyRemove(domain: "example.test", selector: selector)).last?.kind == .done)
        }
        #expect(try backend.answer(DomainKeyList(domain: nil)).allSatisfy { $0.kind != .item })
        #expect(try backend.engine.read { try DKIMSetting.domains($0) }.isEmpty)
    }

    @Test func whatCannotBeIsRefused() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        _ = try add(backend, "one")
        let junk = Base64.encode(Array("no key".utf8))
        let short = Data(SigningKey.generate(.rsa, bits: 512).pem).base64EncodedString()
        let refused = [
            try add(backend, "ONE"), try add(backend, "two words"), try add(backend, "-a"), try add(backend, "a..b"),
            try add(backend, ""), try add(backend, "a", "dsa"), try add(backend, "a", "rsa", bits: 512),
            try add(backend, "a", "rsa", bits: 9_000), try add(backend, "a", domain: "two words"),
            try add(backend, "a", key: junk), try add(backend, "a", key: short),
            try backend.answer(DomainKeyShow(domain: "example.test", selector: "none")),
            try backend.answer(DomainKeyRemove(domain: "example.test", selector: "none")),
        ]
        for (index, lines) in refused.enumerated() { #expect(lines.last?.kind == .failed, "case \(index)") }
        for index in 1..<ServerLimits.domainKeysMax { #expect(try add(backend, "s\(index)").last?.kind == .done) }
        #expect(try add(backend, "more").last?.text.contains("as many as it may") == true)
    }

    /// As many of the largest keys as the limit allows fit into the setting, or are refused in words.
    @Test func aKeyOfAnotherProgramIsTaken() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        let key = SigningKey.generate(.rsa)
        let pem = Data(key.pem).base64EncodedString()
        let line = try add(backend, "old", "rsa", key: pem).first?.text ?? ""
        #expect(line == DKIMKeyRecord.zoneLine(domain: "example.test", selector: "old", key.verifyingKey))
    }

    @Test func neitherLogNorAnswersShowAKey() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        var told = ""
        for form in [OutputForm.text, .json] {
            let add = DomainKeyAdd(
                domain: "example.test", selector: "s\(form.rawValue)", algorithm: "rsa", bits: 2_048, key: nil)
            told += try backend.answer(add, form).map(\.text).joined()
            told += try backend.answer(DomainKeyList(domain: nil), form).map(\.text).joined()
            told += try backend.answer(LogShow(), form).map(\.text).joined()
        }
        #expect(told.contains("dkim.example.test") && told.contains("(secret)"))
        let keys = try backend.engine.read { try DKIMSetting.keys("example.test", $0) }
        #expect(keys.count == 2)
        for key in keys {
            let secret = String(decoding: key.secret.octets, as: UTF8.self)
            #expect(!told.contains(secret.suffix(60)) && !told.contains(secret.dropFirst(60).prefix(60)))
        }
    }
}

extension SigningKey {
    fileprivate var pem: [UInt8] {
        Array(
            ("-----BEGIN PRIVATE KEY-----\n" + Data(secret).base64EncodedString(options: .lineLength64Characters)
                + "\n-----END PRIVATE KEY-----\n").utf8)
    }
}
