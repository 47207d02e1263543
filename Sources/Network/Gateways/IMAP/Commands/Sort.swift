// SORT and UID SORT (RFC 5256 section 3, RFC 5957; RFC 5267 section 3 for RETURN).
import IMAP
import MailCore
import MailEngine
import MailTypes

extension IMAPSession {
    func sort(_ request: SortRequest) {
        guard let mailbox = selected else { return finish(.bad("No mailbox is selected")) }
        let options = request.options ?? []
        guard let search = SearchWork(self, mailbox, request.key, charset: request.charset) else {
            if options.contains(.save) { selected?.saved = UIDSet() }
            return refuseCharset()
        }
        let work = SortWork(self, mailbox, search, request.criteria)
        read(work, isSmall: false, tellsProgress: true) { [self] error in
            if let error {
                if options.contains(.save) { selected?.saved = UIDSet() }
                return failSort(error)
            }
            answer(request, work.uids, work.found)
        }
    }

    private func answer(_ request: SortRequest, _ order: [UID], _ found: SearchWork.Found) {
        guard let map = selected?.view.uids else { return finish(.bad("No mailbox is selected")) }
        let options = request.options ?? []
        if options.contains(.save) {
            selected?.saved = options.saved(of: found.uids, first: order.first, last: order.last)
        }
        guard request.options != .save else { return finish(.ok("Done")) }
        let tag = machine.tag
        respond(items: order.count, isOrdered: true) { out in
            let numbers = request.isUID ? order.map(\.rawValue) : order.compactMap { map.sequenceNumber(of: $0) }
            guard request.options != nil else { return out.sort(numbers, modSeq: found.highestModSeq?.rawValue) }
            let ranges = request.isUID ? found.uids.runs : map.sequenceNumbers(of: found.uids)
            let returns = options.subtracting(.save).isEmpty ? SearchReturn.all : options
            out.esearch(
                tag: tag, isUID: request.isUID, ranges, returns, order: numbers,
                modSeq: found.modSeq(told: returns)?.rawValue)
        } _: {
            self.finish(.ok("Done"))
        }
    }

    func failSort(_ error: any Error) {
        guard error is SortTooLarge else { return fail(error, "a search cannot read") }
        finish(.no("Too many messages to be put in order at once", code: .limit))
    }
}
