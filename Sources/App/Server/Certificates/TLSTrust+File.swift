import Foundation
import TLS

extension TLSTrust {
    /// The authorities of a file; without one, the system's.
    static func authorities(in path: String?) throws -> TLSTrust {
        guard let path else { return .system }
        let octets = try InputFile.octets(path, octetsMax: ServerLimits.authorityOctetsMax)
        return .authority(try TLSAuthority(certificates: Array(octets)))
    }
}
