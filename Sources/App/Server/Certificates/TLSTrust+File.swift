import Foundation
import TLS

extension TLSTrust {
    /// The authorities of a file; without one, the system's.
    static func authorities(in path: String?) throws -> TLSTrust {
        guard let path else { return .system }
        let octets = try InputFile.open(path).read(upToCount: ServerLimits.authorityOctetsMax + 1) ?? Data()
        guard octets.count <= ServerLimits.authorityOctetsMax else {
            throw AdministrationFailure("\(path) is larger than \(ServerLimits.authorityOctetsMax) octets")
        }
        return .authority(try TLSAuthority(certificates: Array(octets)))
    }
}
