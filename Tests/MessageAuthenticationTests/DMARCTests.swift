// Verdicts of DMARC over a made-up zone: policies found by walking the tree, alignment of what SPF and DKIM passed, and what
// may be said when the DNS did not answer.

import MailTypes
import Testing

@testable import MessageAuthentication

@Suite struct DMARCTests {
    private func verdict(
        _ zone: String, author: String = "mail.example.com", spf: String? = nil, dkim: [String] = []
    ) async -> DMARCVerdict {
        var check = DMARCCheck(names: Zone(zone))
        return await check.verdict(author: author, spf: spf, dkim: dkim)
    }

    @Test(
        "Alignment",
        arguments: [
            // The record, whom SPF passed for, who signed, what comes of it.
            ("v=DMARC1; p=reject", "mail.example.com", "", DMARCResult.pass),
            ("v=DMARC1; p=reject", "", "mail.example.com", .pass),
            ("v=DMARC1; p=reject", "example.com", "", .pass), ("v=DMARC1; p=reject", "other.example.com", "", .pass),
            ("v=DMARC1; p=reject", "example.net", "", .fail), ("v=DMARC1; p=reject", "badexample.com", "", .fail),
            ("v=DMARC1; p=reject", "", "", .fail), ("v=DMARC1; p=reject", "example.net", "x.example.com", .pass),
            ("v=DMARC1; p=reject; aspf=s", "example.com", "", .fail),
            ("v=DMARC1; p=reject; aspf=s", "mail.example.com", "", .pass),
            ("v=DMARC1; p=reject; adkim=s", "", "example.com", .fail),
            ("v=DMARC1; p=reject; adkim=s", "", "mail.example.com", .pass),
            ("v=DMARC1; p=reject; adkim=s", "example.com", "", .pass), ("v=DMARC1; p=reject", "com", "", .fail),
        ])
    func alignment(_ record: String, _ spf: String, _ dkim: String, _ expected: DMARCResult) async {
        let verdict = await verdict(
            "_dmarc.example.com TXT \(record)", spf: spf.isEmpty ? nil : spf, dkim: dkim.isEmpty ? [] : [dkim])
        #expect(verdict.result == expected)
        #expect(verdict.policy == (expected == .fail ? .reject : DMARCPolicy.none))
    }

    @Test(
        "Which policy applies",
        arguments: [
            ("_dmarc.example.com TXT v=DMARC1; p=none; sp=reject\nmail.example.com A 192.0.2.1", DMARCPolicy.reject),
            (
                "_dmarc.example.com TXT v=DMARC1; p=none; sp=quarantine; np=reject\nmail.example.com A 192.0.2.1",
                .quarantine
            ),
            ("_dmarc.example.com TXT v=DMARC1; p=none; sp=quarantine; np=reject", .reject),
            ("_dmarc.example.com TXT v=DMARC1; p=reject; t=y", .quarantine),
            ("_dmarc.example.com TXT v=DMARC1; p=quarantine; t=y", .none),
            (
                "_dmarc.mail.example.com TXT v=DMARC1; p=none; sp=reject\n_dmarc.example.com TXT v=DMARC1; p=reject",
                .none
            ),
            // Section 4.10.1: no policy, but reports are asked for.
            ("_dmarc.example.com TXT v=DMARC1; rua=mailto:a@example.com", .none),
            ("_dmarc.example.com TXT v=DMARC1; p=reject; sp=maybe; rua=mailto:a@example.com", .none),
            ("_dmarc.example.com TXT v=DMARC1 ; P=junk; p=REJECT; unknown=1; ;=;", .reject),
            ("_dmarc.com TXT v=DMARC1; p=reject; psd=y", .reject),
        ])
    func policies(_ zone: String, _ expected: DMARCPolicy) async {
        let verdict = await verdict(zone)
        #expect(verdict.result == .fail && verdict.policy == expected)
    }

    @Test(
        "Where there is no record that counts, DMARC has no say",
        arguments: [
            ("", DMARCResult.none), ("_dmarc.example.com TXT v=DMARC2; p=reject", .none),
            ("_dmarc.example.com TXT p=reject; v=DMARC1", .none), ("_dmarc.example.com TXT v=dmarc1; p=reject", .none),
            ("_dmarc.example.com TXT v=DMARC1; p=reject\n_dmarc.example.com TXT v=DMARC1; p=none", .none),
            ("_dmarc.example.com TXT v=DMARC1; sp=reject", .permerror),
        ])
    func noRecord(_ zone: String, _ expected: DMARCResult) async {
        #expect(await verdict(zone).result == expected)
    }

    @Test(
        "Organizations, by the examples of RFC 9989 section 4.10.2",
        arguments: [
            // Records, and whether b.mail.example.com and a.mail.example.com belong together; and whether example.com does.
            ("_dmarc.mail.example.com TXT v=DMARC1; p=reject\n_dmarc.example.com TXT v=DMARC1; p=reject", true, true),
            (
                "_dmarc.mail.example.com TXT v=DMARC1; p=reject; psd=n\n_dmarc.example.com TXT v=DMARC1; p=reject",
                true, false
            ),
            ("_dmarc.com TXT v=DMARC1; p=reject; psd=y", true, true),
            ("_dmarc.example.com TXT v=DMARC1; p=reject; psd=y", true, false),
            ("_dmarc.a.mail.example.com TXT v=DMARC1; p=reject; psd=n", false, false),
        ])
    func organizations(_ zone: String, _ withSibling: Bool, _ withParent: Bool) async {
        let author = "a.mail.example.com"
        #expect(
            await verdict(zone, author: author, dkim: ["b.mail.example.com"]).result == (withSibling ? .pass : .fail))
        #expect(await verdict(zone, author: author, dkim: ["example.com"]).result == (withParent ? .pass : .fail))
    }

    @Test("A walk asks eight questions at most, those of the RFC")
    func walk() async {
        let author = "a.b.c.d.e.f.g.h.i.j.mail.example.com"
        let zone = Zone("_dmarc.g.h.i.j.mail.example.com TXT v=DMARC1; p=reject")
        var check = DMARCCheck(names: zone)
        #expect(await check.verdict(author: author, spf: nil, dkim: []).policy == .reject)
        // And one for whether the author's domain exists.
        #expect(zone.questions == CheckLimits.dmarcWalkQueriesMax + 1)
        #expect(
            await verdict("_dmarc.f.g.h.i.j.mail.example.com TXT v=DMARC1; p=reject", author: author).result == .none)
    }

    @Test("No answer is a temporary error, which asks for nothing; but who passes already passes")
    func noAnswer() async {
        var check = DMARCCheck(names: Broken())
        let verdict = await check.verdict(author: "example.com", spf: nil, dkim: [])
        #expect(verdict.result == .temperror && verdict.policy == .none)
    }

    @Test("The author's domains are those of every From")
    func authors() async {
        func domains(_ header: String) -> [String] { inspected(mail(header + "\n\n")).authorDomains }
        #expect(domains("From: \"a@x.example\" <b@Y.Example.> (c@z.example)") == ["y.example"])
        #expect(domains("From: a@x.example, B <b@y.example>") == ["x.example", "y.example"])
        #expect(domains("From: a@x.example\nfrom : b@y.example") == ["x.example", "y.example"])
        #expect(domains("From: group: a@x.example, b@y.example;") == ["x.example", "y.example"])
        #expect(domains("From: nobody") == [])
        let many = (0..<9).map { "a@d\($0).example" }.joined(separator: ", ")
        #expect(domains("From: " + many).count == CheckLimits.authorDomainsMax + 1)
        // Both forms of a name are one domain (RFC 8616 section 6).
        #expect(domains("From: a@bücher.example, b@xn--bcher-kva.example") == ["xn--bcher-kva.example"])
        let idn = Zone("_dmarc.xn--bcher-kva.example TXT v=DMARC1; p=reject")
        #expect(await inspected(mail("From: a@bücher.example\n\n")).verdict(spf: nil, idn).isToBeRefused)
        // The strictest counts.
        let zone = Zone("_dmarc.x.example TXT v=DMARC1; p=none\n_dmarc.y.example TXT v=DMARC1; p=reject")
        let verdict = await inspected(mail("From: a@x.example, b@y.example\n\n")).verdict(spf: nil, zone)
        #expect(verdict.isToBeRefused && verdict.dmarc.domain == "y.example")
        let manyVerdict = await inspected(mail("From: \(many)\n\n")).verdict(spf: nil, zone)
        #expect(manyVerdict.dmarc.result == .permerror && manyVerdict.isToBeRefused)
        // As many as are asked are judged by what they say.
        let some = (0..<CheckLimits.authorDomainsMax).map { "a@d\($0).example" }.joined(separator: ", ")
        #expect(await !inspected(mail("From: \(some)\n\n")).verdict(spf: nil, zone).isToBeRefused)
    }

    @Test("A whole message: signed by its domain it passes, by another it does not")
    func wholeMessage() async {
        let policy = "\n_dmarc.football.example.com TXT v=DMARC1; p=reject"
        let message = inspected(mail(RFCMessages.rfc8463))
        #expect(await message.verdict(spf: nil, Zone(RFCMessages.rfc8463Keys + policy)).dmarc.result == .pass)
        #expect(await message.verdict(spf: nil, Zone(policy)).isToBeRefused)
    }

    @Test("What might have passed is no failure (RFC 7489 section 6.6.2); what could not have is one")
    func unansweredIdentifier() async {
        let message = inspected(mail(RFCMessages.rfc8463))
        let zone = Zone("_dmarc.football.example.com TXT v=DMARC1; p=reject")
        func spf(_ domain: String) -> SPFVerdict {
            SPFVerdict(result: .temperror, identity: .mailFrom, domain: domain, sender: "a@" + domain, reason: nil)
        }
        let aligned = await message.verdict(spf: spf("football.example.com"), zone)
        #expect(aligned.dmarc.result == .temperror && !aligned.isToBeRefused)
        #expect(await message.verdict(spf: spf("elsewhere.example"), zone).isToBeRefused)
    }
}

private struct Broken: MailNames {
    func texts(of name: String) async -> NameAnswer<[UInt8]> { .failed }
    func addresses(of name: String, isV6: Bool) async -> NameAnswer<IPAddress> { .failed }
    func exchangers(of name: String) async -> NameAnswer<String> { .failed }
    func pointers(of address: IPAddress) async -> NameAnswer<String> { .failed }
}
