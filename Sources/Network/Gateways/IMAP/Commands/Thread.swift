// THREAD and UID THREAD (RFC 5256 section 3).
import IMAP
import MailCore
import MailEngine
import MailTypes

extension IMAPSession {
    func thread(_ request: ThreadRequest) {
        guard let mailbox = selected else { return finish(.bad("No mailbox is selected")) }
        guard let search = SearchWork(self, mailbox, request.key, charset: request.charset) else {
            return refuseCharset()
        }
        let work = ThreadWork(self, mailbox, search, request)
        read(work, isSmall: false, tellsProgress: true) { [self] error in
            if let error { return failSort(error) }
            let forest = work.forest
            respond(items: search.found.uids.count, isOrdered: true) { out in
                out.append("* THREAD")
                if let forest, !forest.roots.isEmpty {
                    out.append(" ")
                    forest.write(into: &out.bytes)
                }
                out.endLine()
            } _: {
                self.finish(.ok("Done"))
            }
        }
    }
}
