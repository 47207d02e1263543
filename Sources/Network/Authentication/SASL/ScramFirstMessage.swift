/// The GS2 header that opens a client's first message of SCRAM (RFC 5802 section 7, `gs2-cbind-flag`): what the client
/// says of channel bindings. libsasl2 reads the rest.
enum ScramBindingFlag: Equatable, Sendable {
    /// `n`: the client has none.
    case unsupported
    /// `y`: the client could bind and thinks that the server cannot.
    case serverCannot
    /// `p=name`
    case named(String)

    /// Nil when the message does not begin with a flag.
    init?(of message: [UInt8]) {
        guard let comma = message.firstIndex(of: 0x2C) else { return nil }
        switch (message[0], comma) {
        case (0x6E, 1): self = .unsupported
        case (0x79, 1): self = .serverCannot
        case (0x70, 3...):
            // cb-name: letters, digits, `.` and `-`.
            let name = message[2..<comma]
            let isName = name.allSatisfy {
                (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || $0 == 0x2E || $0 == 0x2D
            }
            guard message[1] == 0x3D, isName, name.count <= AuthenticationLimits.bindingNameOctetsMax else {
                return nil
            }
            self = .named(String(decoding: name, as: UTF8.self))
        default: return nil
        }
    }
}
