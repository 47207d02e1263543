// DKIM both ways: the messages of the RFCs, what we sign ourselves, and every way in which a signature or a key can be of no
// use. Keys are made anew in each run.
import Digests
import Octets
import Testing

@testable import MessageAuthentication

@Suite struct DKIMTests {
    private static let domain = "football.example.com"
    private static let rsa = DKIMSigner(domain: domain, selector: "r", key: .generate(.rsa))
    private static let ed = DKIMSigner(domain: domain, selector: "e", key: .generate(.ed25519))
    private static var keys: String {
        [rsa, ed].map { "\($0.selector)._domainkey.\(domain) TXT \(DKIMKeyRecord.text($0.key.verifyingKey))" }
            .joined(separator: "\n")
    }
    private static let now: Int64 = 1_528_637_909

    private func signed(_ message: [UInt8], _ signers: [DKIMSigner], piece: Int = 50) -> [UInt8] {
        var signing = MessageSigning()
        for start in stride(from: 0, to: message.count, by: piece) {
            signing.update(Array(message[start..<min(start + piece, message.count)]))
        }
        return signing.finish(signers, now: Self.now) + message
    }

    private func results(_ message: [UInt8], _ zone: String = keys, now: Int64 = now) async -> [DKIMResult] {
        await inspected(message, now: now).verify(Zone(zone)).map(\.result)
    }

    @Test("The message of RFC 6376 appendix A verifies, in pieces of any size", arguments: [1, 7, 10_000])
    func rfc6376(_ piece: Int) async {
        let verdicts = await inspected(mail(RFCMessages.rfc6376), piece: piece).verify(Zone(RFCMessages.rfc6376Key))
        #expect(verdicts.map(\.result) == [.pass], "\(verdicts)")
        #expect(verdicts.first?.domain == "example.com")
    }

    @Test("The message of RFC 8463 appendix A verifies with both algorithms")
    func rfc8463() async {
        let verdicts = await inspected(mail(RFCMessages.rfc8463)).verify(Zone(RFCMessages.rfc8463Keys))
        #expect(verdicts.map(\.result) == [.pass, .pass])
        #expect(verdicts.map(\.algorithm) == ["ed25519-sha256", "rsa-sha256"])
        #expect(verdicts.map(\.mark) == ["/gCrinpc", "F45dVWDf"])
    }

    @Test("What we sign verifies; a change to body, to a signed field, or one more of it does not")
    func ours() async {
        let letter = mail(RFCMessages.letter)
        let good = signed(letter, [Self.rsa, Self.ed])
        #expect(await results(good) == [.pass, .pass])
        #expect(good == good && signed(letter, [Self.ed], piece: 1) == signed(letter, [Self.ed], piece: 10_000))
        for line in String(decoding: good, as: UTF8.self).split(separator: "\r\n") { #expect(line.utf8.count <= 78) }
        let text = String(decoding: good, as: UTF8.self)
        let changes = [
            text.replacingFirst("We lost", "We won"), text.replacingFirst("Is dinner", "Was dinner"),
            text.replacingFirst("To: Suzie", "To: Another"), "Subject: Again\r\n" + text,
            "From: x@x.example\r\n" + text,
            "Reply-To: x@x.example\r\n" + text, "Content-Type: text/html\r\n" + text, text + "More\r\n",
        ]
        for change in changes { #expect(await results(Array(change.utf8)) == [.fail, .fail], "\(change.prefix(60))") }
        // What happens to mail on its way.
        let harmless = [
            "Received: from a by b; Fri, 11 Jul 2003 21:01:54 -0700\r\n" + text,
            text.replacingFirst("Subject: Is dinner", "subject:  Is\r\n\tdinner"), text + "\r\n\r\n",
            text.replacingFirst("We lost the game. Are", "We lost \t the game. Are"),
        ]
        for change in harmless { #expect(await results(Array(change.utf8)) == [.pass, .pass], "\(change.prefix(60))") }
    }

    @Test("A message without From, or with a header beyond the limits, is not signed")
    func unsigned() {
        var signing = MessageSigning()
        signing.update(mail("Subject: x\n\nbody\n"))
        #expect(signing.finish([Self.ed], now: Self.now).isEmpty)
        let many = String(repeating: "X: y\n", count: CheckLimits.headerFieldsMax)
        signing = MessageSigning()
        signing.update(mail("From: a@b.example\n" + many + "\nbody\n"))
        #expect(signing.finish([Self.ed], now: Self.now).isEmpty)
    }

    @Test(
        "Keys",
        arguments: [
            ("", DKIMResult.permerror), ("v=DKIM1; k=ed25519; p=", .fail), ("v=DKIM2; k=ed25519; p=KEY", .permerror),
            ("k=ed25519; v=DKIM1; p=KEY", .permerror), ("k=ed25519; p=KEY", .pass), ("p=KEY", .permerror),
            ("v=DKIM1; k=ed25519; h=sha1; p=KEY", .permerror), ("v=DKIM1; k=ed25519; h=sha1:sha256; p=KEY", .pass),
            ("v=DKIM1; k=ed25519; s=tlsrpt; p=KEY", .permerror), ("v=DKIM1; k=ed25519; s=email; p=KEY", .pass),
            ("v=DKIM1; k=ed25519; p=KEY; p=KEY", .permerror), ("v=DKIM1; k=ed25519; n=what; x=y; p=KEY;", .pass),
            ("v=DKIM1; k=ed25519; p=AAAA", .permerror), ("junk", .permerror), ("v=DKIM1; k=ed25519; t=s; p=KEY", .pass),
        ])
    func keyRecords(_ record: String, _ expected: DKIMResult) async {
        let key = Base64.encode(Self.ed.key.verifyingKey.published)
        let zone =
            "e._domainkey.football.example.com TXT " + record.replacingFirst("KEY", key).replacingFirst("KEY", key)
        let message = signed(mail(RFCMessages.letter), [Self.ed])
        #expect(await results(message, record.isEmpty ? "" : zone) == [expected])
    }

    @Test("A key in testing turns a failure into nothing; no answer is a temporary error; short keys do not count")
    func moreKeys() async {
        let message = Array(
            String(decoding: signed(mail(RFCMessages.letter), [Self.ed]), as: UTF8.self)
                .replacingFirst("Is dinner", "Was dinner").utf8)
        let key = Base64.encode(Self.ed.key.verifyingKey.published)
        #expect(
            await results(message, "e._domainkey.football.example.com TXT k=ed25519; t=y; p=\(key)") == [.neutral])
        let short = DKIMSigner(domain: "b.example", selector: "s", key: .generate(.rsa, bits: 768))
        let zone = "s._domainkey.b.example TXT " + DKIMKeyRecord.text(short.key.verifyingKey)
        #expect(await results(signed(mail(RFCMessages.letter), [short]), zone) == [.policy])
        let broken = DKIMSigner(domain: "b.example", selector: "broken", key: Self.ed.key)
        #expect(await results(signed(mail(RFCMessages.letter), [broken]), "") == [.temperror])
    }

    @Test(
        "Signatures that cannot be verified",
        arguments: [
            ("a=ed25519-sha256", "a=rsa-sha1", DKIMResult.policy), ("a=ed25519-sha256", "a=dsa-sha256", .policy),
            ("v=1;", "v=2;", .permerror), ("v=1;", "v=1; v=1;", .permerror), ("v=1;", "v=1; ;", .permerror),
            ("c=relaxed/relaxed", "c=nofws", .permerror), ("d=football.example.com", "d=example", .permerror),
            ("d=football.example.com", "d=football..com", .permerror), ("t=1528637909;", "x=1528637908;", .fail),
            ("t=1528637909;", "t=1528639999;", .fail), ("t=1528637909;", "t=5; x=4;", .permerror),
            ("t=1528637909;", "t=now;", .permerror), ("t=1528637909;", "i=a@b.example;", .permerror),
            ("t=1528637909;", "q=http;", .permerror), ("t=1528637909;", "l=-1;", .permerror),
            ("h=from:", "h=form:", .permerror),
            ("bh=", "bh=?", .permerror), ("t=1528637909;", "l=99999999999999999999;", .fail),
            ("t=1528637909;", "i=x@a.football.example.com;", .fail),
        ])
    func problems(_ old: String, _ new: String, _ expected: DKIMResult) async {
        // The name in h= that stands for From stands once more at its end.
        var text = String(decoding: signed(mail(RFCMessages.letter), [Self.ed]), as: UTF8.self)
        #expect(text.contains(old))
        text = text.replacingFirst(old, new)
        if old == "h=from:" { text = text.replacingFirst(" from:", " form:") }
        #expect(await results(Array(text.utf8)) == [expected])
    }

    @Test("A signature over the beginning of a body is no pass when more follows")
    func partialBody() async {
        // Signed by hand, with l=.
        let names = ["from"]
        var hasher = BodyHasher(.simple, octetsMax: 4)
        hasher.update(mail("ab\n"))
        let hash = Base64.encode(hasher.finish()!.bytes)
        let own = "DKIM-Signature: v=1; a=ed25519-sha256; d=football.example.com; s=e; l=4; h=from; bh=\(hash); b="
        let header = SignedHeader(mail("From: a@b.example\n"))!
        let digest = header.digest(names, .simple, own: Array(own.utf8))
        let field = own + Base64.encode(Self.ed.key.sign(digest.bytes)) + "\n"
        #expect(await results(mail(field + "From: a@b.example\n\nab\n")) == [.pass])
        #expect(await results(mail(field + "From: a@b.example\n\nab\n\n\n")) == [.pass])
        #expect(await results(mail(field + "From: a@b.example\n\nab\nbuy this\n")) == [.policy])
        #expect(await results(mail(field + "From: a@b.example\n\na\n")) == [.fail])
    }

    @Test("Limits: signatures, header, fields, the length of a signature, names in h=, tags")
    func limits() async {
        let many = signed(mail(RFCMessages.letter), Array(repeating: Self.ed, count: 20))
        let zone = Zone(Self.keys)
        let verdicts = await inspected(many).verify(zone)
        #expect(verdicts.count == CheckLimits.signaturesMax && zone.questions == 1)
        let long = mail("X: " + String(repeating: "a", count: CheckLimits.headerOctetsMax) + "\n")
        let unread = inspected(long + many)
        #expect(unread.header == nil && unread.headerOctets > CheckLimits.headerOctetsMax)
        #expect(await unread.verify(zone).isEmpty)
        let text = String(decoding: signed(mail(RFCMessages.letter), [Self.ed]), as: UTF8.self)
        let padding = String(repeating: "y", count: CheckLimits.signatureOctetsMax)
        let changes = [
            text.replacingFirst("v=1;", "v=1; z=\(padding);"),
            text.replacingFirst(
                "h=from:", "h=from:" + String(repeating: "x:", count: CheckLimits.signedFieldsMax)),
            text.replacingFirst(
                "v=1;", "v=1; " + (0...CheckLimits.tagsMax).map { "z\($0)=1; " }.joined()),
        ]
        for change in changes { #expect(await results(Array(change.utf8)) == [.permerror]) }
    }

    @Test("The line for a zone holds strings of at most 255 octets")
    func zoneLine() {
        let line = DKIMKeyRecord.zoneLine(domain: "b.example", selector: "s1", Self.rsa.key.verifyingKey)
        #expect(line.hasPrefix("s1._domainkey.b.example. IN TXT ( \"v=DKIM1; k=rsa; p=MIIB"))
        for string in line.split(separator: "\"") { #expect(string.utf8.count <= 255) }
        let ed = DKIMKeyRecord.zoneLine(domain: "b.example", selector: "e", Self.ed.key.verifyingKey)
        #expect(ed.hasPrefix("e._domainkey.b.example. IN TXT \"v=DKIM1; k=ed25519; p=") && ed.hasSuffix("=\""))
    }
}

extension String {
    func replacingFirst(_ old: String, _ new: String) -> String {
        let (text, old) = (Array(utf8), Array(old.utf8))
        guard !old.isEmpty, text.count >= old.count,
            let start = (0...(text.count - old.count)).first(where: { text[$0..<($0 + old.count)].elementsEqual(old) })
        else { return self }
        return String(decoding: text[..<start] + Array(new.utf8) + text[(start + old.count)...], as: UTF8.self)
    }
}
