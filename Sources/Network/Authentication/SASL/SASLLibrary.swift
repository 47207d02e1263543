internal import CSASL

/// The process's one start of libsasl2.
enum SASLLibrary {
    /// Why there is no SASL.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Starts the library at the first call. Its plug-ins are looked for beside its own file.
    static func start() throws(Failure) {
        if let failure { throw failure }
    }

    private static let failure: Failure? = {
        var missing: UnsafePointer<CChar>?
        let result = ll_sasl_start(nil, &missing)
        guard result != SASL_OK else { return nil }
        let reason = sasl_errstring(result, nil, nil).map { String(cString: $0) } ?? "code \(result)"
        guard let missing else { return Failure(description: "libsasl2 does not start: \(reason)") }
        return Failure(
            description: "libsasl2 has no mechanism plug-in `\(String(cString: missing))` (libsasl2-modules): \(reason)"
        )
    }()
}
