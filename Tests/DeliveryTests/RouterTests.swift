import SMTP
import Testing

@testable import Delivery

@Suite struct RouterTests {
    private func route(
        _ domain: String, _ resolver: TestResolver, own: String = "mx.example.test", requiresTLS: Bool = false
    ) async -> String {
        let router = Router(resolver: resolver, options: DeliveryOptions(hostName: own, draw: { 7 }))
        switch await router.route(to: domain, requiresTLS: requiresTLS) {
        case .hosts(let hops): return hops.map { "\($0.host):\($0.port)" }.joined(separator: " ")
        case .failed(let reply): return "\(reply.code) \(reply.enhanced?.description ?? "")"
        case .deferred: return "deferred"
        }
    }

    private func exchangers(_ list: (UInt16, String)...) -> TestResolver {
        TestResolver(exchangers: ["there.test": .found(list.map { MailExchanger(preference: $0.0, host: $0.1) })])
    }

    @Test func byPreference() async {
        #expect(await route("there.test", exchangers((20, "b"), (10, "a"), (30, "c"))) == "a:25 b:25 c:25")
    }

    @Test("a domain without MX is its own exchanger (RFC 5321 section 5.1)")
    func implicit() async {
        var resolver = TestResolver(exchangers: ["there.test": .noRecords])
        #expect(await route("there.test", resolver) == "550 5.1.2")
        resolver.addresses["there.test"] = .found(["192.0.2.1"])
        #expect(await route("there.test", resolver) == "there.test:25")
        resolver.addresses["there.test"] = .failed("x")
        #expect(await route("there.test", resolver) == "deferred")
    }

    @Test("null MX (RFC 7505)")
    func nullExchanger() async {
        #expect(await route("there.test", exchangers((0, ""))) == "556 5.1.10")
        // With others beside it, it says nothing.
        #expect(await route("there.test", exchangers((0, ""), (10, "a"))) == "a:25")
    }

    @Test("an exchanger does not hand mail to those behind it (RFC 5321 section 5.1)")
    func loops() async {
        #expect(await route("there.test", exchangers((10, "a"), (20, "me"), (30, "c")), own: "me") == "a:25")
        #expect(await route("there.test", exchangers((10, "me"), (20, "a")), own: "me") == "550 5.4.6")
        #expect(await route("there.test", exchangers((10, "a"), (10, "me")), own: "me") == "550 5.4.6")
    }

    @Test func failures() async {
        #expect(await route("nowhere.test", TestResolver()) == "550 5.1.2")
        #expect(await route("there.test", TestResolver(exchangers: ["there.test": .failed("SERVFAIL")])) == "deferred")
    }

    @Test("with REQUIRETLS a name has to be vouched for; where that cannot be told now, the message waits")
    func requireTLS() async {
        for (validation, expected) in [
            (DNSValidation.signed, "a:25"), (.unsigned, "550 5.7.30"), (.failed("SERVFAIL"), "deferred"),
        ] {
            var resolver = exchangers((10, "a"))
            resolver.validations["there.test"] = validation
            #expect(await route("there.test", resolver, requiresTLS: true) == expected)
            #expect(await route("there.test", resolver) == "a:25")
            // A signed domain without MX is its own exchanger.
            resolver.exchangers["there.test"] = .noRecords
            resolver.addresses["there.test"] = .found(["192.0.2.1"])
            let implicit = expected == "a:25" ? "there.test:25" : expected
            #expect(await route("there.test", resolver, requiresTLS: true) == implicit)
        }
        // What there is not is told as always.
        #expect(await route("nowhere.test", TestResolver(), requiresTLS: true) == "550 5.1.2")
        #expect(await route("there.test", exchangers((0, "")), requiresTLS: true) == "556 5.1.10")
        #expect(await route("[192.0.2.1]", TestResolver(), requiresTLS: true) == "192.0.2.1:25")
    }

    @Test func literals() async {
        #expect(await route("[192.0.2.1]", TestResolver()) == "192.0.2.1:25")
        #expect(await route("[IPv6:2001:db8::1]", TestResolver()) == "2001:db8::1:25")
    }

    @Test func manyHosts() async {
        let all = TestResolver(exchangers: [
            "there.test": .found((0..<60).map { MailExchanger(preference: 1, host: "h\($0)") })
        ])
        #expect(await route("there.test", all).split(separator: " ").count == DeliveryLimits.hostsPerAttemptMax)
    }

    @Test func smartHost() async {
        var options = DeliveryOptions(hostName: "me", draw: { 0 })
        options.smartHost = SmartHost(host: "relay.test", port: 587)
        let router = Router(resolver: TestResolver(), options: options)
        guard case .hosts(let hops) = await router.route(to: "nowhere.test") else {
            Issue.record("no hosts")
            return
        }
        #expect(hops == [NextHop(host: "relay.test", port: 587)])
        #expect(router.destination(of: "a.test") == router.destination(of: "b.test"))
    }

    @Test(
        "names as the DNS writes them",
        arguments: [
            ([3, 119, 119, 119, 4, 116, 101, 115, 116, 0], "www.test"), ([0], ""), ([1, 65, 0], "a"), ([], ""),
        ] as [([UInt8], String)])
    func wireNames(_ bytes: [UInt8], _ name: String) {
        #expect(WireName.text(bytes) == name)
    }

    @Test(
        "what is no host name",
        arguments: [
            [3, 119], [1, 0x20, 0], [64] + [UInt8](repeating: 97, count: 64) + [0], [1, 97], [0, 1], [2, 97, 46, 0],
        ] as [[UInt8]])
    func badWireNames(_ bytes: [UInt8]) {
        #expect(WireName.text(bytes) == nil)
    }
}
