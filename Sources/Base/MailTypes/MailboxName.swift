/// A mailbox's full name: components joined by `/`, in UTF-8 (RFC 9051 section 5.1). `INBOX` in any case is INBOX.
public struct MailboxName: Hashable, Sendable, CustomStringConvertible {
    public static let separator: Character = "/"
    public static let componentOctetsMax = 255
    public static let depthMax = 32

    public let components: [String]

    public static let inbox = MailboxName(trusted: ["INBOX"])

    /// Nil when a component is empty, too long, holds a control character, or there are too many of them.
    public init?(components: [String]) {
        guard (1...Self.depthMax).contains(components.count) else { return nil }
        for component in components {
            guard (1...Self.componentOctetsMax).contains(component.utf8.count),
                component.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != 0x2F })
            else { return nil }
        }
        var canonical = components
        // Only the letters of US-ASCII: in upper case the dotless i of Turkish is an I too.
        if canonical[0].utf8.count == 5, canonical[0].uppercased() == "INBOX" { canonical[0] = "INBOX" }
        self.components = canonical
    }

    /// From `Archive/2026`.
    public init?(_ text: String) {
        self.init(components: text.split(separator: Self.separator, omittingEmptySubsequences: false).map(String.init))
    }

    public var isInbox: Bool { components == ["INBOX"] }
    public var leaf: String { components[components.count - 1] }
    /// The name above, or nil at the top.
    public var parent: MailboxName? { components.count > 1 ? MailboxName(trusted: components.dropLast()) : nil }
    public var description: String { components.joined(separator: String(Self.separator)) }

    private init(trusted components: some Sequence<String>) { self.components = Array(components) }
}
