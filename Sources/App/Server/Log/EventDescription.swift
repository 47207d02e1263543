// An event as a person reads it: its name in the past tense, and its fields as `key=value`.
//
// One table gives both forms, text and JSON. Credentials are named by their label; verifiers are secrets and are left
// out here, so that nothing built on this can print one. Names of mailboxes are those of now; one that is gone is `#7`.
import EventStore
import MailCore
import MailTypes

/// The fields of an event in the order in which they are read.
struct EventDescription {
    let name: String
    private(set) var fields: [(key: String, value: JSONValue)] = []

    init(_ event: Event, _ names: inout NameLookup) throws {
        name = Self.name(of: event)
        switch event {
        case .mailboxCreated, .mailboxRenamed, .mailboxDeleted, .subscriptionChanged, .specialUseSet,
            .uidValidityBumped, .uidNextRaised, .recentClaimed, .keywordDefined:
            try describeMailbox(event, &names)
        case .messageAppended, .flagsChanged, .messagesExpunged, .messagesCopied, .messagesMoved, .messageRestored,
            .messagesCollected:
            try describeMessages(event, &names)
        case .queueAccepted, .queueAttempted, .queueDelivered, .queueDeferred, .queueBounced, .queueRemoved,
            .queueRescheduled:
            describeQueue(event)
        default:
            describeAccount(event)
        }
    }

    var text: String {
        ([name] + fields.map { "\($0.key)=\(Self.text($0.value))" }).joined(separator: " ")
    }

    var value: JSONValue { .object(Dictionary(fields.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })) }

    /// Texts that hold a space or a quote are quoted, so that a line can be taken apart.
    private static func text(_ value: JSONValue) -> String {
        switch value {
        case .string(let text):
            let isPlain =
                !text.isEmpty && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0.value != 0x7F }
            return isPlain ? text : value.text
        case .array(let values): return values.map(Self.text).joined(separator: ",")
        default: return value.text
        }
    }

    private mutating func add(_ key: String, _ value: JSONValue) { fields.append((key, value)) }

    private mutating func addFlags(_ key: String, _ flags: SystemFlags, _ keywords: [String]) {
        let all = flags.names + keywords
        if !all.isEmpty { add(key, .array(all.map(JSONValue.string))) }
    }

    // MARK: Account and shard

    private mutating func describeAccount(_ event: Event) {
        switch event {
        case .accountCreated(let event):
            add("address", .string(event.loginName))
            if !event.displayName.isEmpty { add("name", .string(event.displayName)) }
        case .accountStatusSet(let status): add("status", .string("\(status)"))
        case .credentialSet(let row):
            add("label", .string(row.label))
            add("scheme", .string("\(row.scheme)"))
        case .credentialRevoked(let id), .credentialUsed(let id): add("credential", .count(id))
        case .addressAdded(let row):
            add("address", .string(row.address))
            add("kind", .string("\(row.kind)"))
        case .addressRemoved(let id): add("id", .count(id))
        case .quotaSet(let quota):
            add("octets", .count(quota.bytes))
            add("messages", .count(quota.messages))
        case .sessionOpened(let event):
            add("session", .string(String(event.session.rawValue, radix: 16)))
            add("gateway", .string(event.gateway.name))
            add("tls", .bool(event.tls))
            add("from", .string(event.clientAddress))
            if !event.client.isEmpty { add("client", .string(event.client)) }
        case .settingSet(let key, let value):
            add("key", .string(key))
            // A signing key is a secret wherever it stands.
            add("value", DKIMSetting.isSecret(key) && value != nil ? "(secret)" : .text(value))
        case .retentionPolicySet(let retention):
            add("undelete_days", .count(retention.undeleteDays))
            add("history_days", .count(retention.historyDays))
        case .shardOpened(let event):
            add("shard", .count(event.shard))
            add("store", .string(event.storeUUID))
        case .clockStepped(let milliseconds): add("back_ms", .count(milliseconds))
        default: break
        }
    }

    // MARK: Mailboxes

    private mutating func describeMailbox(_ event: Event, _ names: inout NameLookup) throws {
        switch event {
        case .mailboxCreated(let event):
            add("name", .string(event.leaf))
            add("id", .count(event.mailbox.rawValue))
            if event.parent != .root { add("below", .string(try names.name(event.parent))) }
            if let use = event.specialUse { add("special_use", .string(use.attribute)) }
            add("uidvalidity", .count(event.uidValidity.rawValue))
        case .mailboxRenamed(let event):
            add("mailbox", .string(try names.name(event.mailbox)))
            add("to", .string(event.newLeaf))
            if event.newParent != .root { add("below", .string(try names.name(event.newParent))) }
        case .mailboxDeleted(let event):
            add("mailbox", .string(try names.name(event.mailbox)))
            add("messages", .count(event.messages))
        case .subscriptionChanged(let name, let on):
            add("mailbox", .string(name))
            add("on", .bool(on))
        case .specialUseSet(let mailbox, let use):
            add("mailbox", .string(try names.name(mailbox)))
            add("special_use", .text(use?.attribute))
        case .uidValidityBumped(let mailbox, let validity):
            add("mailbox", .string(try names.name(mailbox)))
            add("uidvalidity", .count(validity.rawValue))
        case .uidNextRaised(let mailbox, let next):
            add("mailbox", .string(try names.name(mailbox)))
            add("uidnext", .count(next.rawValue))
        case .recentClaimed(let mailbox, let uid):
            add("mailbox", .string(try names.name(mailbox)))
            add("up_to", .count(uid.rawValue))
        case .keywordDefined(let id, let keyword):
            add("keyword", .string(keyword.name))
            add("id", .count(id.rawValue))
        default: break
        }
    }

    // MARK: Messages

    private mutating func describeMessages(_ event: Event, _ names: inout NameLookup) throws {
        switch event {
        case .messageAppended(let event):
            add("mailbox", .string(try names.name(event.mailbox)))
            add("uid", .count(event.uid.rawValue))
            add("octets", .count(event.size))
            add("via", .string("\(event.origin)"))
            if let from = event.envelopeFrom { add("from", .string("<\(from)>")) }
            if let to = event.envelopeTo { add("to", .string("<\(to)>")) }
            addFlags("flags", event.flags, try names.keywords(event.keywords))
            add("body", .count(event.blob.rawValue))
        case .flagsChanged(let event):
            add("mailbox", .string(try names.name(event.mailbox)))
            add("uids", .string(event.uids.description))
            addFlags("add", event.add, try names.keywords(event.addKeywords))
            addFlags("remove", event.remove, try names.keywords(event.removeKeywords))
        case .messagesExpunged(let event):
            add("mailbox", .string(try names.name(event.mailbox)))
            add("uids", .string(event.uids.description))
            add("reason", .string("\(event.reason)"))
        case .messagesCopied(let event), .messagesMoved(let event):
            add("mailbox", .string(try names.name(event.source)))
            add("uids", .string(event.uids.description))
            add("to", .string(try names.name(event.destination)))
            add("as", .count(event.firstUID.rawValue))
        case .messageRestored(let event):
            add("mailbox", .string(try names.name(event.fromMailbox)))
            add("uid", .count(event.fromUID.rawValue))
            add("to", .string(try names.name(event.mailbox)))
            add("as", .count(event.uid.rawValue))
        case .messagesCollected(let event):
            add("mailbox", .string(try names.name(event.mailbox)))
            add("uids", .string(event.uids.description))
            if event.lastOfMailbox { add("last", true) }
        default: break
        }
    }

    // MARK: Queue

    private mutating func describeQueue(_ event: Event) {
        switch event {
        case .queueAccepted(let event):
            add("id", .count(event.id.rawValue))
            add("from", .string("<\(event.mailFrom)>"))
            add("to", .array(event.recipients.map { .string("<\($0)>") }))
            add("octets", .count(event.size))
            if let time = event.wishes.holdUntil { add("not-before", .string(time.text)) }
            if let time = event.wishes.deliverBy { add("not-after", .string(time.text)) }
            if event.wishes.flags.contains(.requireTLS) { add("require-tls", true) }
            if !event.wishes.envelopeID.isEmpty { add("envelope-id", .string(event.wishes.envelopeID)) }
        case .queueAttempted(let result), .queueDelivered(let result), .queueDeferred(let result),
            .queueBounced(let result):
            add("id", .count(result.id.rawValue))
            add("recipients", .array(result.recipients.map { .count($0) }))
            if result.code > 0 { add("code", .count(result.code)) }
            if !result.remoteHost.isEmpty { add("host", .string(result.remoteHost)) }
            if !result.text.isEmpty { add("reply", .string(result.text)) }
            if let next = result.nextAttempt { add("next", .string(next.text)) }
        case .queueRemoved(let id, let removal):
            add("id", .count(id.rawValue))
            add("reason", .string("\(removal)"))
        case .queueRescheduled(let event):
            add("id", .count(event.id.rawValue))
            if event.isHeld { add("held", true) } else { add("next", .string(event.nextAttempt.text)) }
        default: break
        }
    }
}

extension SystemFlags {
    /// As IMAP writes them (RFC 9051 section 2.3.2).
    var names: [String] {
        let all: [(SystemFlags, String)] = [
            (.seen, "\\Seen"), (.answered, "\\Answered"), (.flagged, "\\Flagged"), (.deleted, "\\Deleted"),
            (.draft, "\\Draft"),
        ]
        return all.filter { contains($0.0) }.map(\.1)
    }
}
