import Glibc
import Testing

@testable import Gateways

@Suite struct ListenAddressTests {
    @Test(arguments: [
        ("127.0.0.1:1025", ListenAddress.tcp(host: "127.0.0.1", port: 1025)),
        ("[::1]:110", .tcp(host: "::1", port: 110)),
        ("localhost:0", .tcp(host: "localhost", port: 0)),
        ("unix:/run/letterlog/lmtp", .unix(path: "/run/letterlog/lmtp")),
    ])
    func parses(_ text: String, _ expected: ListenAddress) {
        #expect(ListenAddress(parsing: text) == expected)
        #expect(expected.description == text)
    }

    @Test(arguments: [
        "", "1025", ":1025", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:25", "[::1]", "[::1]25",
        "[nonsense]:25", "unix:", "unix:relative", "unix:/" + String(repeating: "x", count: 200), "a b:25",
    ])
    func refuses(_ text: String) {
        #expect(ListenAddress(parsing: text) == nil)
    }

    @Test(arguments: [
        (GatewayProtocol.smtp, "0.0.0.0:0", "loopback"), (.lmtp, "[::]:0", "loopback"),
        (.http, "192.0.2.1:0", "loopback"),
        (.pop3s, "127.0.0.1:0", "TLS is off"), (.imaps, "127.0.0.1:0", "TLS is off"),
    ])
    func whatCannotBeHadIsRefusedWithItsReason(
        _ name: GatewayProtocol, _ address: String, _ reason: String
    ) async throws {
        let error = await #expect(throws: ListenError.self) {
            try await withNode(listeners: [(name, ListenAddress(parsing: address)!)]) { _ in }
        }
        #expect(error?.description.hasPrefix("\(name.rawValue)=\(address): ") == true)
        #expect(error?.reason.contains(reason) == true)
    }

    @Test func aPortInUseIsTold() async throws {
        try await withNode { node in
            let taken = ListenAddress(parsing: node.addresses[.smtp]!)!
            let error = await #expect(throws: ListenError.self) {
                try await withNode(listeners: [(.lmtp, .tcp(host: "127.0.0.1", port: 0)), (.smtp, taken)]) { _ in }
            }
            #expect(error?.listener == .smtp)
            #expect(error?.reason == "Address already in use")
        }
    }

    @Test func version6AndUnixSockets() async throws {
        let path = "/tmp/letterlog-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try await withNode(listeners: [(.smtp, .tcp(host: "::1", port: 0)), (.lmtp, .unix(path: path))]) { node in
            #expect(node.addresses[.smtp]!.hasPrefix("[::1]:"))
            let client = try node.smtp()
            try client.send(
                "MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: six\r\n\r\n.\r\n")
            for code in ["250", "250", "354", "250"] { #expect(try client.line().hasPrefix(code)) }
            let local = try node.lmtp()
            try local.send(
                "MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: unix\r\n\r\n.\r\n")
            for code in ["250", "250", "354", "250"] { #expect(try local.line().hasPrefix(code)) }
            let letters = try node.letters("alice@example.test")
            #expect(letters[0].contains("from client.test ([IPv6:::1])"))
            #expect(letters[1].contains("Received: from client.test by mx.example.test with LMTP"))
            var status = stat()
            #expect(lstat(path, &status) == 0 && status.st_mode & 0o777 == 0o660)
            // Somebody listens there already.
            let error = await #expect(throws: ListenError.self) {
                try await withNode(listeners: [(.lmtp, .unix(path: path))]) { _ in }
            }
            #expect(error?.reason == "another process listens there")
        }
        #expect(access(path, F_OK) != 0)
    }

    @Test func aSocketLeftBehindIsReplacedAndAFileIsNot() async throws {
        let path = "/tmp/letterlog-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        defer { unlink(path) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(code == 0)
        close(descriptor)
        try await withNode(listeners: [(.lmtp, .unix(path: path))]) { node in _ = try node.lmtp() }
        let file = open(path, O_CREAT | O_WRONLY, 0o600)
        close(file)
        let error = await #expect(throws: ListenError.self) {
            try await withNode(listeners: [(.lmtp, .unix(path: path))]) { _ in }
        }
        #expect(error?.reason == "the path exists and is no socket")
        #expect(access(path, F_OK) == 0)
    }
}
