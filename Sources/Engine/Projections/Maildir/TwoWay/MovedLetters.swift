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
        guard file.entry.letters != base.letters, let move = moves.first(where: { $0.uids.contains(file.uid) }),
            let uid = move.arrival(of: file.uid)
        else { return }
        try give(
            file.entry.letters, of: file.path, base: { _ in base.letters.bits }, place, to: uid, in: move.destination)
    }

    /// Gives a message what a file's letters say beyond the base.
    /// - Parameters:
    ///   - path: of the file, below the folder that says what its letters mean.
    ///   - base: the letters before, made of those that the message has.
    func give(
        _ letters: MaildirLetters, of path: String, base: (UInt32) -> UInt32, _ place: FolderPlace, to uid: UID,
        in mailbox: MailboxID
    ) throws {
        guard let plan = try plan(place.account) else { return }
        let target = FolderPlace(
            account: place.account, mailbox: mailbox, path: place.path, memory: FolderMemory(), isTwoWay: true)
        // Moved on, or gone: then there is nothing that could take them.
        guard let message = try messages(UIDSet(uid), target).first?.file else { return }
        let keywords = try keywords(place, plan, letters.bits)
        let state = message.entry.letters.bits
        let change = keywords.meanings.change(base: base(state), tree: letters.bits, state: state)
        for command in Self.commands(change, keywords, mailbox, UIDSet(uid)) {
            if let refusal = try perform(place.account, command) {
                report("\(place.path)/\(path): its letters were lost: \(refusal)")
            } else {
                importCounts.flagChanges += 1
            }
        }
        try disk.passed(.importCommitted)
    }
}
