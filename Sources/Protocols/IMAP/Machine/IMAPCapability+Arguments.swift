// What belongs to an extension among arguments of commands that every server has. Where the extension is not offered,
// they are as unknown as its commands are.

extension GrammarContext {
    /// The extension is offered, or part of IMAP4rev2, which is.
    func offers(_ capability: IMAPCapability?) -> Bool {
        guard let capability, !capabilities.contains(capability) else { return true }
        return capability.isPartOfRev2 && capabilities.contains(.imap4rev2)
    }
}

extension FetchAttribute {
    var capability: IMAPCapability? {
        switch self {
        case .modSeq: .condstore
        case .emailID, .threadID: .objectID
        case .saveDate: .saveDate
        case .preview: .preview
        case .binary, .binarySize: .binary
        default: nil
        }
    }
}

extension SearchKey {
    /// Of this key alone, not of those within it.
    var capability: IMAPCapability? {
        switch self {
        case .modSeq: .condstore
        case .older, .younger: .within
        case .savedBefore, .savedOn, .savedSince, .saveDateSupported: .saveDate
        case .emailID, .threadID: .objectID
        default: nil
        }
    }
}

extension StatusAttribute {
    var capability: IMAPCapability? {
        switch self {
        case .size: .statusSize
        case .highestModSeq: .condstore
        case .appendLimit: .appendLimit
        case .mailboxID: .objectID
        case .deletedStorage: .quotaStorage
        case .messages, .uidNext, .uidValidity, .unseen, .deleted, .recent: nil
        }
    }
}

extension SortCriterion.Key {
    var capability: IMAPCapability? {
        switch self {
        case .displayFrom, .displayTo: .sortDisplay
        default: nil
        }
    }
}

extension ThreadRequest.Algorithm {
    var capability: IMAPCapability {
        switch self {
        case .orderedSubject: .threadOrderedSubject
        case .references: .threadReferences
        }
    }
}
