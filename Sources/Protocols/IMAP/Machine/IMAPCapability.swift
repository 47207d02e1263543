/// An extension or version that CAPABILITY names. One is offered only when all of it works.
package enum IMAPCapability: UInt8, CaseIterable, Sendable {
    case imap4rev1, imap4rev2
    case literalPlus, saslIR, enable, id
    case idle, namespace, children, unselect, uidPlus, move, condstore, qresync
    case listExtended, listStatus, specialUse, createSpecialUse, statusSize
    case esearch, searchRes, within, sort, sortDisplay, esort, threadOrderedSubject, threadReferences
    case multiAppend, appendLimit, binary, catenate, utf8Accept, replace
    case quota, quotaStorage, quotaMessage
    case objectID, saveDate, preview
    case compressDeflate, inProgress, i18nLevel1, unauthenticate

    /// As in CAPABILITY and ENABLE. APPENDLIMIT is followed by its value.
    package var name: String {
        switch self {
        case .imap4rev1: "IMAP4rev1"
        case .imap4rev2: "IMAP4rev2"
        case .literalPlus: "LITERAL+"
        case .saslIR: "SASL-IR"
        case .enable: "ENABLE"
        case .id: "ID"
        case .idle: "IDLE"
        case .namespace: "NAMESPACE"
        case .children: "CHILDREN"
        case .unselect: "UNSELECT"
        case .uidPlus: "UIDPLUS"
        case .move: "MOVE"
        case .condstore: "CONDSTORE"
        case .qresync: "QRESYNC"
        case .listExtended: "LIST-EXTENDED"
        case .listStatus: "LIST-STATUS"
        case .specialUse: "SPECIAL-USE"
        case .createSpecialUse: "CREATE-SPECIAL-USE"
        case .statusSize: "STATUS=SIZE"
        case .esearch: "ESEARCH"
        case .searchRes: "SEARCHRES"
        case .within: "WITHIN"
        case .sort: "SORT"
        case .sortDisplay: "SORT=DISPLAY"
        case .esort: "ESORT"
        case .threadOrderedSubject: "THREAD=ORDEREDSUBJECT"
        case .threadReferences: "THREAD=REFERENCES"
        case .multiAppend: "MULTIAPPEND"
        case .appendLimit: "APPENDLIMIT"
        case .binary: "BINARY"
        case .catenate: "CATENATE"
        case .utf8Accept: "UTF8=ACCEPT"
        case .replace: "REPLACE"
        case .quota: "QUOTA"
        case .quotaStorage: "QUOTA=RES-STORAGE"
        case .quotaMessage: "QUOTA=RES-MESSAGE"
        case .objectID: "OBJECTID"
        case .saveDate: "SAVEDATE"
        case .preview: "PREVIEW"
        case .compressDeflate: "COMPRESS=DEFLATE"
        case .inProgress: "INPROGRESS"
        case .i18nLevel1: "I18NLEVEL=1"
        case .unauthenticate: "UNAUTHENTICATE"
        }
    }

    /// Told before login too: what a client needs in order to log in. The rest would only lengthen the greeting.
    var isToldBeforeLogin: Bool {
        switch self {
        case .imap4rev1, .imap4rev2, .literalPlus, .saslIR, .enable, .id: true
        default: false
        }
    }

    /// IMAP4rev2 has it in itself (RFC 9051 appendix E), so its commands are there whether or not it is named.
    var isPartOfRev2: Bool {
        switch self {
        case .namespace, .unselect, .uidPlus, .esearch, .searchRes, .enable, .idle, .saslIR, .listExtended, .listStatus,
            .move, .binary, .specialUse, .statusSize, .children:
            true
        default: false
        }
    }
}

/// A set of capabilities.
package struct IMAPCapabilities: Equatable, Sendable, ExpressibleByArrayLiteral {
    private var bits: UInt64

    package init(arrayLiteral elements: IMAPCapability...) { self.init(elements) }
    package init(_ elements: [IMAPCapability]) { bits = elements.reduce(0) { $0 | 1 << UInt64($1.rawValue) } }

    package static let all = IMAPCapabilities(IMAPCapability.allCases)

    package func contains(_ capability: IMAPCapability) -> Bool { bits & 1 << UInt64(capability.rawValue) != 0 }
    package mutating func remove(_ capability: IMAPCapability) { bits &= ~(1 << UInt64(capability.rawValue)) }
    package mutating func insert(_ capability: IMAPCapability) { bits |= 1 << UInt64(capability.rawValue) }
    package mutating func subtract(_ other: IMAPCapabilities) { bits &= ~other.bits }
    package func subtracting(_ other: IMAPCapabilities) -> IMAPCapabilities {
        var result = self
        result.subtract(other)
        return result
    }
    package var isEmpty: Bool { bits == 0 }

    /// By name in any case, as an administrator writes it; nil when it is not known.
    package static func named(_ name: String) -> IMAPCapability? {
        let upper = name.uppercased()
        return IMAPCapability.allCases.first { $0.name.uppercased() == upper }
    }
}

/// What the client switched on (RFC 5161, RFC 7162 section 3.1).
package struct IMAPEnabled: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// FETCH responses carry MODSEQ; set also by every CONDSTORE enabling command.
    package static let condstore = IMAPEnabled(rawValue: 1)
    /// VANISHED instead of EXPUNGE; UID in every FETCH. Implies `condstore`.
    package static let qresync = IMAPEnabled(rawValue: 2)
    /// No RECENT, UNSEEN and SEARCH responses; mailbox names in UTF-8.
    package static let rev2 = IMAPEnabled(rawValue: 4)
    package static let utf8Accept = IMAPEnabled(rawValue: 8)

    /// Quoted strings may hold UTF-8, mailbox names are UTF-8.
    package var usesUTF8: Bool { !isDisjoint(with: [.rev2, .utf8Accept]) }
}

/// What is fixed for a session, or changes with TLS and login by the handler's hand.
package struct IMAPServerConfiguration: Equatable, Sendable {
    /// The name in the greeting: printable ASCII.
    package var hostName: String
    /// What is offered; the handler leaves out what it cannot do.
    package var capabilities = IMAPCapabilities.all
    /// LOGIN and mechanisms that show the password may be used: the connection is encrypted, or on loopback.
    package var allowsPlaintextLogin: Bool
    /// TLS can begin by STARTTLS.
    package var canStartTLS = false
    /// SASL mechanisms that may be used as things stand, in upper case, best first.
    package var mechanisms: [String] = []
    /// Those that could be used over an encrypted connection, and may not over this one.
    package var mechanismsUnderTLS: [String] = []
    /// The size of a message that is taken (RFC 7889).
    package var appendOctetsMax: UInt64
    /// LITERAL- instead of LITERAL+ (RFC 7888 section 5).
    package var usesLiteralMinus = false
    /// What ID answers.
    package var serverID: [IMAPIDField] = [IMAPIDField("name", "Letterlog")]

    package init(hostName: String, allowsPlaintextLogin: Bool, appendOctetsMax: UInt64) {
        self.hostName = hostName
        self.allowsPlaintextLogin = allowsPlaintextLogin
        self.appendOctetsMax = appendOctetsMax
    }
}
