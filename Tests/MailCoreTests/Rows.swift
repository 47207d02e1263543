// Given events, when a command, then events or a refusal: the form of most tests here.
import EventStore
import MailCore
import MailTypes
import Testing

/// What a row expects of decide.
enum Expected: Sendable {
    case events([Event])
    case eventsAnswering([Event], CommandResult)
    /// For `.limit` and `.invalidName` the text is not compared.
    case refused(Refusal)
}

struct Row: Sendable, CustomTestStringConvertible {
    var name: String
    var account: AccountID
    /// Events of `account` after those of `base`.
    var given: [Event]
    var bodies: [BodyReference]
    var when: AccountCommand
    var then: Expected
    var testDescription: String { name }

    init(
        _ name: String, account: AccountID = alice, given: [Event] = [], bodies: [BodyReference] = [],
        when: AccountCommand, then: Expected
    ) {
        self.name = name
        self.account = account
        self.given = given
        self.bodies = bodies
        self.when = when
        self.then = then
    }

    func check() throws {
        let world = try World()
        try world.fold(given, account)
        switch then {
        case .events(let expected):
            let decision = try world.decide(when, account, bodies)
            #expect(decision.events == expected)
            try world.fold(decision.events, account)
        case .eventsAnswering(let expected, let result):
            let decision = try world.decide(when, account, bodies)
            #expect(decision.events == expected)
            #expect(decision.result == result)
            try world.fold(decision.events, account)
        case .refused(let refusal):
            let before = try world.dump()
            let answer = try world.refusal(when, account, bodies)
            #expect(answer.map(comparable) == comparable(refusal))
            #expect(try world.dump() == before)
        }
    }
}

private func comparable(_ refusal: Refusal) -> Refusal {
    switch refusal {
    case .limit: .limit("")
    case .invalidName: .invalidName("")
    default: refusal
    }
}

let alice = AccountID(16)
let bob = AccountID(17)
let inbox = MailboxID(1)
let archive = MailboxID(2)
/// 2026-08-22T12:00:00Z.
let noon = Timestamp(seconds: 1_787_400_000)
let firstValidity: UInt32 = 1_787_000_000

/// Alice with INBOX and Archive, Bob with INBOX; all empty.
func base() -> [(AccountID, [Event])] {
    [
        (.system, [.shardOpened(ShardOpened(shard: 0, storeUUID: String(repeating: "0", count: 32)))]),
        (
            alice,
            [
                created("alice@example.test"), address(1, .primary, "alice@example.test"),
                .credentialSet(credential(1, "password")), box(1, "INBOX"), box(2, "Archive"),
            ]
        ),
        (bob, [created("bob@example.test"), address(1, .primary, "bob@example.test"), box(1, "INBOX")]),
    ]
}

func created(_ login: String, _ quota: Quota = Quota()) -> Event {
    .accountCreated(AccountCreated(quota: quota, retention: Retention(), loginName: login, displayName: ""))
}

func address(_ id: UInt32, _ kind: AddressKind, _ text: String) -> Event {
    .addressAdded(AddressRow(id: id, kind: kind, address: text))
}

func credential(_ id: UInt32, _ label: String, verifier: String = "v") -> CredentialRow {
    CredentialRow(id: id, scheme: .scram, scopes: .all, expires: nil, label: label, verifier: verifier)
}

func box(
    _ id: UInt32, _ leaf: String, in parent: UInt32 = 0, validity: UInt32? = nil, use: SpecialUse? = nil
) -> Event {
    .mailboxCreated(
        MailboxCreated(
            mailbox: MailboxID(id), parent: MailboxID(parent), uidValidity: UIDValidity(validity ?? firstValidity + id),
            specialUse: use, leaf: leaf))
}

/// A message whose body and email have the number of its UID.
func message(
    _ uid: UInt32, in mailbox: MailboxID = inbox, flags: SystemFlags = [], keywords: [UInt16] = [], size: UInt32 = 100
) -> Event {
    .messageAppended(
        MessageAppended(
            mailbox: mailbox, uid: UID(uid), email: EmailID(UInt64(uid)), blob: BlobNumber(UInt64(uid)), size: size,
            hash: .zero, internalDate: InternalDate(time: noon), flags: flags, keywords: keywords.map { KeywordID($0) },
            origin: .lmtp))
}

func body(_ number: UInt64, size: UInt32 = 100) -> BodyReference {
    BodyReference(blob: BlobNumber(number), size: size, hash: ContentHash(number, 0, 0, 0))
}

func uids(_ uids: UInt32...) -> UIDSet { UIDSet(uids.map { UID($0) }) }
func uids(_ range: ClosedRange<UInt32>) -> UIDSet { UIDSet(UID(range.lowerBound)...UID(range.upperBound)) }
/// `1:*` of a session that knows nothing.
let everything = UIDSet(UID(1)...UID(.max))

func keyword(_ name: String) -> Keyword {
    guard let keyword = Keyword(name) else { preconditionFailure("\(name) is no keyword") }
    return keyword
}

func mailboxName(_ text: String) -> MailboxName {
    guard let name = MailboxName(text) else { preconditionFailure("\(text) is no mailbox name") }
    return name
}

func mailAddress(_ text: String) -> Address {
    guard let address = Address(text) else { preconditionFailure("\(text) is no address") }
    return address
}

/// A state, and the moment in which commands reach it.
final class World {
    let state = MemoryState()
    var now = noon

    init() throws {
        for (account, events) in base() { try fold(events, account) }
    }

    func fold(_ events: [Event], _ account: AccountID = alice) throws {
        for event in events {
            let position = (state.head(account)?.aseq ?? .zero).next
            try evolve(event, at: EventContext(account: account, aseq: position, time: now), in: state)
        }
    }

    func decide(_ command: AccountCommand, _ account: AccountID = alice, _ bodies: [BodyReference] = []) throws
        -> Decision
    {
        try MailCore.decide(command, DecideContext(account: account, now: now, bodies: bodies), state)
    }

    @discardableResult
    func run(_ command: AccountCommand, _ account: AccountID = alice, _ bodies: [BodyReference] = []) throws
        -> CommandResult
    {
        let decision = try decide(command, account, bodies)
        try fold(decision.events, account)
        return decision.result
    }

    /// Nil when the command was not refused.
    func refusal(_ command: AccountCommand, _ account: AccountID = alice, _ bodies: [BodyReference] = []) throws
        -> Refusal?
    {
        do {
            _ = try decide(command, account, bodies)
            return nil
        } catch DecideError.refused(let refusal) {
            return refusal
        }
    }

    /// UIDs that are live in a mailbox.
    func live(_ mailbox: MailboxID = inbox, _ account: AccountID = alice) -> UIDSet {
        var set = UIDSet()
        state.messages(account, mailbox, from: UID(1)) { uid, _ in
            set.insertAtEnd(uid)
            return true
        }
        return set
    }

    func keywords(_ uid: UInt32, _ mailbox: MailboxID = inbox) throws -> [UInt16] {
        let row = try #require(state.message(alice, mailbox, UID(uid)))
        return try state.keywords(alice, mailbox, UID(uid), row).map(\.rawValue)
    }

    func dump() throws -> [String] {
        var lines = RowLines()
        try state.forEachRow(&lines)
        return lines.lines
    }
}

/// Every row as a line of text.
struct RowLines: RowVisitor {
    var lines: [String] = []
    mutating func head(_ account: AccountID, _ row: AccountHead) { lines.append("\(account) \(row)") }
    mutating func mailbox(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxRow) {
        lines.append("\(account) \(mailbox) \(row)")
    }
    mutating func message(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: MessageRow) {
        lines.append("\(account) \(mailbox) \(uid) \(row)")
    }
    mutating func change(_ account: AccountID, _ mailbox: MailboxID, _ position: ModSeq, _ row: ChangeRow) {
        lines.append("\(account) \(mailbox) \(position) \(row)")
    }
    mutating func expunged(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: ExpungedRow) {
        lines.append("\(account) \(mailbox) \(uid) \(row)")
    }
    mutating func name(_ account: AccountID, parent: MailboxID, leaf: String, _ mailbox: MailboxID) {
        lines.append("\(account) \(parent)/\(leaf) \(mailbox)")
    }
    mutating func keyword(_ account: AccountID, _ id: KeywordID, _ keyword: Keyword) {
        lines.append("\(account) \(id) \(keyword)")
    }
    mutating func keywordID(_ account: AccountID, _ keyword: Keyword, _ id: KeywordID) {
        lines.append("\(account) \(keyword) \(id)")
    }
    mutating func subscription(_ account: AccountID, _ name: String) { lines.append("\(account) subscribed \(name)") }
    mutating func credential(_ account: AccountID, _ row: CredentialRow) { lines.append("\(account) \(row)") }
    mutating func address(_ account: AccountID, _ row: AddressRow) { lines.append("\(account) \(row)") }
    mutating func setting(_ account: AccountID, _ key: String, _ value: String) {
        lines.append("\(account) \(key)=\(value)")
    }
    mutating func spilledKeywords(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ ids: [KeywordID]) {
        lines.append("\(account) \(mailbox) \(uid) spill \(ids)")
    }
    mutating func uidl(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ uidl: String) {
        lines.append("\(account) \(mailbox) \(uid) UIDL \(uidl)")
    }
    mutating func tombstone(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxTombstone) {
        lines.append("\(account) \(mailbox) \(row)")
    }
    mutating func nextAccount(_ account: AccountID) { lines.append("next \(account)") }
    mutating func owner(ofAddress key: String, _ account: AccountID) { lines.append("\(key) \(account)") }
    mutating func queueEntry(_ id: QueueID, _ entry: QueueEntry) { lines.append("\(id) \(entry)") }
}
