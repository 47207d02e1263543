import Digests
import Testing

@Suite("SCRAM verifiers")
struct ScramVerifierTests {
    /// One exchange as an RFC prints it. The messages are joined with commas as RFC 5802 section 3 defines AuthMessage.
    struct Exchange: Sendable {
        let algorithm: DigestAlgorithm
        let salt: String
        let clientFirstBare: String
        let serverFirst: String
        let clientFinalWithoutProof: String
        let proof: String
        let signature: String

        var authMessage: [UInt8] { Array("\(clientFirstBare),\(serverFirst),\(clientFinalWithoutProof)".utf8) }
    }

    static let exchanges = [
        // RFC 5802 section 5
        Exchange(
            algorithm: .sha1, salt: "QSXCR+Q6sek8bf92",
            clientFirstBare: "n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            serverFirst: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            clientFinalWithoutProof: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
            proof: "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", signature: "rmF9pqV8S7suAoZWja4dJRkFsKQ="),
        // RFC 7677 section 3
        Exchange(
            algorithm: .sha256, salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
            clientFirstBare: "n=user,r=rOprNGfwEbeRWgbNEkqO",
            serverFirst: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            clientFinalWithoutProof: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            proof: "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            signature: "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
    ]

    static let pencil = Array("pencil".utf8)

    @Test("the exchanges of RFC 5802 section 5 and RFC 7677 section 3", arguments: exchanges.indices)
    func published(_ index: Int) throws {
        let exchange = Self.exchanges[index]
        let verifier = try #require(
            ScramVerifier.make(
                exchange.algorithm, password: Self.pencil, salt: base64(exchange.salt), iterations: 4096))
        let proof = base64(exchange.proof)
        let made = ScramProof.make(
            exchange.algorithm, password: Self.pencil, salt: base64(exchange.salt), iterations: 4096,
            authMessage: exchange.authMessage)
        #expect(made?.client == proof && made?.server == base64(exchange.signature))
        #expect(verifier.accepts(clientProof: proof, authMessage: exchange.authMessage))
        #expect(verifier.serverSignature(authMessage: exchange.authMessage) == base64(exchange.signature))

        for octet in proof.indices {
            var wrong = proof
            wrong[octet] ^= 1
            #expect(!verifier.accepts(clientProof: wrong, authMessage: exchange.authMessage))
        }
        #expect(!verifier.accepts(clientProof: Array(proof.dropLast()), authMessage: exchange.authMessage))
        #expect(!verifier.accepts(clientProof: [], authMessage: exchange.authMessage))
        #expect(!verifier.accepts(clientProof: proof, authMessage: exchange.authMessage + [0x2C]))

        let other = try #require(
            ScramVerifier.make(
                exchange.algorithm, password: Array("pencils".utf8), salt: base64(exchange.salt), iterations: 4096))
        #expect(!other.accepts(clientProof: proof, authMessage: exchange.authMessage))
    }

    @Test("a password in the clear is checked against the same verifier", arguments: DigestAlgorithm.allCases)
    func clearPassword(_ algorithm: DigestAlgorithm) throws {
        let salt: [UInt8] = [9, 8, 7, 6, 5, 4, 3, 2]
        let verifier = try #require(
            ScramVerifier.make(algorithm, password: Self.pencil, salt: salt, iterations: 4096))
        #expect(verifier.verify(password: Self.pencil))
        #expect(!verifier.verify(password: Array("Pencil".utf8)))
        #expect(!verifier.verify(password: []))
        #expect(!verifier.verify(password: Self.pencil + [0x20]))

        let kept = try #require(
            ScramVerifier(
                algorithm: algorithm, iterations: verifier.iterations, salt: verifier.salt,
                storedKey: verifier.storedKey, serverKey: verifier.serverKey))
        #expect(kept == verifier)
        // Salt and count belong to the secret: the same password under another of either is another verifier.
        #expect(ScramVerifier.make(algorithm, password: Self.pencil, salt: salt + [1], iterations: 4096) != verifier)
        #expect(ScramVerifier.make(algorithm, password: Self.pencil, salt: salt, iterations: 4097) != verifier)
    }

    @Test("parts outside their range make no verifier")
    func ranges() {
        let key = [UInt8](repeating: 1, count: 32)
        func verifier(
            _ algorithm: DigestAlgorithm = .sha256, iterations: Int = 4096, salt: [UInt8] = [1], stored: Int = 32,
            server: Int = 32
        ) -> ScramVerifier? {
            ScramVerifier(
                algorithm: algorithm, iterations: iterations, salt: salt, storedKey: Array(key.prefix(stored)),
                serverKey: Array(key.prefix(server)))
        }
        #expect(verifier() != nil)
        #expect(verifier(iterations: 4095) == nil)
        #expect(verifier(iterations: ScramVerifier.iterationsMax + 1) == nil)
        #expect(verifier(salt: []) == nil)
        #expect(verifier(salt: [UInt8](repeating: 0, count: ScramVerifier.saltOctetsMax + 1)) == nil)
        #expect(verifier(stored: 31) == nil)
        #expect(verifier(server: 20) == nil)
        #expect(verifier(.sha1) == nil)
        #expect(verifier(.sha1, stored: 20, server: 20) != nil)
        #expect(ScramVerifier.make(.sha256, password: Self.pencil, salt: [], iterations: 4096) == nil)
        #expect(ScramVerifier.make(.sha256, password: Self.pencil, salt: [1], iterations: 1) == nil)
        let long = [UInt8](repeating: 0x61, count: ScramVerifier.passwordOctetsMax + 1)
        #expect(ScramVerifier.make(.sha256, password: long, salt: [1], iterations: 4096) == nil)
    }
}

@Suite("SASLprep (RFC 4013)")
struct SASLprepTests {
    @Test(
        "what is kept and what is mapped",
        arguments: [
            ("user", "user"), ("USER", "USER"), ("I\u{AD}X", "IX"), ("two words", "two words"),
            ("a\u{A0}b\u{3000}c", "a b c"), ("\u{FEFF}bom", "bom"), ("\u{E9}t\u{E9}", "\u{E9}t\u{E9}"),
            ("\u{65E5}\u{672C}", "\u{65E5}\u{672C}"), ("\u{1F511}", "\u{1F511}"),
        ])
    func mapped(_ input: String, _ output: String) throws {
        #expect(try SASLprep.prepare(Array(input.utf8)) == Array(output.utf8))
    }

    @Test(
        "what is refused",
        arguments: [
            (0x07, "bell"), (0x00, "NUL"), (0x0A, "line feed"), (0x7F, "delete"), (0x85, "next line"),
            (0xE000, "private use"), (0xFFFD, "replacement"), (0xFFFE, "no character"), (0x202E, "override"),
            (0xE0041, "tag"),
        ] as [(UInt32, String)])
    func prohibited(_ value: UInt32, _ name: String) throws {
        let scalar = try #require(Unicode.Scalar(value))
        let bytes = Array("a\(Character(scalar))b".utf8)
        #expect(throws: SASLprep.Failure.prohibited(value), "\(name)") { try SASLprep.prepare(bytes) }
    }

    @Test("octets that are no text, and text that is nothing")
    func noText() {
        #expect(throws: SASLprep.Failure.notUTF8) { try SASLprep.prepare([0x61, 0xFF]) }
        #expect(throws: SASLprep.Failure.notUTF8) { try SASLprep.prepare([0xED, 0xA0, 0x80]) }
        #expect(throws: SASLprep.Failure.empty) { try SASLprep.prepare([]) }
        #expect(throws: SASLprep.Failure.empty) { try SASLprep.prepare(Array("\u{AD}".utf8)) }
    }
}
