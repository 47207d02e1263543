import Foundation
import Glibc

/// F: what one durable write costs on a file system, the unit of the speed targets.
package enum FlushTime {
    static let rounds = 200
    static let octets = 4096

    /// The median of 200 times a 4 KiB append and fdatasync in `directory`, in seconds.
    package static func median(_ directory: String) throws(AdministrationFailure) -> Double {
        let path = directory + "/flush-time.tmp"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw AdministrationFailure("\(path): \(String(cString: strerror(errno)))") }
        defer {
            close(descriptor)
            unlink(path)
        }
        let block = [UInt8](repeating: 0x2E, count: octets)
        var times: [Double] = []
        for _ in 0..<rounds {
            let start = ContinuousClock.now
            guard block.withUnsafeBytes({ write(descriptor, $0.baseAddress, $0.count) }) == octets,
                fdatasync(descriptor) == 0
            else { throw AdministrationFailure("\(path): \(String(cString: strerror(errno)))") }
            times.append((ContinuousClock.now - start).seconds)
        }
        return times.sorted()[rounds / 2]
    }
}

extension Duration {
    package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
