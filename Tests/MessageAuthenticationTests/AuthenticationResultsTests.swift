import Testing

@testable import MessageAuthentication

@Suite struct AuthenticationResultsTests {
    private func text(_ verdict: MessageVerdict) -> String {
        String(decoding: AuthenticationResults.field(verdict, server: "mx.here.example"), as: UTF8.self)
    }

    @Test("What a field says")
    func field() {
        let verdict = MessageVerdict(
            spf: SPFVerdict(result: .pass, identity: .mailFrom, domain: "a.example", sender: "who@a.example"),
            dkim: [
                DKIMVerdict(
                    result: .pass, domain: "a.example", selector: "s1", mark: "AbC+/9==", algorithm: "rsa-sha256"),
                DKIMVerdict(
                    result: .permerror, domain: "", selector: "", mark: "", algorithm: "", reason: "no \"key\""),
            ], dmarc: DMARCVerdict(result: .fail, domain: "b.example", policy: .quarantine))
        #expect(
            text(verdict) == """
                Authentication-Results: mx.here.example;\r
                \tspf=pass smtp.mailfrom=who@a.example;\r
                \tdkim=pass header.d=a.example header.s=s1 header.a=rsa-sha256\r
                \theader.b="AbC+/9==";\r
                \tdkim=permerror reason="no \\"key\\"";\r
                \tdmarc=fail header.from=b.example policy.dmarc=quarantine\r

                """)
        let nothing = MessageVerdict(spf: nil, dkim: [], dmarc: DMARCVerdict(result: .none, domain: ""))
        #expect(text(nothing) == "Authentication-Results: mx.here.example;\r\n\tdkim=none;\r\n\tdmarc=none\r\n")
    }

    @Test(
        "What clients choose cannot leave its place",
        arguments: [
            "a b\r\nX: y", "\"q;\\\"@a.example", "(comment)@a.example", "a@b.example; dkim=pass", "é@é.example", "x=y",
        ])
    func quoting(_ sender: String) {
        let spf = SPFVerdict(result: .fail, identity: .helo, domain: "", sender: sender)
        let field = text(MessageVerdict(spf: spf, dkim: [], dmarc: DMARCVerdict(result: .none, domain: "")))
        let value = field.components("smtp.helo=")[1]
        #expect(value.hasPrefix("\"") || sender.utf8.contains(Ascii.at))
        // Nothing but its own folds begins a line.
        for line in field.split(separator: "\r\n").dropFirst() { #expect(line.hasPrefix("\t")) }
    }

    @Test(
        "Fields of our name are taken out, those of others stay",
        arguments: [
            ("Authentication-Results: mx.here.example; spf=pass", true),
            ("authentication-results : MX.here.Example;none", true),
            ("Authentication-Results:\n\t(a (nested \\) comment))\n mx.here.example (x) 1; spf=pass", true),
            ("Authentication-Results: \"mx.here.example\"; spf=pass", true),
            ("Authentication-Results: mx.here.example.; none", true),
            ("Authentication-Results: \"mx.\\here.example\"; spf=pass", true),
            ("Authentication-Results: mx.here.example", true),
            ("Authentication-Results: ; spf=pass", true), ("Authentication-Results:", true),
            ("Authentication-Results: mx.there.example 2; spf=pass", true),
            ("Authentication-Results: mx.there.example 1; none", false),
            ("Authentication-Results: mx.there.example; spf=pass", false),
            ("X-Authentication-Results: mx.here.example; none", false),
            ("Authentication-Results: amx.here.example; none", false), ("Subject: mx.here.example", false),
        ])
    func forged(_ field: String, _ isTaken: Bool) {
        let others = ("Received: x\n\ty\n", "Subject: z\n\nAuthentication-Results: mx.here.example; in the body\n")
        let header = mail(others.0 + field + "\n" + others.1)
        let kept = AuthenticationResults.removingForged(header, server: "mx.here.example")
        #expect(kept == (isTaken ? mail(others.0 + others.1) : header))
    }

    @Test("A field of ours that is longer than is read is taken out too")
    func long() {
        let comment = String(repeating: "(", count: CheckLimits.resultsOctetsMax)
        let header = mail("Authentication-Results: \(comment)\nSubject: z\n\n")
        #expect(AuthenticationResults.removingForged(header, server: "mx.here.example") == mail("Subject: z\n\n"))
    }
}

extension String {
    fileprivate func components(_ separator: String) -> [String] {
        var (parts, rest) = ([String](), self[...])
        while let range = rest.firstRange(of: separator) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}
