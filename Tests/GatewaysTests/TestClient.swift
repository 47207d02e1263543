// A client of line protocols over a plain socket. It blocks, with a limit after which a test fails instead of hanging.
import Glibc

/// What went wrong on the client's side.
enum ClientError: Error {
    case system(String)
    case closed
    case silence
}

final class TestClient {
    /// Seconds without an octet after which a read fails.
    private static let patience = 30
    /// MSG_NOSIGNAL and MSG_DONTWAIT of send(2); their Swift types change with the modules that are imported.
    private static let noSignal: Int32 = 0x4000
    private static let dontWait: Int32 = 0x40

    let descriptor: CInt
    /// From `secure` on.
    private var tls: ClientTLS?
    private var received: [UInt8] = []
    private var start = 0

    /// - Parameters:
    ///   - address: `127.0.0.1:1234`, `[::1]:1234` or `unix:/path`.
    ///   - receiveBuffer: octets that the kernel may hold for us, where a test wants few.
    init(_ address: String, receiveBuffer: Int32? = nil) throws {
        let isUnix = address.hasPrefix("unix:")
        let isV6 = address.hasPrefix("[")
        descriptor = socket(isUnix ? AF_UNIX : isV6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Self.failure("socket") }
        var limit = timeval(tv_sec: Self.patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        let code =
            isUnix
            ? Self.connectUnix(descriptor, String(address.dropFirst(5))) : Self.connectIP(descriptor, address, isV6)
        guard code == 0 else {
            let error = Self.failure("connect")
            Glibc.close(descriptor)
            throw error
        }
    }

    deinit { Glibc.close(descriptor) }

    private static func failure(_ call: String) -> ClientError {
        .system("\(call): \(String(cString: strerror(errno)))")
    }

    private static func connectUnix(_ descriptor: CInt, _ path: String) -> CInt {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func connectIP(_ descriptor: CInt, _ text: String, _ isV6: Bool) -> CInt {
        let colon = text.lastIndex(of: ":")!
        let port = in_port_t(text[text.index(after: colon)...])!
        if isV6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            inet_pton(AF_INET6, String(text[..<colon].dropFirst().dropLast()), &address.sin6_addr)
            return withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        inet_pton(AF_INET, String(text[..<colon]), &address.sin_addr)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    // MARK: Sending

    func send(_ octets: [UInt8]) throws {
        var sent = 0
        while sent < octets.count {
            let count = octets.withUnsafeBytes {
                if let tls { return tls.write(UnsafeRawBufferPointer(rebasing: $0[sent...])) }
                return Glibc.send(descriptor, $0.baseAddress! + sent, octets.count - sent, Self.noSignal)
            }
            guard count > 0 else { throw Self.failure("send") }
            sent += count
        }
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    /// Begins TLS on this connection.
    func secure(_ set: (OpaquePointer) -> Void = { _ in }) throws { tls = try ClientTLS(descriptor, set) }

    /// What the handshake settled.
    var security: ClientTLS { tls! }

    /// Ends our side; the other may still speak.
    func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// The connection is reset when this object goes, as by a client that crashes with octets unread.
    func resetAtEnd() {
        var none = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &none, socklen_t(MemoryLayout<linger>.size))
    }

    /// Sends as much as goes without blocking; returns how many octets went.
    func sendWhatGoes(_ octets: [UInt8]) -> Int {
        octets.withUnsafeBytes {
            max(0, Glibc.send(descriptor, $0.baseAddress!, $0.count, Self.noSignal | Self.dontWait))
        }
    }

    // MARK: Receiving

    private func fill() throws {
        if start > 1 << 20 {
            received.removeFirst(start)
            start = 0
        }
        let part = try [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
            let octets =
                try tls?.read(UnsafeMutableRawBufferPointer(buffer))
                ?? recv(descriptor, buffer.baseAddress, buffer.count, 0)
            guard octets >= 0 else { throw errno == EAGAIN ? ClientError.silence : Self.failure("recv") }
            count = octets
        }
        guard !part.isEmpty else { throw ClientError.closed }
        received += part
    }

    /// The next line, without its CRLF or LF.
    func line() throws -> String {
        var searched = start
        while true {
            if let end = received[searched...].firstIndex(of: 0x0A) {
                defer { start = end + 1 }
                let isCRLF = end > start && received[end - 1] == 0x0D
                return String(decoding: received[start..<(isCRLF ? end - 1 : end)], as: UTF8.self)
            }
            let offset = received.count - start
            try fill()
            searched = start + offset
        }
    }

    /// The next `count` octets.
    func octets(_ count: Int) throws -> [UInt8] {
        while received.count - start < count { try fill() }
        defer { start += count }
        return Array(received[start..<(start + count)])
    }

    /// The lines of an SMTP reply.
    func reply() throws -> [String] {
        var lines: [String] = []
        repeat { lines.append(try line()) } while lines.last!.dropFirst(3).hasPrefix("-")
        return lines
    }

    /// What follows a `+OK`, up to the lone dot, with the stuffed dots taken out.
    func multiline() throws -> [String] {
        var lines: [String] = []
        while true {
            let line = try line()
            if line == "." { return lines }
            lines.append(line.hasPrefix(".") ? String(line.dropFirst()) : line)
        }
    }

    /// The same, as octets with CRLF after each line, without making strings of them.
    func multilineOctets() throws -> [UInt8] {
        var octets: [UInt8] = []
        while true {
            while let end = received[start...].firstIndex(of: 0x0A) {
                let line = received[start...end]
                start = end + 1
                if line.count == 3, line.first == 0x2E { return octets }
                octets += line.first == 0x2E ? line.dropFirst() : line
            }
            try fill()
        }
    }

    /// Takes exactly these octets, `times` over; false where something else comes.
    func takes(_ expected: [UInt8], times: Int) throws -> Bool {
        for _ in 0..<times {
            while received.count - start < expected.count { try fill() }
            let isEqual = received.withUnsafeBytes { memcmp($0.baseAddress! + start, expected, expected.count) == 0 }
            guard isEqual else { return false }
            start += expected.count
        }
        return true
    }

    /// Sends a command and gives the first line of the answer.
    func command(_ text: String) throws -> String {
        try send(text + "\r\n")
        return try reply().last!
    }

    /// What was received and not asked for yet.
    var unread: String { String(decoding: received[start...], as: UTF8.self) }

    /// Reads to the end of the connection; false when it did not end by itself.
    func isClosed() -> Bool {
        do {
            while true { try fill() }
        } catch ClientError.closed {
            return true
        } catch ClientError.system {
            return true
        } catch {
            return false
        }
    }
}
