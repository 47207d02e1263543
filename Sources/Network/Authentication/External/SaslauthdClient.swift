// Asks saslauthd, the daemon of Cyrus SASL that checks passwords against PAM, LDAP, Kerberos or a file.
//
// What goes over its socket (cyrus-sasl, saslauthd/ipc_unix.c): four strings, each with its length in two octets, most
// significant first: login, password, service, realm. Back comes one such string, which begins with OK or NO.
//
// Written here and not left to libsasl2's own client: that one waits without an end for a daemon that hangs.
import Glibc
import NIOCore

package struct SaslauthdClient: Sendable {
    package enum Verdict: Equatable, Sendable {
        case good
        case bad
        /// It is not there, does not answer in time, or says neither.
        case unavailable
    }

    /// Of its socket, such as /run/saslauthd/mux.
    let path: String
    let secondsMax: Int

    package init(path: String, secondsMax: Int = AuthenticationLimits.saslauthdSecondsMax) {
        self.path = path
        self.secondsMax = secondsMax
    }

    /// Waits for the answer, `secondsMax` at most: not for an event loop.
    package func check(login: String, password: [UInt8], service: String, realm: String) -> Verdict {
        var request: [UInt8] = []
        for part in [Array(login.utf8), password, Array(service.utf8), Array(realm.utf8)] {
            guard part.count <= AuthenticationLimits.saslauthdPartOctetsMax, !part.contains(0) else { return .bad }
            request += [UInt8(part.count >> 8), UInt8(part.count & 0xFF)] + part
        }
        guard let answer = exchange(request) else { return .unavailable }
        if answer.starts(with: "OK".utf8) { return .good }
        return answer.starts(with: "NO".utf8) ? .bad : .unavailable
    }

    private func exchange(_ request: [UInt8]) -> [UInt8]? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let end = NIODeadline.now() + .seconds(Int64(secondsMax))
        // connect(2) waits no longer than for a send.
        guard limit(descriptor, SO_SNDTIMEO, until: end), connect(descriptor), send(descriptor, request, until: end),
            let head = receive(descriptor, 2, until: end)
        else { return nil }
        let count = Int(head[0]) << 8 | Int(head[1])
        guard (2...AuthenticationLimits.saslauthdPartOctetsMax).contains(count) else { return nil }
        return receive(descriptor, count, until: end)
    }

    /// False when no time is left.
    private func limit(_ descriptor: CInt, _ direction: CInt, until end: NIODeadline) -> Bool {
        let left = (end - .now()).nanoseconds / 1_000
        guard left > 0 else { return false }
        var time = timeval(tv_sec: Int(left / 1_000_000), tv_usec: suseconds_t(left % 1_000_000))
        return setsockopt(descriptor, SOL_SOCKET, direction, &time, socklen_t(MemoryLayout<timeval>.size)) == 0
    }

    private func connect(_ descriptor: CInt) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let octets = Array(path.utf8)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { room in
            guard octets.count < room.count else { return false }
            room.copyBytes(from: octets)
            return true
        }
        guard fits else { return false }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        } == 0
    }

    private func send(_ descriptor: CInt, _ octets: [UInt8], until end: NIODeadline) -> Bool {
        octets.withUnsafeBytes { bytes in
            var sent = 0
            while sent < bytes.count {
                guard limit(descriptor, SO_SNDTIMEO, until: end) else { return false }
                let count = Glibc.send(
                    descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                sent += count
            }
            return true
        }
    }

    /// Nil when it ends or falls silent before.
    private func receive(_ descriptor: CInt, _ wanted: Int, until end: NIODeadline) -> [UInt8]? {
        var octets = [UInt8](repeating: 0, count: wanted)
        var received = 0
        while received < wanted {
            guard limit(descriptor, SO_RCVTIMEO, until: end) else { return nil }
            let count = octets.withUnsafeMutableBytes {
                recv(descriptor, $0.baseAddress! + received, wanted - received, 0)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return nil }
            received += count
        }
        return octets
    }
}
