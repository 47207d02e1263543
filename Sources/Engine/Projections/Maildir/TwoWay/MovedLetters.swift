// A message was moved over IMAP while another program gave its file other letters: the letters go with the message. The
// projection meets the file when it is about to remove it, and finds it under another name than it left it.
import EventStore
import MailCore
import MailEngine
import MailTypes

extension MessagesCopied {
    /// What a message of the source became.
    func arrival(of uid: UID) -> UID? {
        guard uids.contains(uid) else { return nil }
        let before = uids.runs.reduce(0) { count, run in
            run.upperBound < uid.rawValue
                ? count + Int(run.upperBound - run.lowerBound) + 1
                : count + (run.contains(uid.rawValue) ? Int(uid.rawValue - run.lowerBound) : 0)
        }
        return UID(firstUID.rawValue + UInt32(before))
    }
}

extension MaildirProjection {
    /// Hands on what the letters of a file say beyond those that it was left with.
    /// - Parameter base: as the projection left the file.
    func carry(
        _ file: TreeFile, _ base: FolderEntry, _ moves: [MessagesCopied], _ place: FolderPlace
    ) throws {
        guard file.entry.letters != base.letters, let plan = try plan(place.account),
            let move = moves.first(where: { $0.uids.contains(file.uid) }), let uid = move.arrival(of: file.uid)
        else { return }
        let target = FolderPlace(
            account: place.account, mailbox: move.destination, path: place.path, memory: FolderMemory(), isTwoWay: true)
        // Moved on, or gone: then there is nothing that could take them.
        guard let message = try messages(UIDSet(uid), target).first?.file else { return }
        let keywords = try keywords(place, plan, [file])
        let change = keywords.meanings.change(
            base: base.letters.bits, tree: file.entry.letters.bits, state: message.entry.letters.bits)
        for command in Self.commands(change, keywords, move.destination, UIDSet(uid)) {
            if let refusal = try perform(place.account, command) {
                report("\(place.path)/\(file.path): its letters were lost: \(refusal)")
            } else {
                importCounts.flagChanges += 1
            }
        }
        try disk.passed(.importCommitted)
    }
}
