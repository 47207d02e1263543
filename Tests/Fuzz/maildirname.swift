// Maildir names: what is taken for a file of ours has one spelling, every name that we make is read as itself, and two
// mailboxes or accounts never get one directory.
//
// The input is read as a file name, then as the numbers of a name, then as two mailbox names and addresses with a line
// feed between them.
import MailTypes

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMaildirName(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    if let file = MaildirFile(parsing: input) {
        let text = file.letters.map { file.name.text($0) } ?? file.name.base
        precondition(!file.isCanonical || Array(text.utf8) == input, "two spellings of one name")
        let again = MaildirFile(parsing: text.utf8)
        precondition(again?.name == file.name && again?.letters == file.letters, "a name changes when written")
        precondition(again?.isCanonical == true, "a name of ours that we would rename")
    }
    makeName(input)
    let halves = input.split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false)
    guard halves.count == 2 else { return 0 }
    let texts = halves.map { String(decoding: $0, as: UTF8.self) }
    makeFolders(texts[0], texts[1])
    makeAccounts(texts[0], texts[1])
    return 0
}

private func makeName(_ input: [UInt8]) {
    guard input.count >= 32 else { return }
    let word = { (at: Int) in input[at..<(at + 8)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
    let uid = UInt32(truncatingIfNeeded: word(8))
    let validity = UInt32(truncatingIfNeeded: word(8) >> 32)
    guard uid > 0, validity > 0 else { return }
    let name = MaildirName(
        seconds: Timestamp(rawValue: Int64(bitPattern: word(0))).seconds, validity: UIDValidity(validity),
        uid: UID(uid),
        email: EmailID(word(16)), host: "letterlog", size: UInt32(truncatingIfNeeded: word(24)))
    let letters = MaildirLetters(bits: UInt32(truncatingIfNeeded: word(24) >> 32))
    for text in [name.base, name.text(letters)] {
        guard let file = MaildirFile(parsing: text.utf8) else { preconditionFailure("a name of ours is not known") }
        precondition(file.name == name && file.isCanonical, "a name is read as another")
        precondition(file.letters == (text == name.base ? nil : letters), "letters are read as others")
        precondition(text.utf8.count <= 255 && !text.utf8.contains(0x2F), "no name for a file")
    }
}

private func makeFolders(_ first: String, _ second: String) {
    guard let a = MailboxName(first), let b = MailboxName(second) else { return }
    let folders = [
        MaildirDirectoryName.folder(a, MailboxID(0x12)), MaildirDirectoryName.folder(b, MailboxID(0xFFFF_FFFF)),
    ]
    let isSame = bytes(a) == bytes(b)
    for (name, folder) in zip([a, b], folders) {
        precondition(folder.isEmpty == name.isInbox, "INBOX is the account's own directory and nothing else is")
        if !folder.isEmpty { checkDirectory(folder) }
        precondition(!folder.isEmpty || !MaildirDirectoryName.subscription(name).contains("\n"))
        precondition(MaildirDirectoryName.parkedMailbox(folder) == nil, "a folder that looks parked")
    }
    precondition(
        (folders[0] == folders[1]) == isSame || folders.allSatisfy { $0.utf8.count > 200 }, "one folder for two")
    if folders[0].utf8.count > 200, !isSame { precondition(folders[0] != folders[1], "one folder for two long names") }
    let lines = [a, b].map(MaildirDirectoryName.subscription)
    precondition((lines[0] == lines[1]) == isSame, "one subscription for two")
}

/// Not by `==`, which takes composed and decomposed text for the same.
private func bytes(_ name: MailboxName) -> [[UInt8]] { name.components.map { Array($0.utf8) } }

private func makeAccounts(_ first: String, _ second: String) {
    guard let a = Address(first), let b = Address(second) else { return }
    let texts = [a, b].map { $0.localPart + "@" + $0.domain }
    let names = [
        MaildirDirectoryName.account(texts[0], AccountID(0x12)),
        MaildirDirectoryName.account(texts[1], AccountID(0xFFFF_FFFF)),
    ]
    for name in names { checkDirectory(name) }
    let areSame = Array(texts[0].utf8) == Array(texts[1].utf8)
    precondition(areSame || Array(names[0].utf8) != Array(names[1].utf8), "one directory for two accounts")
}

private func checkDirectory(_ name: String) {
    precondition((1...255).contains(name.utf8.count), "no length for a name")
    precondition(name != "." && name != "..", "a name with a meaning of its own")
    precondition(name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x2F && $0 != 0x7F }, "an octet that a name must not have")
}
