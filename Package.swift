// swift-tools-version: 6.1
//
// One package; a module is a room, a folder under Sources is a storey, and arrows go down only.
// docs/ARCHITECTURE.md has the table of who may import whom; HouseRulesTests holds this file and the sources to it.
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
]

/// A room of ours: a module in `Sources/<storey>/<name>`.
func room(_ storey: String, _ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(storey)/\(name)", swiftSettings: settings)
}

/// The tests of one room, in `Tests/<name>`.
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: settings)
}

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]

let package = Package(
    name: "letterlog",
    products: [.executable(name: "letterlog", targets: ["letterlog"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // Base
        room("Base", "Octets"),
        .systemLibrary(
            name: "COpenSSL", path: "Sources/Base/COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .target(name: "CChecksum", path: "Sources/Base/CChecksum"),
        room("Base", "Digests", ["COpenSSL", "CChecksum"]),
        .systemLibrary(
            name: "CIDN2", path: "Sources/Base/CIDN2", pkgConfig: "libidn2", providers: [.apt(["libidn2-dev"])]),
        room("Base", "MailTypes", ["Octets", "CIDN2"]),
        // Protocols
        room("Protocols", "MIME", ["Octets", "MailTypes"]),
        room("Protocols", "SMTP", ["Octets", "MailTypes"]),
        room("Protocols", "Milter", ["MIME"]),
        room("Protocols", "POP3", ["Octets", "MailTypes"]),
        room("Protocols", "IMAP", ["MIME", "Octets", "MailTypes"]),
        room("Protocols", "MessageAuthentication", ["MIME", "Digests", "Octets", "MailTypes"]),
        // Domain
        room("Domain", "MailCore", ["MailTypes"]),
        room("Domain", "EventFormat", ["MailCore", "MailTypes", "Octets", "Digests"]),
        // Storage
        .systemLibrary(
            name: "CLMDB", path: "Sources/Storage/CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
        room("Storage", "LMDB", ["CLMDB"]),
        .systemLibrary(name: "CFile", path: "Sources/Storage/CFile"),
        room(
            "Storage", "EventStore", ["EventFormat", "MailCore", "MailTypes", "Octets", "Digests", "LMDB", "CFile"]),
        // Engine
        room("Engine", "MailEngine", ["EventStore", "MailCore", "MailTypes"]),
        room(
            "Engine", "Projections", ["MailEngine", "EventStore", "MailCore", "MailTypes", "MIME", "Digests", "Octets"]),
        // Network
        room("Network", "TLS", nio + ["COpenSSL"]),
        .systemLibrary(
            name: "CSASL", path: "Sources/Network/CSASL", pkgConfig: "libsasl2", providers: [.apt(["libsasl2-dev"])]),
        .systemLibrary(
            name: "CZlib", path: "Sources/Network/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(
            name: "CCrypt", path: "Sources/Network/CCrypt", pkgConfig: "libcrypt", providers: [.apt(["libcrypt-dev"])]),
        room(
            "Network", "Authentication",
            nio + [
                .product(name: "NIOHTTP1", package: "swift-nio"), "CSASL", "CCrypt", "MailEngine", "MailCore",
                "Digests",
                "MailTypes", "Octets",
            ]),
        room(
            "Network", "Gateways",
            nio + [
                .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "Logging", package: "swift-log"),
                "SMTP", "Milter", "POP3", "IMAP", "MIME", "MessageAuthentication", "CZlib", "Projections", "MailEngine",
                "EventStore", "MailCore",
                "Authentication", "Digests", "TLS",
                "MailTypes", "Octets",
            ]),
        // Its module map says what to link: Debian's libunbound.pc wants packages that only a static build needs.
        .systemLibrary(name: "CUnbound", path: "Sources/Network/CUnbound", providers: [.apt(["libunbound-dev"])]),
        room(
            "Network", "Delivery",
            nio + [
                .product(name: "Logging", package: "swift-log"), "CUnbound", "SMTP", "MessageAuthentication",
                "MailEngine", "EventStore", "MailCore", "TLS", "Digests", "MailTypes",
            ]),
        // App
        room(
            "App", "Server",
            nio + [
                "Gateways", "Delivery", "SMTP", "Milter", "MessageAuthentication", "Projections", "Authentication",
                "MailEngine",
                "EventStore",
                "EventFormat",
                "MailCore",
                "IMAP", "MIME", "MailTypes", "TLS",
                "Octets", "Digests", .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ]),
        .executableTarget(
            name: "letterlog",
            dependencies: ["Server", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Sources/App/letterlog", swiftSettings: settings),
        // Tests
        .target(name: "InputSupport", path: "Tests/Support/Input", swiftSettings: settings),
        .target(name: "ProgramSupport", path: "Tests/Support/Program", swiftSettings: settings),
        .target(
            name: "PowerCutSupport", dependencies: ["InputSupport"], path: "Tests/Support/PowerCut",
            exclude: ["Preload"], swiftSettings: settings),
        .testTarget(
            name: "PowerCutTests", dependencies: ["PowerCutSupport"], path: "Tests/PowerCutTests",
            exclude: ["Programs"], swiftSettings: settings),
        .target(
            name: "SourceSupport", dependencies: nio, path: "Tests/Support/Source", swiftSettings: settings),
        .executableTarget(
            name: "StoreWorkload",
            dependencies: [
                "Server", "SourceSupport", "InputSupport", "Gateways", "Projections", "MailEngine", "EventStore",
                "EventFormat", "MailCore", "MailTypes", "Octets", "Digests", "LMDB",
            ],
            path: "Tests/Support/StoreWorkload", swiftSettings: settings),
        .testTarget(
            name: "RecoveryTests",
            dependencies: ["StoreWorkload", "PowerCutSupport", "ProgramSupport", "InputSupport", "letterlog"],
            path: "Tests/RecoveryTests", exclude: ["kill9.py"], swiftSettings: settings),
        .testTarget(
            name: "ClientTests",
            dependencies: [
                "letterlog", "ProgramSupport", "Projections", "MailEngine", "EventStore", "MailCore", "MailTypes",
                "Octets",
            ],
            path: "Tests/ClientTests",
            exclude: [
                "badinput.py", "checks.py", "clients.py", "corpus.py", "dovecot_maildir.py", "imap_badinput.py",
                "imap_fetch.py", "imap_python.py", "imap_screen.py", "imap_soak.py", "imap_sync.py",
                "imap_thunderbird.py", "imapserver.py", "import_imap.py", "import_maildir.py", "import_mbox.py",
                "import_pop3.py", "export_mail.py",
                "listeners.py",
                "logins.py", "maildir_together.py", "maildir_two_way.py", "mechanisms.py", "migrate.py", "milters.py",
                "mutt.py", "node.py", "pasted.py",
                "peers.py", "postfix.py", "repeats.py", "requiretls.py", "sasl.py", "secrets.py", "sending.py",
                "sending_kill.py",
                "serve_maildir.py", "storm.py", "terminal.py", "thunderbird.py", "tls_clients.py",
                "tls_thunderbird.py", "tokens.py",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "ConversationTests", dependencies: ["letterlog", "ProgramSupport"], path: "Tests/ConversationTests",
            exclude: [
                "README.md", "conversation.py", "conversations.py", "coverage.py", "dovecot-differences.tsv", "imap",
                "imapwords.py", "letterlog-differences.tsv", "lmtp", "pop3", "servers.py", "smtp", "submission",
            ],
            swiftSettings: settings),
        tests("SMTPTests", ["SMTP", "MailTypes", "Octets", "InputSupport"]),
        tests("MilterTests", ["Milter"]),
        tests("POP3Tests", ["POP3", "MailTypes", "InputSupport"]),
        tests("IMAPTests", ["IMAP", "MIME", "MailTypes", "InputSupport"]),
        tests(
            "EventStoreTests",
            ["EventStore", "EventFormat", "LMDB", "MailCore", "MailTypes", "Octets", "Digests", "InputSupport"]),
        .testTarget(
            name: "EventFormatTests",
            dependencies: ["EventFormat", "MailCore", "MailTypes", "Octets", "Digests", "InputSupport"],
            path: "Tests/EventFormatTests", exclude: ["fixtures"], swiftSettings: settings),
        tests("OctetsTests", ["Octets"]),
        tests("MIMETests", ["MIME", "MailTypes"]),
        tests("MessageAuthenticationTests", ["MessageAuthentication", "Digests", "Octets", "MailTypes"]),
        tests("ProjectionsTests", ["Projections", "MailEngine", "EventStore", "MailCore", "MailTypes", "MIME"]),
        .testTarget(
            name: "ServerTests",
            dependencies: [
                "Server", "SourceSupport", "ProgramSupport", "letterlog", "Gateways", "Delivery", "SMTP", "Milter",
                "IMAP", "MailEngine",
                "EventStore",
                "MailCore",
                "MailTypes", "Digests", .product(name: "Logging", package: "swift-log"),
            ] + nio,
            path: "Tests/ServerTests", swiftSettings: settings),
        tests("SimulationTests", ["EventStore", "LMDB", "MailCore", "MailTypes", "InputSupport"]),
        tests(
            "AuthenticationTests",
            [
                "Authentication", "MailEngine", "EventStore", "MailCore", "MailTypes", "Digests", "Octets", "TLS",
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        tests("MailCoreTests", ["MailCore", "EventStore", "MailTypes"]),
        tests(
            "GatewaysTests",
            [
                "Gateways", "MessageAuthentication", "Authentication", "MailEngine", "EventStore", "MailCore",
                "MailTypes",
                "Octets", "SMTP", "Milter", "POP3", "TLS", "COpenSSL", "Digests", "InputSupport",
                .product(name: "Logging", package: "swift-log"), .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ]),
        tests(
            "DeliveryTests",
            [
                "Delivery", "MessageAuthentication", "MailEngine", "EventStore", "MailCore", "MailTypes", "SMTP",
                "TLS", "Digests", .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        tests("MailEngineTests", ["MailEngine", "EventStore", "MailCore", "MailTypes", "InputSupport"]),
        tests("DigestsTests", ["Digests", "InputSupport"]),
        tests("LMDBTests", ["LMDB"]),
        tests(
            "TLSTests",
            [
                "TLS", "COpenSSL", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ]),
        tests("HouseRulesTests", ["ProgramSupport"]),
    ]
)
