// A login by SCRAM at a smart host, by the example of RFC 7677 section 3; and servers that are not what they should be.
import Octets
import Testing

@testable import SMTP

@Suite struct ScramTests {
    private static let nonce = "rOprNGfwEbeRWgbNEkqO"
    private static let serverFirst =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    private static let proof = SMTPScramProof(
        client: Base64.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")!,
        server: Base64.decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")!)

    private struct Run {
        var machine: SMTPClientMachine
        private(set) var actions: [SMTPClientAction] = []

        init(
            _ mechanisms: String, user: String = "user", binding: SMTPChannelBinding? = nil,
            nonce: String? = ScramTests.nonce
        ) {
            var configuration = SMTPClientConfiguration(helloName: "mx.example.test")
            configuration.isImplicitTLS = true
            configuration.credentials = SMTPClientCredentials(user: user, password: "pencil")
            configuration.scramNonce = nonce
            machine = SMTPClientMachine(configuration)
            machine.channelBinding = binding
            hear("220 there.test")
            hear("250-there.test\r\n250 AUTH \(mechanisms)")
        }

        mutating func hear(_ text: String) {
            actions = []
            Array("\(text)\r\n".utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
        }

        mutating func challenge(_ text: String) { hear("334 " + Base64.encode(Array(text.utf8))) }

        mutating func prove(_ proof: SMTPScramProof?) {
            actions = []
            machine.proved(proof, into: &actions)
        }

        /// What was said last, without its line end.
        var said: String? {
            guard case .send(let octets)? = actions.last else { return nil }
            return String(decoding: octets.dropLast(2), as: UTF8.self)
        }

        /// The client's message in what was said last, of which this is its beginning.
        func message(_ start: String = "") -> String? {
            said.flatMap { $0.hasPrefix(start) ? Base64.decode(String($0.dropFirst(start.count))) : nil }
                .map { String(decoding: $0, as: UTF8.self) }
        }
    }

    @Test("the example of RFC 7677 section 3")
    func example() {
        var run = Run("LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-256")
        #expect(run.message("AUTH SCRAM-SHA-256 ") == "n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        run.challenge(Self.serverFirst)
        let withoutProof = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
        #expect(
            run.actions == [
                .prove(
                    SMTPScramChallenge(
                        digest: .sha256, salt: Base64.decode("W22ZaJ0SNY7soEsUEjb6gQ==")!, iterations: 4096,
                        authMessage: Array("n=user,r=\(Self.nonce),\(Self.serverFirst),\(withoutProof)".utf8)))
            ])
        run.prove(Self.proof)
        #expect(run.message() == withoutProof + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
        run.challenge("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        #expect(run.said == "")
        run.hear("235 2.7.0 ok")
        #expect(run.actions == [.ready])
    }

    @Test("the strongest that is offered, bound to TLS where both sides can")
    func choice() {
        let binding = SMTPChannelBinding(name: "tls-exporter", octets: [1, 2, 3])
        func start(_ mechanisms: String, _ binding: SMTPChannelBinding? = nil, nonce: String? = Self.nonce) -> String? {
            Run(mechanisms, binding: binding, nonce: nonce).said.map { String($0.dropFirst(5).prefix { $0 != " " }) }
        }
        #expect(start("PLAIN SCRAM-SHA-1") == "SCRAM-SHA-1")
        #expect(start("SCRAM-SHA-256 SCRAM-SHA-256-PLUS", binding) == "SCRAM-SHA-256-PLUS")
        #expect(start("SCRAM-SHA-256 SCRAM-SHA-256-PLUS") == "SCRAM-SHA-256")
        #expect(start("SCRAM-SHA-256-PLUS PLAIN") == "PLAIN")
        #expect(start("SCRAM-SHA-256 PLAIN", nonce: nil) == "PLAIN")
        // RFC 5802 section 6: that it could bind is told, so that nobody between can hide what the server can.
        #expect(Run("SCRAM-SHA-256", binding: binding).message("AUTH SCRAM-SHA-256 ")?.hasPrefix("y,,n=") == true)
        var bound = Run("SCRAM-SHA-256-PLUS", binding: binding)
        #expect(bound.message("AUTH SCRAM-SHA-256-PLUS ")?.hasPrefix("p=tls-exporter,,n=user,") == true)
        bound.challenge(Self.serverFirst)
        bound.prove(Self.proof)
        let sealed = Base64.encode(Array("p=tls-exporter,,".utf8) + [1, 2, 3])
        #expect(bound.message()?.hasPrefix("c=\(sealed),r=") == true)
        #expect(
            Run("SCRAM-SHA-256", user: "a=b,c").message("AUTH SCRAM-SHA-256 ")?.hasPrefix("n,,n=a=3Db=2Cc,") == true)
    }

    @Test(
        "a server's first message that is none",
        arguments: [
            "", "r=other,s=W22Z,i=4096", "r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096",
            "m=x,r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096", "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W2,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4095", "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=1000001",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=+4096", "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=99999999999999999999",
            "r=rOprNGfwEbeRWgbNEkqO" + String(repeating: "x", count: 1_100) + ",s=W22Z,i=4096",
        ])
    func wrongFirst(_ message: String) {
        var run = Run("SCRAM-SHA-256")
        run.challenge(message)
        #expect(run.actions == [.close(.unproved)])
    }

    @Test("a server that does not prove that it knows the password gets no mail")
    func wrongProof() {
        func last(_ answer: (inout Run) -> Void) -> [SMTPClientAction] {
            var run = Run("SCRAM-SHA-256")
            run.challenge(Self.serverFirst)
            run.prove(Self.proof)
            answer(&run)
            return run.actions
        }
        #expect(last { $0.challenge("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=") } == [.close(.unproved)])
        #expect(last { $0.challenge("e=other-error") } == [.close(.unproved)])
        #expect(last { $0.challenge("") } == [.close(.unproved)])
        #expect(last { $0.hear("334 ?") } == [.close(.unproved)])
        #expect(last { $0.hear("235 2.7.0 ok") } == [.close(.unproved)])
        guard case .close(.refused(let reply))? = last({ $0.hear("535 5.7.8 no") }).first else {
            Issue.record("not refused")
            return
        }
        #expect(reply.code == 535)
        // Before the challenge, while the proof is made, and where it cannot be made.
        var early = Run("SCRAM-SHA-256")
        early.hear("235 2.7.0 ok")
        #expect(early.actions == [.close(.unproved)])
        var impatient = Run("SCRAM-SHA-256")
        impatient.challenge(Self.serverFirst)
        impatient.hear("235 2.7.0 ok")
        #expect(impatient.machine.isClosed)
        var unable = Run("SCRAM-SHA-256")
        unable.challenge(Self.serverFirst)
        unable.prove(nil)
        #expect(unable.actions == [.close(.disconnected)])
        unable.prove(Self.proof)
        #expect(unable.actions.isEmpty)
    }
}
