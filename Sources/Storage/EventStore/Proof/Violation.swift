// What `verify` says when an invariant does not hold. The numbers are those of docs/formats/invariants.md.

/// The part of the store in which an invariant is broken; the raw value is printed.
package enum ViolationClass: String, CaseIterable, Sendable {
    case log, fold, mailbox, body, maildir
}

/// The first counter-example to an invariant.
package struct Violation: Error, Equatable, Sendable, CustomStringConvertible {
    package var kind: ViolationClass
    /// Number of the invariant.
    package var invariant: Int
    package var text: String
    package var description: String { "\(kind.rawValue), invariant \(invariant): \(text)" }

    package init(_ kind: ViolationClass, _ invariant: Int, _ text: String) {
        self.kind = kind
        self.invariant = invariant
        self.text = text
    }
}

/// How much was looked at.
package struct VerifyReport: Equatable, Sendable {
    package var records = 0
    package var seals = 0
    package var accounts = 0
    package var messages = 0
    package var bodies = 0
    package var bodiesRead = 0
    package init() {}
}
