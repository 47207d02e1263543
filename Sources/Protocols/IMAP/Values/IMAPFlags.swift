import MailTypes

/// Flags as a client named them (RFC 9051 section 2.3.2). System flags that are not known are passed over: no client can
/// set them, and PERMANENTFLAGS says so.
package struct IMAPFlags: Equatable, Sendable {
    package var system: SystemFlags
    /// In the client's order, without repeats.
    package var keywords: [Keyword]

    package init(system: SystemFlags = [], keywords: [Keyword] = []) {
        self.system = system
        self.keywords = keywords
    }

    package var isEmpty: Bool { system.isEmpty && keywords.isEmpty }
}
