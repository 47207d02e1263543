// SEARCH and UID SEARCH (RFC 9051 section 6.4.4, RFC 4731, RFC 5182, RFC 7162 section 3.1.5).
import IMAP
import Logging
import MailCore
import MailEngine
import MailTypes

extension IMAPSession {
    func search(_ request: SearchRequest) {
        guard let mailbox = selected else { return finish(.bad("No mailbox is selected")) }
        let saves = request.options?.contains(.save) == true
        guard let work = SearchWork(self, mailbox, request.key, charset: request.charset) else {
            // RFC 5182 section 2.1: a search that fails empties `$`.
            if saves { selected?.saved = UIDSet() }
            return refuseCharset()
        }
        let isSmall = work.isCheap && mailbox.view.uids.count <= GatewayLimits.imapInlineRowsMax * 64
        read(work, isSmall: isSmall, tellsProgress: true) { [self] error in
            if let error {
                if saves { selected?.saved = UIDSet() }
                return fail(error, "a search cannot read")
            }
            answer(request, work.found)
        }
    }

    private func answer(_ request: SearchRequest, _ found: SearchWork.Found) {
        guard let map = selected?.view.uids else { return finish(.bad("No mailbox is selected")) }
        let options = request.options ?? []
        if options.contains(.save) { selected?.saved = options.saved(of: found.uids) }
        guard request.options != .save else { return finish(.ok("Done")) }
        let returns = options.subtracting(.save).isEmpty ? SearchReturn.all : options
        let modSeq = found.modSeq(told: returns)
        let tag = machine.tag
        // IMAP4rev2 knows ESEARCH only (RFC 9051 section 6.4.4).
        let isPlain = request.options == nil && !machine.enabled.contains(.rev2)
        respond(items: found.uids.count) { out in
            let ranges = request.isUID ? found.uids.runs : map.sequenceNumbers(of: found.uids)
            guard !isPlain else { return out.search(ranges, modSeq: found.highestModSeq?.rawValue) }
            out.esearch(tag: tag, isUID: request.isUID, ranges, returns, modSeq: modSeq?.rawValue)
        } _: {
            self.finish(.ok("Done"))
        }
    }

    func refuseCharset() {
        finish(.no("The charset is not known, or the text is none in it", code: .badCharset(["US-ASCII", "UTF-8"])))
    }
}

extension SearchWork.Found {
    /// RFC 4731 section 3.2: of what MIN and MAX name where nothing else is asked for, else the highest.
    func modSeq(told options: SearchReturn) -> ModSeq? {
        guard !options.contains(.all), !options.contains(.count), let highestModSeq else { return highestModSeq }
        switch (options.contains(.min), options.contains(.max)) {
        case (true, true): return max(firstModSeq ?? .zero, lastModSeq ?? .zero)
        case (true, false): return firstModSeq
        case (false, true): return lastModSeq
        case (false, false): return highestModSeq
        }
    }
}

extension SearchReturn {
    /// What `$` means after it (RFC 5182 section 2.1): MIN and MAX alone save only those, which are the first and the
    /// last of a SORT.
    func saved(of uids: UIDSet, first: UID? = nil, last: UID? = nil) -> UIDSet {
        guard !contains(.all), !contains(.count), contains(.min) || contains(.max) else { return uids }
        var saved = UIDSet()
        if contains(.min), let first = first ?? uids.first { saved.insert(first) }
        if contains(.max), let last = last ?? uids.last { saved.insert(last) }
        return saved
    }
}
