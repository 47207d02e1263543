import Foundation
import TLS

extension TLSTrust {
    /// The authorities of a file; without one, the system's.
    /// - Parameter octetsMax: so much of the file is read.
    static func authorities(
        in path: String?, octetsMax: Int = TLSLimits.certificateFileOctetsMax
    ) throws -> TLSTrust {
        guard let path else { return .system }
        let octets = try InputFile.open(path).read(upToCount: octetsMax) ?? Data()
        return .authority(try TLSAuthority(certificates: Array(octets)))
    }
}
