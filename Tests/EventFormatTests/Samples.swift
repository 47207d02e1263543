// One record or more of every event type: what the fixtures are made of. Samples are only ever added.
import Digests
import EventFormat
import MailCore
import MailTypes

/// An event, where it stands, and what it reads as once its personal part is erased.
struct Sample: Sendable {
    var name: String
    var event: Event
    /// Nil when the event has no personal part.
    var erased: Event?
    var context: EventContext
    var origin: Origin
    var command: CommandID?
    var retryable: Bool
    var lsn: UInt64
    var previousLSN: UInt64

    init(
        _ name: String, _ event: Event, erased: Event? = nil, account: UInt32 = 16, aseq: UInt64 = 41,
        origin: Origin = Origin(actor: AccountID(16), session: SessionID(77), gateway: .imap),
        command: CommandID? = nil, retryable: Bool = false, lsn: UInt64 = 1000, previousLSN: UInt64 = 990
    ) {
        self.name = name
        self.event = event
        self.erased = erased
        context = EventContext(
            account: AccountID(account), aseq: ModSeq(aseq), time: Timestamp(milliseconds: 1_767_225_600_123))
        self.origin = origin
        self.command = command
        self.retryable = retryable
        self.lsn = lsn
        self.previousLSN = previousLSN
    }

    static let salt: (UInt64, UInt64) = (0x1122_3344_5566_7788, 0x99AA_BBCC_DDEE_FF01)

    func encode(salt: (UInt64, UInt64) = Sample.salt) throws -> EncodedRecord {
        try RecordCodec.encode(
            event, at: context, lsn: lsn, previousLSN: previousLSN, origin: origin, command: command,
            retryable: retryable, salt: salt)
    }
}

private let command = CommandID(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10)
private let bodyHash = ContentHash(SHA256Digest.of(Array("body".utf8)))
private let box = MailboxID(3)
private let uids = uidSet(1...1, 5...9, 4_294_967_295...4_294_967_295)

func uidSet(_ runs: ClosedRange<UInt32>...) -> UIDSet { UIDSet(validating: runs) ?? UIDSet() }

let samples: [Sample] = accountSamples + mailboxSamples + messageSamples + queueSamples

private let accountSamples: [Sample] = [
    Sample(
        "full",
        .accountCreated(
            AccountCreated(
                quota: Quota(bytes: 1 << 40, messages: 100_000),
                retention: Retention(undeleteDays: 30, historyDays: 400),
                loginName: "alice@example.test", displayName: "Alice Ä.")),
        erased: .accountCreated(
            AccountCreated(
                quota: Quota(bytes: 1 << 40, messages: 100_000),
                retention: Retention(undeleteDays: 30, historyDays: 400),
                loginName: "erased-16@erased.invalid", displayName: "")),
        aseq: 1, origin: Origin(gateway: .admin), lsn: 1, previousLSN: 0),
    Sample(
        "least",
        .accountCreated(
            AccountCreated(
                quota: Quota(), retention: Retention(undeleteDays: 0, historyDays: 0), loginName: "b@c", displayName: ""
            )),
        erased: .accountCreated(
            AccountCreated(
                quota: Quota(), retention: Retention(undeleteDays: 0, historyDays: 0),
                loginName: "erased-4294967295@erased.invalid", displayName: "")),
        account: 4_294_967_295, aseq: 1, origin: Origin(), lsn: 2, previousLSN: 0),
    Sample("disabled", .accountStatusSet(.disabled)),
    Sample("removed", .accountStatusSet(.removed), origin: Origin(gateway: .admin)),
    Sample(
        "expiring",
        .credentialSet(
            CredentialRow(
                id: 2, scheme: .scram, scopes: [.imap, .smtp], expires: Timestamp(milliseconds: 1_800_000_000_000),
                label: "phone", verifier: "SCRAM-SHA-256$4096:c2FsdA==$a:b\nSCRAM-SHA-1$4096:c2FsdA==$c:d")),
        erased: .credentialSet(
            CredentialRow(
                id: 2, scheme: .scram, scopes: [.imap, .smtp], expires: Timestamp(milliseconds: 1_800_000_000_000),
                label: "erased-2", verifier: ""))),
    Sample(
        "external",
        .credentialSet(
            CredentialRow(id: 3, scheme: .external, scopes: .all, expires: nil, label: "password", verifier: "")),
        erased: .credentialSet(
            CredentialRow(id: 3, scheme: .external, scopes: .all, expires: nil, label: "erased-3", verifier: ""))),
    Sample("one", .credentialRevoked(id: 2)),
    Sample("one", .credentialUsed(id: 300)),
    Sample(
        "alias", .addressAdded(AddressRow(id: 2, kind: .alias, address: "al@example.test")),
        erased: .addressAdded(AddressRow(id: 2, kind: .alias, address: "erased-16-2@erased.invalid"))),
    Sample(
        "catch-all", .addressAdded(AddressRow(id: 300, kind: .catchAll, address: "*@example.test")),
        erased: .addressAdded(AddressRow(id: 300, kind: .catchAll, address: "*@erased-16-300.invalid"))),
    Sample("one", .addressRemoved(id: 300)),
    Sample("set", .quotaSet(Quota(bytes: .max, messages: 1))),
    Sample("none", .quotaSet(Quota())),
    Sample(
        "imap",
        .sessionOpened(
            SessionOpened(
                session: SessionID(.max), gateway: .imap, tls: true, clientAddress: "2001:db8::1", client: "Mailer 1.0")
        ),
        erased: .sessionOpened(
            SessionOpened(session: SessionID(.max), gateway: .imap, tls: true, clientAddress: "", client: ""))),
    Sample(
        "nameless",
        .sessionOpened(SessionOpened(session: SessionID(1), gateway: .lmtp, tls: false, clientAddress: "", client: ""))),
    Sample(
        "value", .settingSet(key: "signature", value: "Yours\r\nA."), erased: .settingSet(key: "signature", value: nil)),
    Sample("empty", .settingSet(key: "signature", value: ""), erased: .settingSet(key: "signature", value: nil)),
    Sample("removed", .settingSet(key: "signature", value: nil)),
    Sample("days", .retentionPolicySet(Retention(undeleteDays: 14, historyDays: 36500))),
    Sample("none", .retentionPolicySet(Retention(undeleteDays: 0, historyDays: 0))),
]

private let mailboxSamples: [Sample] = [
    Sample(
        "special",
        .mailboxCreated(
            MailboxCreated(
                mailbox: box, parent: .root, uidValidity: UIDValidity(1_767_225_600), specialUse: .sent,
                leaf: "Gesendete Objekte")),
        erased: .mailboxCreated(
            MailboxCreated(
                mailbox: box, parent: .root, uidValidity: UIDValidity(1_767_225_600), specialUse: .sent,
                leaf: "erased-3"))),
    Sample(
        "nested",
        .mailboxCreated(
            MailboxCreated(
                mailbox: MailboxID(4), parent: box, uidValidity: UIDValidity(.max), specialUse: nil, leaf: "日本")),
        erased: .mailboxCreated(
            MailboxCreated(
                mailbox: MailboxID(4), parent: box, uidValidity: UIDValidity(.max), specialUse: nil, leaf: "erased-4"))),
    Sample(
        "moved", .mailboxRenamed(MailboxRenamed(mailbox: MailboxID(4), newParent: MailboxID(9), newLeaf: "New")),
        erased: .mailboxRenamed(MailboxRenamed(mailbox: MailboxID(4), newParent: MailboxID(9), newLeaf: "erased-4"))),
    Sample("full", .mailboxDeleted(MailboxDeleted(mailbox: box, finalUIDNext: 1001, messages: 12))),
    Sample("empty", .mailboxDeleted(MailboxDeleted(mailbox: box, finalUIDNext: 1, messages: 0))),
    Sample(
        "on", .subscriptionChanged(name: "INBOX/Lists", on: true),
        erased: .subscriptionChanged(name: "erased-16-41", on: false)),
    Sample(
        "off", .subscriptionChanged(name: "INBOX/Lists", on: false),
        erased: .subscriptionChanged(name: "erased-16-41", on: false)),
    Sample("trash", .specialUseSet(box, .trash)),
    Sample("none", .specialUseSet(box, nil)),
    Sample("bump", .uidValidityBumped(box, UIDValidity(1_767_225_601))),
    Sample("claim", .recentClaimed(box, upTo: UID(99))),
    Sample(
        "forwarded", .keywordDefined(KeywordID(0), Keyword("$Forwarded")!),
        erased: .keywordDefined(KeywordID(0), Keyword("erased-0")!)),
    Sample(
        "spilled", .keywordDefined(KeywordID(700), Keyword("later")!),
        erased: .keywordDefined(KeywordID(700), Keyword("erased-700")!)),
    Sample("import", .uidNextRaised(box, to: UID(4_000_000_000)), origin: Origin(gateway: .admin)),
]

private let fullAppend = MessageAppended(
    mailbox: box, uid: UID(17), email: EmailID(1 << 33), blob: BlobNumber(123_456_789), size: 10_240, hash: bodyHash,
    internalDate: InternalDate(time: Timestamp(milliseconds: 1_767_225_599_000), zoneMinutes: -570),
    flags: [.seen, .draft], keywords: [KeywordID(0), KeywordID(5), KeywordID(700)], origin: .import,
    uidl: "0001abcd", envelopeFrom: "bob@example.test", envelopeTo: "alice+lists@example.test")

private func changed<T>(_ value: T, _ change: (inout T) -> Void) -> T {
    var value = value
    change(&value)
    return value
}

private let messageSamples: [Sample] = [
    Sample(
        "full", .messageAppended(fullAppend),
        erased: .messageAppended(
            changed(fullAppend) {
                $0.envelopeFrom = nil
                $0.envelopeTo = nil
            }),
        origin: Origin(actor: AccountID(16), session: SessionID(77), gateway: .maildirImport), command: command,
        retryable: true),
    Sample(
        "null-sender",
        .messageAppended(
            changed(fullAppend) {
                $0.uidl = nil
                $0.envelopeFrom = ""
                $0.keywords = []
                $0.flags = []
                $0.origin = .lmtp
            }),
        erased: .messageAppended(
            changed(fullAppend) {
                $0.uidl = nil
                $0.envelopeFrom = nil
                $0.envelopeTo = nil
                $0.keywords = []
                $0.flags = []
                $0.origin = .lmtp
            }),
        origin: Origin(session: SessionID(78), gateway: .lmtp)),
    Sample(
        "least",
        .messageAppended(
            MessageAppended(
                mailbox: MailboxID(1), uid: UID(1), email: EmailID(1), blob: BlobNumber(1), size: 0, hash: .zero,
                internalDate: InternalDate(time: Timestamp(milliseconds: -1)), origin: .append)),
        origin: Origin()),
    Sample(
        "add",
        .flagsChanged(
            FlagsChanged(
                mailbox: box, uids: uids, add: [.seen, .flagged], remove: [.deleted], addKeywords: [KeywordID(1)],
                removeKeywords: [KeywordID(2), KeywordID(200)])),
        command: command),
    Sample("nothing", .flagsChanged(FlagsChanged(mailbox: box, uids: UIDSet()))),
    Sample("all-reasons", .messagesExpunged(MessagesExpunged(mailbox: box, uids: uids, reason: .erasure))),
    Sample("expunge", .messagesExpunged(MessagesExpunged(mailbox: box, uids: uidSet(2...2), reason: .expunge))),
    Sample(
        "runs",
        .messagesCopied(
            MessagesCopied(source: box, destination: MailboxID(4), uids: uidSet(1...3, 7...7), firstUID: UID(100)))),
    Sample(
        "within",
        .messagesMoved(MessagesCopied(source: box, destination: box, uids: uidSet(1...3, 7...7), firstUID: UID(100)))),
    Sample(
        "one",
        .messageRestored(MessageRestored(mailbox: box, uid: UID(8), fromMailbox: MailboxID(2), fromUID: UID(5)))),
    Sample("some", .messagesCollected(MessagesCollected(mailbox: box, uids: uids)), origin: Origin(gateway: .engine)),
    Sample("last", .messagesCollected(MessagesCollected(mailbox: box, uids: UIDSet(), lastOfMailbox: true))),
]

private let attempt = QueueResult(
    id: QueueID(12), recipients: [0, 999], code: 451, nextAttempt: Timestamp(milliseconds: 1_767_226_500_000),
    remoteHost: "mx.example.test", text: "4.2.0 try later")
private let silent = QueueResult(id: QueueID(12), recipients: [1], code: 0)

private func erasedResult(_ result: QueueResult) -> QueueResult {
    changed(result) {
        $0.remoteHost = ""
        $0.text = ""
    }
}

private let accepted = QueueAccepted(
    id: QueueID(12), blob: BlobNumber(5), size: 2048, hash: bodyHash, mailFrom: "alice@example.test",
    recipients: ["bob@example.test", "carol@example.test"])

private let wishful = changed(accepted) {
    $0.wishes = QueueWishes(
        flags: QueueFlags(rawValue: 127), holdUntil: Timestamp(milliseconds: 1_767_226_000_000),
        deliverBy: Timestamp(milliseconds: 1_767_227_000_000), envelopeID: "QQ314159")
    $0.notify = [.never, [.success, .failure, .delay]]
    $0.originals = ["", "rfc822;Carol+2B@example.test"]
}

private let inward = changed(accepted) {
    $0.recipients = ["bob@example.test"]
    $0.wishes = QueueWishes(flags: .inward)
    $0.notify = [.success]
}

private let queueSamples: [Sample] = [
    Sample(
        "two", .queueAccepted(accepted),
        erased: .queueAccepted(
            changed(accepted) {
                $0.mailFrom = ""
                $0.recipients = ["erased-12-0@erased.invalid", "erased-12-1@erased.invalid"]
            }),
        account: 1, command: command, retryable: true),
    Sample(
        "null-sender",
        .queueAccepted(
            changed(accepted) {
                $0.mailFrom = ""
                $0.recipients = ["a@b"]
            }),
        erased: .queueAccepted(
            changed(accepted) {
                $0.mailFrom = ""
                $0.recipients = ["erased-12-0@erased.invalid"]
            }),
        account: 1),
    Sample(
        "wishes", .queueAccepted(wishful),
        erased: .queueAccepted(
            changed(wishful) {
                $0.mailFrom = ""
                $0.recipients = ["erased-12-0@erased.invalid", "erased-12-1@erased.invalid"]
                $0.wishes.envelopeID = ""
                $0.originals = []
            }),
        account: 1),
    Sample(
        "inward", .queueAccepted(inward),
        erased: .queueAccepted(
            changed(inward) {
                $0.mailFrom = ""
                $0.recipients = ["erased-12-0@erased.invalid"]
            }),
        account: 1),
    Sample("full", .queueAttempted(attempt), erased: .queueAttempted(erasedResult(attempt)), account: 1),
    Sample("silent", .queueAttempted(silent), account: 1),
    Sample("full", .queueDelivered(attempt), erased: .queueDelivered(erasedResult(attempt)), account: 1),
    Sample("full", .queueDeferred(attempt), erased: .queueDeferred(erasedResult(attempt)), account: 1),
    Sample("full", .queueBounced(attempt), erased: .queueBounced(erasedResult(attempt)), account: 1),
    Sample("done", .queueRemoved(QueueID(12), .done), account: 1),
    Sample("operator", .queueRemoved(QueueID(12), .operatorRequest), account: 1),
    Sample(
        "held",
        .queueRescheduled(QueueRescheduled(id: QueueID(12), nextAttempt: QueueEntry.never, isHeld: true)), account: 1),
    Sample(
        "retried",
        .queueRescheduled(
            QueueRescheduled(
                id: QueueID(12), nextAttempt: Timestamp(milliseconds: 1_767_226_500_000), isHeld: false)),
        account: 1),
    Sample(
        "first", .shardOpened(ShardOpened(shard: 0, storeUUID: "00112233445566778899aabbccddeeff")), account: 0,
        aseq: 1,
        origin: Origin(gateway: .engine), lsn: 1, previousLSN: 0),
    Sample("minute", .clockStepped(backMilliseconds: 60_000), account: 0, origin: Origin(gateway: .engine)),
]
