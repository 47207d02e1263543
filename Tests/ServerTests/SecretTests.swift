// No value that holds a secret shows it: not in a string, not in a dump, not within another value.
import Digests
import MailCore
import MailTypes
import Testing

@testable import Server

@Suite struct SecretTests {
    private static let secret = "c2VjcmV0LXZlcmlmaWVy"
    private static let row = CredentialRow(
        id: 7, scheme: .scram, scopes: .all, expires: nil, label: "phone", verifier: secret)

    private static var values: [Any] {
        [
            row, Event.credentialSet(row), [row],
            NewCredential(verifier: secret), AccountCommand.setCredential(NewCredential(verifier: secret)),
            NewAccount(address: Address("a@b.test")!, credential: NewCredential(verifier: secret)),
            AccountAdd(entries: [.init(address: "a", verifier: secret)]),
            AccountSetPassword(address: "a", verifier: secret),
            AccountPasswordAdd(address: "a", label: "x", scopes: [], expires: nil, verifier: secret),
            DomainKeyAdd(domain: "a.test", selector: "s", algorithm: "rsa", bits: 2048, key: secret),
            DKIMSetting.Key(
                selector: "s", created: Timestamp(milliseconds: 0), secret: SecretOctets(Array(secret.utf8))),
            ScramVerifier.make(
                .sha256, password: Array("secret".utf8), salt: [0xAB, 0xCD, 0xEF, 0x77], iterations: 4096)
                as Any,
        ]
    }

    @Test func descriptionsShowNone() {
        for value in Self.values {
            var dumped = ""
            dump(value, to: &dumped)
            for text in ["\(value)", String(reflecting: value), dumped] {
                #expect(!text.contains(Self.secret), "\(type(of: value)) shows its verifier")
                #expect(!text.contains("171"), "\(type(of: value)) shows octets of its salt")
            }
        }
    }
}
