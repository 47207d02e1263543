import Glibc
import Logging
import TLS

extension NodeConfiguration.Encryption {
    /// Reads all files and makes TLS ready; nil when it is off.
    /// - Throws: a failure that names the key and the file.
    func server(_ own: OwnCertificate, _ log: Logger) throws -> TLSServer? {
        guard enabled else { return nil }
        let options = try read(own, log)
        do {
            return try TLSServer(options, clock: steadySeconds)
        } catch {
            throw AdministrationFailure("TLS cannot be set up: \(error)")
        }
    }

    /// Reads all files anew for sessions that begin from now on. When it throws, everything stays as it was.
    func replace(in server: TLSServer, _ own: OwnCertificate, _ log: Logger) throws {
        let options = try read(own, log)
        do {
            try server.replace(with: options)
        } catch {
            throw AdministrationFailure("TLS cannot be set up: \(error)")
        }
        log.notice(
            "certificates loaded",
            metadata: [
                "names": "\(options.main.names.joined(separator: ", "))",
                "others": "\(options.named.keys.sorted().joined(separator: ", "))",
            ])
    }

    private func read(_ own: OwnCertificate, _ log: Logger) throws -> TLSServerOptions {
        let now = systemSeconds()
        let (options, concerns) = try CertificateFiles(self).options(own: { try own.credential(at: now) }, at: now)
        for concern in concerns { log.warning("certificate", metadata: ["concern": "\(concern)"]) }
        return options
    }
}

/// Seconds of a clock that does not go back.
private func steadySeconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_BOOTTIME, &now)
    return Int64(now.tv_sec)
}
