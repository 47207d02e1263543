// The key `milters`: in the file, on one line, and what it refuses.
import Gateways
import Milter
import SMTP
import Testing

@testable import Server

@Suite struct MilterConfigurationTests {
    private func load(yaml: String) throws -> NodeConfiguration {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let path = scratch.path + "/site.yaml"
        try yaml.write(toFile: path, atomically: true, encoding: .utf8)
        let (configuration, _, mistakes) = ConfigurationSources(file: path).load()
        #expect(mistakes.isEmpty, "\(mistakes)")
        return configuration
    }

    private func load(_ text: String) -> (milters: [MilterOptions], mistakes: [ConfigurationMistake]) {
        let (configuration, _, mistakes) = ConfigurationSources(settings: ["milters=\(text)"]).load()
        return (configuration.milters, mistakes)
    }

    private var expected: [MilterOptions] {
        var first = MilterOptions(.tcp(host: "127.0.0.1", port: 11332))
        first.absence = .accept
        first.messageOctetsMax = 10 << 20
        var second = MilterOptions(.unix(path: "/run/opendkim/opendkim.sock"))
        second.timeout = .seconds(10)
        second.verdictTimeout = .seconds(300)
        second.dialects = [.submission, .lmtp]
        return [first, second]
    }

    @Test func inTheFile() throws {
        let configuration = try load(
            yaml: """
                milters:
                  - address: 127.0.0.1:11332
                    unavailable: accept
                    message-size: 10MiB
                  - address: unix:/run/opendkim/opendkim.sock
                    timeout: 10s
                    verdict-timeout: 5m
                    listeners: [submission, lmtp]
                """)
        #expect(configuration.milters == expected)
        #expect(try load(yaml: "milters: []").milters.isEmpty)
        #expect(try load(yaml: "milters: [127.0.0.1:1, unix:/a timeout=5s]").milters.count == 2)
    }

    /// What is printed is what can be given.
    @Test func onOneLine() {
        let text =
            "127.0.0.1:11332 unavailable=accept message-size=10MiB, "
            + "unix:/run/opendkim/opendkim.sock timeout=10s verdict-timeout=5m listeners=submission+lmtp"
        let (milters, mistakes) = load(text)
        #expect(milters == expected && mistakes.isEmpty)
        var configuration = NodeConfiguration()
        configuration.milters = milters
        let shown = configuration.listing.first { $0.key == "milters" }?.value ?? ""
        #expect(load(shown).milters == expected)
        #expect(configuration.gatewayOptions(storeDomain: nil).milters == expected)
        #expect(NodeConfiguration().gatewayOptions(storeDomain: nil).milters.isEmpty)
    }

    @Test func aReloadTakesThem() {
        var new = NodeConfiguration()
        new.milters = expected
        let reload = ConfigurationReload(from: NodeConfiguration(), to: new)
        #expect(reload.taken == ["milters"] && reload.waiting.isEmpty)
        #expect(reload.configuration.milters == expected)
    }

    @Test(
        arguments: [
            ("timeout=5s", "`address`"), ("127.0.0.1", "addresses such as"), ("127.0.0.1:0", "with a port"),
            ("127.0.0.1:1 timeout=soon", "`timeout` takes a time"), ("127.0.0.1:1 timeout=0s", "between"),
            ("127.0.0.1:1 verdict-timeout=9m", "between"), ("127.0.0.1:1 unavailable=maybe", "one of accept"),
            ("127.0.0.1:1 listeners=imap", "names of smtp, submission, lmtp"), ("127.0.0.1:1 colour=red", "not known"),
            ("127.0.0.1:1 message-size=large", "a size"),
        ])
    func mistakes(_ text: String, _ words: String) {
        let (milters, mistakes) = load(text)
        #expect(milters.isEmpty && mistakes.count == 1)
        #expect(mistakes.first?.text.contains(words) == true, "\(mistakes)")
    }

    @Test func tooMany() {
        let text = Array(repeating: "127.0.0.1:1", count: MilterLimits.filtersMax)
        #expect(load(text.joined(separator: ",")).milters.count == MilterLimits.filtersMax)
        #expect(load((text + ["127.0.0.1:1"]).joined(separator: ",")).mistakes.count == 1)
    }

    @Test func tablesAndWordsDoNotMix() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let path = scratch.path + "/site.yaml"
        for yaml in [
            "milters:\n  - address: 127.0.0.1:1\n  - 127.0.0.1:2\n", "milters:\n  - address: {a: b}\n",
            "milters:\n  - address: [[x]]\n", "milters:\n  address: 127.0.0.1:1\n",
        ] {
            try yaml.write(toFile: path, atomically: true, encoding: .utf8)
            #expect(ConfigurationSources(file: path).load().mistakes.count == 1, "\(yaml)")
        }
    }
}
