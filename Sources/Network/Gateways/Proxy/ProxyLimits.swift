/// Bounds of the header of the PROXY protocol.
enum ProxyLimits {
    /// A header of version 1 with its CRLF (section 2.1 of the specification).
    static let textOctetsMax = 107
    /// A header of version 2 with all it carries. Addresses take 216 octets at most; the rest is for records that we
    /// pass over, such as those that tell of TLS.
    static let binaryOctetsMax = 4_096
    /// How long a proxy may take to send it.
    static let waitSecondsMax: Int64 = 5
}
