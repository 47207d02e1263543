/// Octets that nothing may print: a password, a message of a login. No description, mirror or interpolation shows them.
public struct SecretOctets: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    public let octets: [UInt8]

    public init(_ octets: [UInt8]) { self.octets = octets }

    public var description: String { "SecretOctets(redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
