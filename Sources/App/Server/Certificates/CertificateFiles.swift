// The certificate and key files that a configuration names: read, looked at, and made ready for TLS.
//
// A file that cannot be used stops a start and keeps a reload from taking place. One that could be used but should not
// be (it has expired, others can read the key) is told, and used: a node that does not start serves nobody.
import Foundation
import Glibc
import TLS

struct CertificateFiles {
    /// What is wrong with the file of a key.
    struct Objection: Error {
        /// The configuration's key.
        var key: String
        /// The end of a sentence that begins with the key.
        var text: String
    }

    let encryption: NodeConfiguration.Encryption

    init(_ encryption: NodeConfiguration.Encryption) { self.encryption = encryption }

    /// Everything that is wrong, in the order of the keys, for `check-config`.
    func objections(at now: Int64) -> [(key: String, text: String)] {
        guard encryption.enabled else { return [] }
        var found: [Objection] = []
        func look(_ body: () throws(Objection) -> [Objection]) {
            do throws(Objection) { found += try body() } catch { found.append(error) }
        }
        look { () throws(Objection) in try main().map { concerns($0, at: now) } ?? [] }
        for name in encryption.certificates.keys.sorted() {
            look { () throws(Objection) in concerns(try named(name), at: now) }
        }
        for name in encryption.keys.keys.sorted() where encryption.certificates[name] == nil {
            found.append(Objection(key: "tls.keys", text: "has a key for \(name), which has no certificate"))
        }
        look { () throws(Objection) in
            _ = try authority()
            return []
        }
        return found.map { ($0.key, $0.text) }
    }

    /// Everything that TLS needs, and what should be said about it.
    ///
    /// - Parameter own: stands in where no certificate is named.
    func options(own: () throws -> TLSCredential, at now: Int64) throws -> (TLSServerOptions, concerns: [String]) {
        do throws(Objection) {
            var concerns: [Objection] = []
            var named: [String: TLSCredential] = [:]
            for name in encryption.certificates.keys.sorted() {
                let pair = try self.named(name)
                concerns += self.concerns(pair, at: now)
                named[name] = pair.credential
            }
            let authority = try authority()
            let main = try main()
            concerns += main.map { self.concerns($0, at: now) } ?? []
            let credential: TLSCredential
            do {
                credential = try main?.credential ?? own()
            } catch {
                throw Objection(key: "tls.certificate", text: "\(error)")
            }
            var options = TLSServerOptions(main: credential)
            options.named = named
            options.authority = authority
            options.minimumVersion = encryption.minimumVersion
            return (options, concerns.map { "`\($0.key)` \($0.text)" })
        } catch {
            throw AdministrationFailure("`\(error.key)` \(error.text)")
        }
    }

    // MARK: Pairs

    /// A certificate with its key, and where they came from.
    private struct Pair {
        var credential: TLSCredential
        var certificate: (key: String, path: String)
        var key: (key: String, path: String)
    }

    private func main() throws(Objection) -> Pair? {
        guard let certificate = encryption.certificate else {
            guard encryption.key == nil else {
                throw Objection(key: "tls.key", text: "needs `tls.certificate` beside it")
            }
            return nil
        }
        return try pair(
            ("tls.certificate", certificate),
            encryption.key.map { ("tls.key", $0) } ?? ("tls.certificate", certificate))
    }

    private func named(_ name: String) throws(Objection) -> Pair {
        let certificate = encryption.certificates[name] ?? ""
        return try pair(
            ("tls.certificates", certificate),
            encryption.keys[name].map { ("tls.keys", $0) } ?? ("tls.certificates", certificate))
    }

    private func pair(
        _ certificate: (key: String, path: String), _ key: (key: String, path: String)
    ) throws(Objection) -> Pair {
        let certificates = try read(certificate)
        let octets = try read(key)
        do throws(TLSFailure) {
            let credential = try TLSCredential(certificates: certificates, key: octets)
            return Pair(credential: credential, certificate: certificate, key: key)
        } catch {
            let isOfKey = error.reason.contains("private key")
            let file = isOfKey ? key : certificate
            throw Objection(key: file.key, text: "\(file.path): \(error.reason)")
        }
    }

    private func authority() throws(Objection) -> TLSAuthority? {
        guard let path = encryption.clientAuthority else { return nil }
        let octets = try read(("tls.client-authority", path))
        do throws(TLSFailure) {
            return try TLSAuthority(certificates: octets)
        } catch {
            throw Objection(key: "tls.client-authority", text: "\(path): \(error.reason)")
        }
    }

    private func read(_ file: (key: String, path: String)) throws(Objection) -> [UInt8] {
        do {
            let data = try InputFile.open(file.path).read(upToCount: TLSLimits.certificateFileOctetsMax + 1) ?? Data()
            guard data.count <= TLSLimits.certificateFileOctetsMax else {
                throw AdministrationFailure(
                    "\(file.path): is larger than \(TLSLimits.certificateFileOctetsMax) octets")
            }
            return Array(data)
        } catch {
            throw Objection(key: file.key, text: AdministrationFailure(error).text)
        }
    }

    // MARK: Concerns

    private func concerns(_ pair: Pair, at now: Int64) -> [Objection] {
        var concerns: [Objection] = []
        if let text = pair.credential.objection(at: now) {
            concerns.append(Objection(key: pair.certificate.key, text: "\(pair.certificate.path): \(text)"))
        }
        var status = stat()
        if stat(pair.key.path, &status) == 0, status.st_mode & 0o007 != 0 {
            let mode = String(status.st_mode & 0o777, radix: 8)
            concerns.append(
                Objection(
                    key: pair.key.key,
                    text: "\(pair.key.path): others can use the private key (mode 0\(mode)); chmod 600"))
        }
        return concerns
    }
}

/// The wall clock, in seconds since 1970.
func systemSeconds() -> Int64 { Int64(time(nil)) }
