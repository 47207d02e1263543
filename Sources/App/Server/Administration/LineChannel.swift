// Lines over a Unix socket, both ways, with bounds on their length and on the other side's patience.
//
// Administration is a few requests an hour, so plain blocking calls on a thread for each connection are enough; an
// event loop would only add ways to block it.
import Foundation
import Glibc

/// One end of a connected stream socket. Used by one thread.
final class LineChannel {
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var start = 0

    /// Takes the descriptor over.
    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// How long a read or write may wait for the other side.
    func setPatience(seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
    }

    /// The next line without its line end; nil at the end of the stream.
    func readLine(octetsMax: Int) throws(AdministrationFailure) -> Data? {
        var searched = start
        while true {
            if let end = buffer[searched...].firstIndex(of: 0x0A) {
                let line = Data(buffer[start..<end])
                start = end + 1
                if start > 1 << 16 {
                    buffer.removeFirst(start)
                    start = 0
                }
                return line
            }
            searched = buffer.count
            guard buffer.count - start <= octetsMax else {
                throw AdministrationFailure("a line on the administration socket is longer than \(octetsMax) octets")
            }
            guard try fill() else { return nil }
        }
    }

    private func fill() throws(AdministrationFailure) -> Bool {
        let old = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: 1 << 14))
        var count = 0
        repeat {
            count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + old, 1 << 14, 0) }
        } while count < 0 && errno == EINTR
        let code = errno
        buffer.removeLast(buffer.count - old - max(0, count))
        guard count >= 0 else {
            throw AdministrationFailure("the administration socket failed: \(String(cString: strerror(code)))")
        }
        return count > 0
    }

    /// Writes the line and its line end.
    func write(_ line: Data) throws(AdministrationFailure) {
        var bytes = [UInt8](line)
        bytes.append(0x0A)
        var sent = 0
        while sent < bytes.count {
            // Without MSG_NOSIGNAL a client that has gone would end the process.
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw AdministrationFailure("the administration socket failed: \(String(cString: strerror(errno)))")
            }
            sent += count
        }
    }

    /// Whether the other side has closed.
    var isClosedByPeer: Bool {
        var octet: UInt8 = 0
        return recv(descriptor, &octet, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) == 0
    }
}
