// The keys `sending.*`: what they take, and what they refuse.
import Delivery
import SMTP
import Testing

@testable import Server

@Suite struct SendingConfigurationTests {
    private func load(_ settings: String...) -> (configuration: NodeConfiguration, mistakes: Int) {
        let (configuration, _, mistakes) = ConfigurationSources(
            file: nil, environment: [:], settings: settings, store: "/nonexistent", listens: []
        ).load()
        return (configuration, mistakes.count)
    }

    @Test(
        "a smart host with and without its port",
        arguments: [
            ("relay.example.net", "relay.example.net", 25), ("Relay.Example.Net:587", "relay.example.net", 587),
            ("192.0.2.1:26", "192.0.2.1", 26), ("[2001:db8::1]:27", "2001:db8::1", 27),
            ("[2001:db8::1]", "2001:db8::1", 25),
        ])
    func smartHost(_ text: String, _ host: String, _ port: Int) {
        let (configuration, mistakes) = load("sending.smart-host=\(text)")
        #expect(mistakes == 0)
        #expect(configuration.sending.smartHost == host)
        #expect(configuration.sending.smartHostPort == port)
    }

    @Test(
        "what is no value",
        arguments: [
            "sending.smart-host=relay:x", "sending.smart-host=:25", "sending.smart-host=a@b", "sending.smart-host=[::1",
            "sending.smart-host=relay:70000", "sending.smart-host-tls=maybe", "sending.port=0",
            "sending.retry-first=0", "sending.recipients-per-hour=-1", "sending.smarthost=relay",
        ])
    func mistakes(_ setting: String) {
        #expect(load(setting).mistakes == 1)
    }

    @Test("a certificate is verified where TLS is required, unless the site says otherwise")
    func verification() throws {
        func host(_ settings: String...) throws -> (tls: SMTPClientTLS, implicit: Bool, verifies: Bool) {
            let all = ["sending.smart-host=relay.test"] + settings
            let (configuration, _, mistakes) = ConfigurationSources(
                file: nil, environment: [:], settings: all, store: "/nonexistent", listens: []
            ).load()
            #expect(mistakes.isEmpty)
            let options = try configuration.sending.options(hostName: "mx.test")
            let host = try #require(options.smartHost)
            return (host.tls, host.isImplicitTLS, host.verifies)
        }
        #expect(try host() == (.opportunistic, false, false))
        #expect(try host("sending.smart-host-tls=required") == (.required, false, true))
        #expect(try host("sending.smart-host-tls=implicit") == (.required, true, true))
        #expect(
            try host("sending.smart-host-tls=required", "sending.smart-host-verify=false") == (.required, false, false))
        #expect(try host("sending.smart-host-verify=true") == (.opportunistic, false, true))
    }
}
