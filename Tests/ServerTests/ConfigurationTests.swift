// Mistakes in the configuration and where they are said to be; which source overrides which; what a reload takes.
import Gateways
import MailTypes
import Testing

@testable import Server

struct ConfigurationTests {
    /// A file, and the mistakes that must be found in it: line, key, and words of the text.
    struct Mistaken: Sendable, CustomTestStringConvertible {
        var yaml: String
        var expected: [(line: Int?, key: String?, words: String)]
        var testDescription: String { yaml }
    }

    static let mistaken: [Mistaken] = [
        Mistaken(yaml: "domian: example.test", expected: [(1, "domian", "`domain`")]),
        Mistaken(yaml: "\n\nlimits:\n  conections: 5\n", expected: [(4, "limits.conections", "no key")]),
        Mistaken(yaml: "limits: 5", expected: [(1, "limits", "table of keys")]),
        Mistaken(yaml: "limits:\n  connections: many\n", expected: [(2, "limits.connections", "whole number")]),
        Mistaken(yaml: "limits:\n  connections: 0\n", expected: [(2, "limits.connections", "between 1 and")]),
        Mistaken(yaml: "limits:\n  connections: [1, 2]\n", expected: [(2, "limits.connections", "not a list")]),
        Mistaken(yaml: "limits:\n  message-size: 50 furlongs\n", expected: [(2, "limits.message-size", "a size")]),
        Mistaken(yaml: "limits:\n  smtp-timeout: 5 parsecs\n", expected: [(2, "limits.smtp-timeout", "a time")]),
        Mistaken(yaml: "listeners:\n  smtp: 127.0.0.1\n", expected: [(2, "listeners.smtp", "addresses such as")]),
        Mistaken(yaml: "listeners:\n  gopher: 127.0.0.1:70\n", expected: [(2, "listeners.gopher", "no key")]),
        Mistaken(yaml: "listeners:\n  smtp: [[1]]\n", expected: [(2, "listeners.smtp", "single values")]),
        Mistaken(yaml: "domain: a@b\n", expected: [(1, "domain", "a domain")]),
        Mistaken(yaml: "maildir:\n  enabled: perhaps\n", expected: [(2, "maildir.enabled", "true or false")]),
        Mistaken(yaml: "log:\n  format: prose\n", expected: [(2, "log.format", "auto, text, json")]),
        Mistaken(
            yaml: "accounts:\n  mailboxes:\n    Bin: rubbish\n", expected: [(2, "accounts.mailboxes", "special use")]),
        Mistaken(
            yaml: "accounts:\n  mailboxes: {A: sent, B: sent}\n", expected: [(2, "accounts.mailboxes", "twice")]),
        Mistaken(yaml: "accounts:\n  roles: [\"a@b\"]\n", expected: [(2, "accounts.roles", "local parts")]),
        Mistaken(yaml: "- a\n- b\n", expected: [(1, nil, "no table")]),
        Mistaken(yaml: "domain: [unclosed\n", expected: [(2, nil, "not YAML")]),
        Mistaken(
            yaml: "a: 1\nlog:\n  level: loud\nb: 2\n",
            expected: [(1, "a", "no key"), (3, "log.level", "one of"), (4, "b", "no key")]),
    ]

    @Test(arguments: mistaken)
    func eachMistakeIsNamedWithItsPlace(_ sample: Mistaken) throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let path = scratch.path + "/site.yaml"
        try sample.yaml.write(toFile: path, atomically: true, encoding: .utf8)
        let (_, _, mistakes) = ConfigurationSources(file: path).load()
        #expect(mistakes.map(\.line) == sample.expected.map(\.line))
        #expect(mistakes.map(\.key) == sample.expected.map(\.key))
        for (mistake, expected) in zip(mistakes, sample.expected) {
            #expect(mistake.text.contains(expected.words))
            #expect(mistake.description.hasPrefix(path))
        }
    }

    @Test func aKeyThatIsThereTwiceIsAMistake() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let path = scratch.path + "/site.yaml"
        try "domain: a.test\ndomain: b.test\n".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(!ConfigurationSources(file: path).load().mistakes.isEmpty)
    }

    @Test func aFileThatIsNotThereIsAMistake() {
        let mistakes = ConfigurationSources(file: "/nonexistent/site.yaml").load().mistakes
        #expect(mistakes.count == 1)
        #expect(mistakes.first?.source == "/nonexistent/site.yaml")
    }

    @Test func laterSourcesOverrideEarlierOnesKeyByKey() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let path = scratch.path + "/site.yaml"
        try "domain: file.test\nhostname: file.test\nlimits: {connections: 7, recipients: 200}\n"
            .write(toFile: path, atomically: true, encoding: .utf8)
        let (configuration, _, mistakes) = ConfigurationSources(
            file: path, environment: ["LETTERLOG_DOMAIN": "environment.test", "LETTERLOG_LIMITS_CONNECTIONS": "8"],
            settings: ["limits.connections=9"]
        ).load()
        #expect(mistakes.isEmpty)
        #expect(configuration.hostName == "file.test")
        #expect(configuration.domain == "environment.test")
        #expect(configuration.limits.connectionsMax == 9)
        #expect(configuration.limits.recipientsMax == 200)
    }

    @Test func theStoresOwnFileIsFound() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        try "domain: own.test\n".write(toFile: scratch.path + "/letterlog.yaml", atomically: true, encoding: .utf8)
        #expect(ConfigurationSources(store: scratch.path).load().configuration.domain == "own.test")
    }

    @Test func mistakesOutsideTheFileNameTheirSource() {
        let (_, _, mistakes) = ConfigurationSources(
            environment: ["LETTERLOG_LIMITS_CONNECTIONS": "x"], settings: ["limits.nothing=1", "novalue"],
            listens: ["smtp", "smtp=nowhere"]
        ).load()
        #expect(mistakes.map(\.source) == ["environment"] + Array(repeating: "command line", count: 4))
        #expect(mistakes.first?.key == "LETTERLOG_LIMITS_CONNECTIONS")
    }

    @Test func aConfiguredListenerTakesThePlaceOfTheDemos() throws {
        let configuration = ConfigurationSources(settings: ["listeners.lmtp=[::1]:24, unix:/run/lmtp"])
            .load().configuration
        let expected = [ListenAddress.tcp(host: "::1", port: 24), .unix(path: "/run/lmtp")]
        #expect(configuration.listenerList.map(\.0) == [.lmtp, .lmtp])
        #expect(configuration.listenerList.map(\.1) == expected)
    }

    @Test func listenOnTheCommandLineTakesThePlaceOfAll() throws {
        let configuration = ConfigurationSources(
            settings: ["listeners.lmtp=127.0.0.1:24"], listens: ["smtp=127.0.0.1:25", "smtp=[::1]:25"]
        ).load().configuration
        #expect(configuration.listenerList.map(\.1.description) == ["127.0.0.1:25", "[::1]:25"])
    }

    @Test func withoutListenersTheDemoPortsAreOpened() {
        let names = NodeConfiguration().listenerList.map { "\($0.0.rawValue)=\($0.1)" }
        let expected = [
            "smtp=127.0.0.1:1025", "submission=127.0.0.1:1587", "submissions=127.0.0.1:1465", "lmtp=127.0.0.1:1024",
            "pop3=127.0.0.1:1110", "pop3s=127.0.0.1:1995", "imap=127.0.0.1:1143", "imaps=127.0.0.1:1993",
            "http=127.0.0.1:8080",
        ]
        #expect(names == expected)
    }

    @Test(
        arguments: [
            ("0", 0), ("50000000", 50_000_000), ("50MB", 50_000_000), ("64MiB", 64 << 20), ("2 GiB", 2 << 30),
            ("1k", 1024), ("1kB", 1000), ("", nil), ("-1", nil), ("5 parsecs", nil), ("99999999999999999999", nil),
            ("9999999999TiB", nil),
        ] as [(String, Int?)])
    func sizes(_ text: String, _ octets: Int?) {
        #expect(ConfigurationValue.octets(text) == octets)
    }

    @Test func everyKeysShownValueIsTakenAgain() throws {
        var configuration = NodeConfiguration()
        configuration.domain = "example.test"
        configuration.domains = ["example.test", "example.org"]
        configuration.store = "/srv/mail"
        configuration.hostName = "mail.example.test"
        configuration.maildir.root = "/srv/maildir"
        configuration.encryption.certificate = "/srv/mail.pem"
        configuration.encryption.key = "/srv/mail.key"
        configuration.encryption.certificates = ["a.test": "/srv/a.pem", "*.b.test": "/srv/b.pem"]
        configuration.encryption.keys = ["*.b.test": "/srv/b.key"]
        configuration.encryption.clientAuthority = "/srv/people.pem"
        configuration.encryption.minimumVersion = .tls13
        configuration.storage.softFreeOctets = 5
        configuration.storage.hardFreeOctets = 4
        configuration.sending.hostName = "out.example.test"
        configuration.sending.smartHostVerify = true
        let settings = configuration.listing.map { "\($0.key)=\($0.value)" }
        let (again, _, mistakes) = ConfigurationSources(settings: settings).load()
        #expect(mistakes.isEmpty)
        #expect(again.listing.map(\.value) == configuration.listing.map(\.value))
    }

    @Test func aReloadTakesWhatItCanAndNamesTheRest() {
        var new = NodeConfiguration()
        new.accounts.undeleteDays = 30
        new.log.level = .debug
        new.limits.connectionsMax = 5
        new.logins.tokenScope = "mail"
        let reload = ConfigurationReload(from: NodeConfiguration(), to: new)
        #expect(reload.taken == ["accounts.undelete-days", "log.level"])
        #expect(reload.waiting == ["logins.tokens.scope", "limits.connections"])
        #expect(reload.configuration.accounts.undeleteDays == 30)
        #expect(reload.configuration.limits.connectionsMax == NodeConfiguration().limits.connectionsMax)
    }

    @Test("of sending all is taken")
    func aReloadOfSending() {
        var new = NodeConfiguration()
        new.sending.smartHost = "relay.test"
        new.sending.retryFirstSeconds = 1
        new.sending.enabled = false
        let reload = ConfigurationReload(from: NodeConfiguration(), to: new)
        #expect(reload.taken == ["sending.enabled", "sending.smart-host", "sending.retry-first"])
        #expect(reload.waiting.isEmpty)
        #expect(reload.configuration.sending.smartHost == "relay.test" && !reload.configuration.sending.enabled)
        #expect(ConfigurationKey.all.allSatisfy { $0.reloads || !$0.name.hasPrefix("sending.") })
    }

    @Test func theMaildirLiesBesideTheStore() {
        #expect(NodeConfiguration().maildirRoot(store: "/srv/mail/") == "/srv/mail-maildir")
    }
}
