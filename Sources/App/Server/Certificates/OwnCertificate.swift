// The certificate that a store makes for itself, so that a first run has TLS: self-signed, in the store's directory, its
// key readable by the owner alone. It is made anew when it is missing, damaged, or near its end.
import Foundation
import Glibc
import TLS

struct OwnCertificate {
    static let directoryName = "tls"
    static let certificateName = "certificate.pem"
    static let keyName = "key.pem"
    /// One that ends sooner is made anew at the next start.
    static let renewalSeconds: Int64 = 30 * 86_400

    let directory: String
    /// The host names it is for.
    let hosts: [String]

    /// - Parameter store: the store's directory.
    init(store: String, hosts: [String]) {
        directory = store + "/" + Self.directoryName
        var seen: Set<String> = []
        self.hosts = hosts.map { $0.lowercased() }.filter { seen.insert($0).inserted }
    }

    var certificatePath: String { directory + "/" + Self.certificateName }
    var keyPath: String { directory + "/" + Self.keyName }

    /// The one that is there, or a new one.
    func credential(at now: Int64) throws -> TLSCredential {
        if let found = try? TLSCredential(certificates: read(certificatePath), key: read(keyPath)),
            found.objection(at: now) == nil, let end = found.notAfter, end - now > Self.renewalSeconds
        {
            return found
        }
        return try make(at: now)
    }

    /// Writes a new one, the key first: a certificate without its key is found damaged and made anew.
    @discardableResult
    func make(at now: Int64) throws -> TLSCredential {
        let made = try SelfSignedCertificate.make(hosts: hosts, now: now)
        if mkdir(directory, 0o700) != 0, errno != EEXIST { throw failure(directory) }
        try write(made.key, keyPath, mode: 0o600)
        try write(made.certificate, certificatePath, mode: 0o644)
        return try TLSCredential(certificates: made.certificate, key: made.key)
    }

    private func read(_ path: String) throws -> [UInt8] {
        Array(try InputFile.open(path).read(upToCount: TLSLimits.certificateFileOctetsMax) ?? Data())
    }

    /// In place of what was there, whole or not at all.
    private func write(_ octets: [UInt8], _ path: String, mode: mode_t) throws {
        let new = path + ".new"
        unlink(new)
        let descriptor = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw failure(new) }
        let isWritten = octets.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) } == octets.count
        let isSynced = isWritten && fsync(descriptor) == 0
        close(descriptor)
        guard isSynced, rename(new, path) == 0 else { throw failure(new) }
    }

    private func failure(_ path: String) -> AdministrationFailure {
        AdministrationFailure("\(path): \(String(cString: strerror(errno)))")
    }
}
