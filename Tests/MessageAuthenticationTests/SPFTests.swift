// check_host() over a zone in memory: the examples of RFC 7208, and tables written from its text for the grammar, the limits
// and the errors.
import MailTypes
import Testing

@testable import MessageAuthentication

@Suite struct SPFTests {
    /// The zone of RFC 7208 appendix A; `www` is asked for at the name that it is another name of.
    private static let appendix = """
        example.com MX mail-a.example.com
        example.com MX mail-b.example.com
        example.com A 192.0.2.10
        example.com A 192.0.2.11
        amy.example.com A 192.0.2.65
        bob.example.com A 192.0.2.66
        mail-a.example.com A 192.0.2.129
        mail-b.example.com A 192.0.2.130
        example.org MX mail-c.example.org
        mail-c.example.org A 192.0.2.140
        192.0.2.10 PTR example.com
        192.0.2.65 PTR amy.example.com
        192.0.2.66 PTR bob.example.com
        192.0.2.129 PTR mail-a.example.com
        192.0.2.130 PTR mail-b.example.com
        192.0.2.140 PTR mail-c.example.org
        10.0.0.4 PTR bob.example.com
        mary.mobile-users._spf.example.com A 127.0.0.2
        fred.mobile-users._spf.example.com A 127.0.0.2
        15.15.168.192.joel.remote-users._spf.example.com A 127.0.0.2
        mobile-users._spf.example.com TXT v=spf1 exists:%{l1r+}.%{d}
        remote-users._spf.example.com TXT v=spf1 exists:%{ir}.%{l1r+}.%{d}
        ip4._spf.example.com TXT v=spf1 -ip4:192.0.2.0/24 +all
        ptr._spf.example.com TXT v=spf1 -ptr:example.com +all

        """

    private func verdict(
        _ record: String, _ client: String, sender: String? = "who@example.com", helo: String = "mta.example.net",
        _ zone: String = appendix
    ) async -> SPFVerdict {
        let lines = record.isEmpty ? "" : "example.com TXT \(record)\n"
        return await SPFQuestion(
            client: IPAddress(client)!, sender: sender.flatMap { Address($0) }, helo: helo,
            receiver: "mx.here.example", now: 1_000
        ).verdict(Zone(lines + zone), explains: true)
    }

    @Test(
        "RFC 7208 appendix A",
        arguments: [
            ("v=spf1 +all", "203.0.113.9", SPFResult.pass), ("v=spf1 a -all", "192.0.2.10", .pass),
            ("v=spf1 a -all", "192.0.2.11", .pass), ("v=spf1 a -all", "192.0.2.65", .fail),
            ("v=spf1 a:example.org -all", "192.0.2.140", .fail), ("v=spf1 mx -all", "192.0.2.129", .pass),
            ("v=spf1 mx -all", "192.0.2.130", .pass), ("v=spf1 mx -all", "192.0.2.10", .fail),
            ("v=spf1 mx:example.org -all", "192.0.2.140", .pass),
            ("v=spf1 mx mx:example.org -all", "192.0.2.140", .pass),
            ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.131", .pass),
            ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.143", .pass),
            ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.144", .fail), ("v=spf1 ptr -all", "192.0.2.65", .pass),
            ("v=spf1 ptr -all", "192.0.2.140", .fail), ("v=spf1 ptr -all", "10.0.0.4", .fail),
            ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.65", .fail),
            ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.129", .pass),
            // A.4: De Morgan.
            ("v=spf1 -include:ip4._spf.%{d} -include:ptr._spf.%{d} +all", "192.0.2.65", .pass),
            ("v=spf1 -include:ip4._spf.%{d} -include:ptr._spf.%{d} +all", "192.0.2.140", .fail),
            ("v=spf1 -include:ip4._spf.%{d} -include:ptr._spf.%{d} +all", "10.0.0.4", .fail),
        ])
    func appendixA(_ record: String, _ client: String, _ expected: SPFResult) async {
        #expect(await verdict(record, client).result == expected)
    }

    @Test(
        "RFC 7208 section A.3: users and their hosts",
        arguments: [
            ("mary@example.com", "203.0.113.1", SPFResult.pass), ("jim+mary@example.com", "203.0.113.1", .fail),
            ("fred+list@example.com", "203.0.113.1", .pass), ("joel@example.com", "192.168.15.15", .pass),
            ("joel@example.com", "192.168.15.16", .fail),
        ])
    func users(_ sender: String, _ client: String, _ expected: SPFResult) async {
        let record = "v=spf1 mx include:mobile-users._spf.%{d} include:remote-users._spf.%{d} -all"
        // `l1r+` takes the leftmost part between plus signs.
        #expect(await verdict(record, client, sender: sender).result == expected)
    }

    @Test(
        "RFC 7208 section 7.4: macros",
        arguments: [
            ("%{s}", "strong-bad@email.example.com"), ("%{o}", "email.example.com"), ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"), ("%{d3}", "email.example.com"), ("%{d2}", "example.com"), ("%{d1}", "com"),
            ("%{dr}", "com.example.email"), ("%{d2r}", "example.email"), ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"), ("%{lr-}", "bad.strong"), ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
            ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
            (
                "%{c} %{h} %{r} %{t} %{p} 100%% a%_b%-c",
                "192.0.2.3 helo.example mx.here.example 1000 mx.example.org 100% a b%20c"
            ),
            ("%{S} %{L}", "strong-bad%40email.example.com strong-bad"),
        ])
    func macros(_ text: String, _ expected: String) async {
        let zone = """
            email.example.com TXT v=spf1 -all exp=why.example.com
            why.example.com TXT \(text)
            192.0.2.3 PTR mx.example.org
            mx.example.org A 192.0.2.3

            """
        let verdict = await verdict("", "192.0.2.3", sender: "strong-bad@email.example.com", helo: "helo.example", zone)
        #expect(verdict.result == .fail && verdict.explanation == expected)
    }

    @Test("The IPv6 example of section 7.4")
    func macrosV6() async {
        let name =
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
        let zone = "email.example.com TXT v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all\n\(name) A 127.0.0.2\n"
        let sender = "a@email.example.com"
        #expect(await verdict("", "2001:db8::cb01", sender: sender, zone).result == .pass)
        #expect(await verdict("", "2001:db8::cb02", sender: sender, zone).result == .fail)
    }

    @Test(
        "Qualifiers, defaults and IPv6",
        arguments: [
            ("v=spf1", "192.0.2.1", SPFResult.neutral), ("v=spf1 ~all", "192.0.2.1", .softfail),
            ("v=spf1 ?all", "192.0.2.1", .neutral), ("V=SPF1 -ALL", "192.0.2.1", .fail),
            ("v=spf10 -all", "192.0.2.1", .none),
            ("v=spf1 -all moo=%{d}", "192.0.2.1", .fail), ("v=spf1   a    -all  ", "192.0.2.10", .pass),
            ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::1", .pass),
            ("v=spf1 ip6:2001:db8::/32 -all", "2001:db9::1", .fail),
            ("v=spf1 ip4:192.0.2.77/24 -all", "192.0.2.3", .pass), ("v=spf1 ip4:0.0.0.0/0 -all", "2001:db8::1", .fail),
            ("v=spf1 ip4:192.0.2.1 -all", "::ffff:192.0.2.1", .pass), ("v=spf1 a//64 -all", "2001:db8::1", .fail),
            ("v=spf1 a/24//64 -all", "192.0.2.200", .pass),
        ])
    func results(_ record: String, _ client: String, _ expected: SPFResult) async {
        #expect(await verdict(record, client).result == expected)
    }

    @Test(
        "One mistake anywhere makes the whole record an error",
        arguments: [
            "v=spf1 +all moo", "v=spf1 +all all:x.example", "v=spf1 +all include", "v=spf1 +all include:",
            "v=spf1 +all a:", "v=spf1 +all a/33", "v=spf1 +all a//129", "v=spf1 +all a/", "v=spf1 +all a/08",
            "v=spf1 +all mx/24/64",
            "v=spf1 +all ip4", "v=spf1 +all ip4:192.0.2", "v=spf1 +all ip4:192.0.2.1/33", "v=spf1 +all ip4:2001:db8::1",
            "v=spf1 +all ip6:192.0.2.1", "v=spf1 +all ip6:2001:db8::1/129", "v=spf1 +all exists",
            "v=spf1 +all exists:a.1",
            "v=spf1 +all redirect=a.example redirect=b.example", "v=spf1 +all exp=a.example exp=b.example",
            "v=spf1 +all redirect=", "v=spf1 +all a:%{x}.example", "v=spf1 +all a:%{d0}.example",
            "v=spf1 +all a:%(d).example",
            "v=spf1 +all a:%{d", "v=spf1 +all a:100%", "v=spf1 +all exists:%{c}.example", "v=spf1 +all -all=x y",
            "v=spf1 +all a:x",
            "v=spf1 +all +-all", "v=spf1 +all foo=%x",
        ])
    func mistakes(_ record: String) async {
        #expect(await verdict(record, "192.0.2.1").result == .permerror)
    }

    @Test("Who has no record, two, or no answer; who has no name")
    func selection() async {
        #expect(await verdict("", "192.0.2.1", sender: "a@nowhere.example").result == .none)
        #expect(await verdict("v=spf1 -all\nexample.com TXT v=spf1 +all", "192.0.2.1").result == .permerror)
        #expect(await verdict("other\nexample.com TXT v=spf1 -all", "192.0.2.1").result == .fail)
        #expect(await verdict("", "192.0.2.1", sender: "a@broken.example").result == .temperror)
        #expect(await verdict("v=spf1 a:broken.example -all", "192.0.2.1").result == .temperror)
        #expect(await verdict("v=spf1 include:broken.example -all", "192.0.2.1").result == .temperror)
        #expect(await verdict("v=spf1 -all", "192.0.2.1", sender: "a@[192.0.2.1]").result == .none)
        #expect(await verdict("v=spf1 -all", "192.0.2.1", sender: "a@localhost").result == .none)
        // The null path: HELO speaks (section 2.4).
        let null = await verdict("v=spf1 -all", "192.0.2.1", sender: nil, helo: "example.com")
        #expect(null.result == .fail && null.identity == .helo && null.domain == "example.com")
        #expect(await verdict("v=spf1 -all", "192.0.2.1", sender: nil, helo: "[192.0.2.1]").result == .none)
    }

    @Test("include and redirect")
    func others() async {
        let zone =
            Self.appendix + """
                pass.example TXT v=spf1 ip4:192.0.2.1 -all
                loop.example TXT v=spf1 include:loop.example -all
                turn.example TXT v=spf1 redirect=turn.example
                said.example TXT v=spf1 -all exp=text.said.example
                text.said.example TXT said

                """
        #expect(await verdict("v=spf1 include:pass.example ~all", "192.0.2.1", zone).result == .pass)
        #expect(await verdict("v=spf1 include:pass.example ~all", "192.0.2.2", zone).result == .softfail)
        #expect(await verdict("v=spf1 include:none.example ~all", "192.0.2.2", zone).result == .permerror)
        #expect(await verdict("v=spf1 redirect=pass.example", "192.0.2.2", zone).result == .fail)
        #expect(await verdict("v=spf1 redirect=none.example", "192.0.2.2", zone).result == .permerror)
        #expect(await verdict("v=spf1 redirect=pass.example ?all", "192.0.2.1", zone).result == .neutral)
        let redirected = await verdict("v=spf1 redirect=said.example exp=none.example", "192.0.2.2", zone)
        #expect(redirected.result == .fail && redirected.explanation == "said")
        #expect(await verdict("v=spf1 -include:said.example -all", "192.0.2.2", zone).explanation == nil)
        // Loops end at the limit.
        for record in ["v=spf1 include:loop.example", "v=spf1 redirect=turn.example"] {
            let verdict = await verdict(record, "192.0.2.2", zone)
            #expect(verdict.result == .permerror && verdict.reason == "too many lookups")
        }
    }

    @Test("Limits: lookups, lookups that find nothing, exchangers, pointers, terms, octets, what a macro grows to")
    func limits() async {
        let ten = (0..<10).map { "a:a\($0).example" }.joined(separator: " ")
        let found = (0..<12).map { "a\($0).example A 203.0.113.1\n" }.joined()
        #expect(await verdict("v=spf1 \(ten) -all", "192.0.2.2", found).result == .fail)
        #expect(await verdict("v=spf1 \(ten) a:a10.example -all", "192.0.2.2", found).result == .permerror)
        #expect(await verdict("v=spf1 a:x.example a:y.example -all", "192.0.2.2").result == .fail)
        let void = await verdict("v=spf1 a:x.example a:y.example mx:z.example -all", "192.0.2.2")
        #expect(void.result == .permerror && void.reason == "too many lookups that found nothing")
        let hosts = found + (0..<11).map { "many.example MX a\($0).example\n" }.joined()
        #expect(await verdict("v=spf1 mx:many.example -all", "192.0.2.2", hosts).result == .permerror)
        let pointers = (0..<12).map {
            "192.0.2.2 PTR p\($0).example.com\np\($0).example.com A 192.0.2.\($0 < 10 ? 1 : 2)\n"
        }
        #expect(await verdict("v=spf1 ptr -all", "192.0.2.2", pointers.joined()).result == .fail)
        let terms = String(repeating: " ip4:10.0.0.1", count: CheckLimits.spfTermsMax)
        #expect(await verdict("v=spf1" + terms, "192.0.2.2").result == .neutral)
        #expect(await verdict("v=spf1" + terms + " a", "192.0.2.2").result == .permerror)
        let long = String(repeating: "x", count: CheckLimits.recordOctetsMax)
        #expect(await verdict("v=spf1 moo=" + long, "192.0.2.2").result == .permerror)
        // A bomb of macros is no name, and matches nothing; one that is merely long loses labels on the left.
        let bomb = String(repeating: "%{s}.", count: 700) + "example.com"
        #expect(await verdict("v=spf1 exists:\(bomb) -all", "192.0.2.2").result == .fail)
        let labels = String(repeating: "%{d}.", count: 30)
        let kept = Array(repeating: "example.com", count: 21).joined(separator: ".")
        let zone = "\(kept) A 127.0.0.2\n"
        #expect(kept.utf8.count == 251)
        #expect(await verdict("v=spf1 exists:\(labels)%{d} -all", "192.0.2.2", zone).result == .pass)
        #expect(
            await verdict(
                "v=spf1 exists:%{p}.%{p}.x.example -all", "192.0.2.2", "unknown.unknown.x.example A 127.0.0.1\n"
            ).result == .pass)
    }

    @Test("Domains in other scripts are asked about by their A-labels (RFC 8616 section 4)")
    func otherScripts() async {
        let zone =
            "xn--bcher-kva.example TXT v=spf1 exists:%{d}.x.example -all\nxn--bcher-kva.example.x.example A 127.0.0.2\n"
        for domain in ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example"] {
            let verdict = await verdict("", "192.0.2.1", sender: "jo@" + domain, zone)
            #expect(verdict.result == .pass && verdict.domain == "xn--bcher-kva.example")
        }
        #expect(await verdict("", "192.0.2.1", sender: "jo@☃.example").result == .none)
        // A local part that is not in ASCII matches nothing where it is asked for, and is no mistake of the record.
        for record in [
            "v=spf1 exists:%{l}.x.example ~all", "v=spf1 include:%{s} ~all", "v=spf1 a:%{l}.example.com ~all",
        ] {
            #expect(await verdict(record, "192.0.2.1", sender: "jö@example.com").result == .softfail)
        }
        #expect(await verdict("v=spf1 ip4:192.0.2.1 -all", "192.0.2.1", sender: "jö@example.com").result == .pass)
    }

    @Test("Nobody is asked for an explanation that nobody reads")
    func unexplained() async {
        let zone = Zone("example.com TXT v=spf1 -all exp=why.example.com\nwhy.example.com TXT because\n")
        let question = SPFQuestion(
            client: IPAddress("192.0.2.1")!, sender: Address("who@example.com"), helo: "mta.example.net",
            receiver: "mx.here.example", now: 1_000)
        #expect(await question.verdict(zone, explains: true).explanation == "because")
        let verdict = await question.verdict(zone)
        #expect(verdict.result == .fail && verdict.explanation == nil)
    }

    @Test("An explanation that is not ASCII, or longer than fits, is left out or cut")
    func explanations() async {
        let zone = "why.example TXT grüße\nlong.example TXT \(String(repeating: "x", count: 900))\n"
        #expect(await verdict("v=spf1 -all exp=why.example", "192.0.2.2", zone).explanation == nil)
        let cut = await verdict("v=spf1 -all exp=long.example", "192.0.2.2", zone).explanation
        #expect(cut?.count == CheckLimits.spfExplanationOctetsMax)
        #expect(await verdict("v=spf1 -all exp=broken.example", "192.0.2.2", zone).explanation == nil)
    }
}
