// A next host on loopback that says what its script makes of each command, and writes down what it was given.
import Foundation
import Synchronization

/// A mail server for tests. Each connection has a thread that reads lines with a time limit.
final class NextHost: Sendable {
    struct Received: Sendable, Equatable {
        var sender: String
        var recipients: [String]
        /// With dots unstuffed.
        var text: String
    }

    /// The reply to a command line, to the end of a message (`.`), or to the beginning of a handshake (`TLS`); nil closes the
    /// connection instead.
    typealias Script = @Sendable (String) -> String?

    let port: Int
    private let listener: Int32
    private let state = Mutex((received: [Received](), connections: 0))

    static let accepting: Script = { line in
        switch line.prefix(4).uppercased() {
        case "EHLO": "250-there.test\r\n250-PIPELINING\r\n250 SIZE 100000"
        case "DATA": "354 go on"
        case "QUIT": "221 bye"
        default: "250 ok"
        }
    }

    /// Accepting, but for what `change` answers.
    static func script(_ change: @escaping Script) -> Script {
        { line in change(line).map { $0 == "-" ? nil : $0 } ?? accepting(line) }
    }

    init(_ script: @escaping Script = NextHost.accepting) throws {
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(fd, raw, length) == 0 && listen(fd, 64) == 0 && getsockname(fd, raw, &length) == 0
            }
        }
        guard bound else { throw POSIXError(.EADDRNOTAVAIL) }
        listener = fd
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [self] in accept(script) }
    }

    deinit { close() }

    func close() { shutdown(listener, Int32(SHUT_RDWR)) }

    var received: [Received] { state.withLock { $0.received } }
    var connections: Int { state.withLock { $0.connections } }

    private func accept(_ script: @escaping Script) {
        while true {
            let fd = Glibc.accept(listener, nil, nil)
            guard fd >= 0 else { break }
            state.withLock { $0.connections += 1 }
            var limit = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            Thread.detachNewThread { [self] in
                talk(fd, script)
                Glibc.close(fd)
            }
        }
        Glibc.close(listener)
    }

    private func talk(_ fd: Int32, _ script: Script) {
        var buffer: [UInt8] = []
        func line() -> String? {
            while true {
                if let end = buffer.firstIndex(of: 10) {
                    defer { buffer.removeFirst(end + 1) }
                    return String(decoding: buffer[..<end].filter { $0 != 13 }, as: UTF8.self)
                }
                var chunk = [UInt8](repeating: 0, count: 65_536)
                let count = read(fd, &chunk, chunk.count)
                guard count > 0 else { return nil }
                buffer += chunk[..<count]
            }
        }
        func say(_ reply: String?) -> Bool {
            guard let reply else { return false }
            let octets = Array((reply + "\r\n").utf8)
            return write(fd, octets, octets.count) == octets.count
        }
        guard say(script("CONNECT")?.replacingOccurrences(of: "250 ok", with: "220 there.test")) else { return }
        var message = Received(sender: "", recipients: [], text: "")
        while let command = line() {
            let reply = script(command)
            if reply?.hasPrefix("2") == true || reply?.hasPrefix("3") == true {
                if command.hasPrefix("MAIL FROM:") {
                    message = Received(sender: Self.path(command), recipients: [], text: "")
                }
                if command.hasPrefix("RCPT TO:") { message.recipients.append(Self.path(command)) }
            }
            guard say(reply) else { return }
            if command == "QUIT" { return }
            if command == "STARTTLS", reply?.hasPrefix("220") == true {
                // It has no TLS: whatever the handshake begins with is answered by the script, and that is the end.
                var hello = [UInt8](repeating: 0, count: 65_536)
                if read(fd, &hello, hello.count) > 0 { _ = say(script("TLS")) }
                return
            }
            guard command == "DATA", reply?.hasPrefix("354") == true else { continue }
            var lines: [String] = []
            while let text = line(), text != "." { lines.append(text.hasPrefix(".") ? String(text.dropFirst()) : text) }
            message.text = lines.map { $0 + "\r\n" }.joined()
            // RFC 2920 section 3.1: nobody is to have it.
            let end = message.recipients.isEmpty ? "554 no valid recipients" : script(".")
            if end?.hasPrefix("2") == true { state.withLock { $0.received.append(message) } }
            guard say(end) else { return }
        }
    }

    private static func path(_ command: String) -> String {
        guard let start = command.firstIndex(of: "<"), let end = command.firstIndex(of: ">") else { return "" }
        return String(command[command.index(after: start)..<end])
    }
}
