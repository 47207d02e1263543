// LIST and LSUB (RFC 9051 section 6.3.9 with RFC 5258, RFC 5819 and RFC 6154; RFC 3501 section 6.3.9).
import EventStore
import IMAP
import MailCore
import MailEngine
import MailTypes

/// One LIST response, and the STATUS response that goes with it.
struct ListItem {
    var name: String
    var attributes: [String]
    /// RFC 5258 section 3.5: why a name is there whose children are what was asked for.
    var childInfo: [String] = []
    var mailbox: MailboxListing?
}

extension IMAPSession {
    func list(_ request: ListRequest) {
        guard let account else { return }
        if !request.isExtended, request.patterns == [""] {
            // RFC 9051 section 6.3.9: an empty pattern asks for the separator.
            respond { $0.list("", attributes: ["\\Noselect"], isLsub: request.isLsub) }
            return finish(.ok("Done"))
        }
        let found = snapshot { state -> [(ListItem, [IMAPWriter.StatusItem]?)] in
            let mailboxes = try state.mailboxList(account)
            let subscriptions = try state.subscriptions(account)
            let items = Listing(request, mailboxes, subscriptions).items
            return try items.map { item in
                guard let mailbox = item.mailbox, !request.status.isEmpty else { return (item, nil) }
                return (item, try statusItems(state, account, mailbox.id, request.status))
            }
        }
        guard let found else { return }
        respond { out in
            for (item, status) in found {
                out.list(item.name, attributes: item.attributes, childInfo: item.childInfo, isLsub: request.isLsub)
                if let status, let mailbox = item.mailbox { out.status(mailbox.name, status) }
            }
        }
        finish(.ok("Done"))
    }
}

/// Which names a LIST shows, and what it says of each.
private struct Listing {
    private let request: ListRequest
    private let patterns: [ListPattern]
    private let mailboxes: [MailboxListing]
    private let subscribed: Set<String>

    init(_ request: ListRequest, _ mailboxes: [MailboxListing], _ subscriptions: [String]) {
        self.request = request
        patterns = request.patterns.map { ListPattern(reference: request.reference, pattern: $0) }
        self.mailboxes = mailboxes
        subscribed = Set(subscriptions)
    }

    private func matches(_ name: String) -> Bool { patterns.contains { $0.matches(name) } }

    var items: [ListItem] {
        let wantsSubscribed = request.isLsub || request.selection.contains(.subscribed)
        let byName = Dictionary(mailboxes.map { ($0.name.description, $0) }, uniquingKeysWith: { a, _ in a })
        var names = mailboxes.map(\.name.description)
        if wantsSubscribed { names += subscribed.subtracting(names).sorted() }
        var items: [ListItem] = []
        for name in names {
            let isSubscribed = subscribed.contains(name)
            let mailbox = byName[name]
            let isSelected =
                (!wantsSubscribed || isSubscribed)
                && (!request.selection.contains(.specialUse) || mailbox?.row.specialUse != nil)
            let hasSelectedBelow = recursive && hasSelectedChild(name)
            guard isSelected || hasSelectedBelow, matches(name) else { continue }
            items.append(item(name, mailbox, isSubscribed, hasSelectedBelow, isSelected))
        }
        return request.isLsub ? items + parentsOfSubscribed(Set(items.map(\.name))) : items
    }

    private var recursive: Bool { request.selection.contains(.recursiveMatch) }

    /// Whether a name below it meets the selection and is not itself shown by the patterns.
    private func hasSelectedChild(_ name: String) -> Bool {
        let prefix = name + "/"
        if request.selection.contains(.subscribed), subscribed.contains(where: { $0.hasPrefix(prefix) }) { return true }
        guard request.selection.contains(.specialUse) else { return false }
        return mailboxes.contains { $0.row.specialUse != nil && $0.name.description.hasPrefix(prefix) }
    }

    private func item(
        _ name: String, _ mailbox: MailboxListing?, _ isSubscribed: Bool, _ hasSelectedBelow: Bool, _ isSelected: Bool
    ) -> ListItem {
        var attributes: [String] = []
        if mailbox == nil { attributes.append(request.isLsub ? "\\Noselect" : "\\NonExistent") }
        if !request.isLsub || mailbox != nil {
            let hasChildren = mailbox?.hasChildren ?? mailboxes.contains { $0.name.description.hasPrefix(name + "/") }
            if !request.isLsub { attributes.append(hasChildren ? "\\HasChildren" : "\\HasNoChildren") }
        }
        if isSubscribed, !request.isLsub,
            request.returns.contains(.subscribed) || request.selection.contains(.subscribed)
        {
            attributes.append("\\Subscribed")
        }
        if !request.isLsub, let use = mailbox?.row.specialUse { attributes.append(use.attribute) }
        var info: [String] = []
        if hasSelectedBelow, recursive {
            if request.selection.contains(.subscribed) { info.append("SUBSCRIBED") }
            if request.selection.contains(.specialUse) { info.append("SPECIAL-USE") }
        }
        return ListItem(
            name: name, attributes: attributes, childInfo: info, mailbox: mailbox)
    }

    /// RFC 3501 section 6.3.9: with `%`, a name that only has subscribed names below it is shown as `\Noselect`.
    private func parentsOfSubscribed(_ shown: Set<String>) -> [ListItem] {
        guard request.patterns.contains(where: { $0.contains("%") }) else { return [] }
        var parents: Set<String> = []
        for name in subscribed {
            var components = name.split(separator: "/", omittingEmptySubsequences: false)
            while components.count > 1 {
                components.removeLast()
                let parent = components.joined(separator: "/")
                if !shown.contains(parent), matches(parent) { parents.insert(parent) }
            }
        }
        return parents.sorted().map { ListItem(name: $0, attributes: ["\\Noselect"]) }
    }
}
