// Administrative commands, run directly on a store and through the socket of a node: what they answer, and that both
// ways answer the same. Stores are real ones in directories of their own.
import Foundation
import MailCore
import MailTypes
import Synchronization
import Testing

@testable import Server

struct AdministrationTests {
    /// The same commands in the same order, with answers that must not depend on the way.
    static let script: [any AdministrationCommand] = [
        AccountAdd(entries: [.init(address: "alice@example.test", verifier: "SCRAM-SHA-256$4096:c2FsdA==$a:b")]),
        AccountAdd(entries: [.init(address: "bob", verifier: nil, displayName: "Bob")]),
        AccountAdd(entries: [.init(address: "alice@example.test", verifier: nil)]),
        AccountAdd(entries: [.init(address: "not an address@", verifier: nil)]),
        AccountAdd(
            entries: [.init(address: "carol", verifier: nil), .init(address: "bob", verifier: nil)], continues: true),
        AccountList(),
        AccountShow(address: "alice"),
        AccountShow(address: "postmaster@example.test"),
        AccountShow(address: "nobody"),
        AccountSetPassword(address: "bob", verifier: "SCRAM-SHA-256$4096:c2FsdA==$a:b"),
        AccountAlias(address: "bob", alias: "robert@example.test", adds: true),
        AccountAlias(address: "alice", alias: "robert@example.test", adds: true),
        AccountAlias(address: "bob", alias: "*@elsewhere.test", adds: true),
        AccountAlias(address: "bob", alias: "robert@example.test", adds: false),
        AccountAlias(address: "bob", alias: "robert@example.test", adds: false),
        AccountSetQuota(address: "bob", octets: 1000, messages: nil),
        AccountSetQuota(address: "bob", octets: nil, messages: nil),
        AccountSetCapabilities(address: "bob", without: nil),
        AccountSetCapabilities(address: "bob", without: ["qresync", "MOVE"]),
        AccountSetCapabilities(address: "bob", without: ["rubbish"]),
        AccountSetCapabilities(address: "bob", without: ["IMAP4rev1"]),
        AccountSetCapabilities(address: "bob", without: nil),
        AccountSetCapabilities(address: "bob", without: []),
        AccountSetStatus(address: "bob", enabled: false),
        AccountShow(address: "bob"),
        AccountSetStatus(address: "bob", enabled: true),
        AccountPasswordAdd(
            address: "bob", label: "phone", scopes: ["imap", "smtp"], expires: 4_102_444_800_000,
            verifier: "SCRAM-SHA-256$4096:c2FsdA==$a:b"),
        AccountPasswordAdd(address: "bob", label: "phone", scopes: [], expires: nil, verifier: "x"),
        AccountPasswordAdd(address: "bob", label: "password", scopes: [], expires: nil, verifier: "x"),
        AccountPasswordAdd(address: "bob", label: "", scopes: [], expires: nil, verifier: "x"),
        AccountPasswordAdd(address: "bob", label: "old", scopes: [], expires: 1000, verifier: "x"),
        AccountPasswordAdd(address: "bob", label: "odd", scopes: ["http"], expires: nil, verifier: "x"),
        AccountPasswordList(address: "bob"),
        AccountShow(address: "bob"),
        AccountPasswordRevoke(address: "bob", label: "phone"),
        AccountPasswordRevoke(address: "bob", label: "phone"),
        AccountPasswordList(address: "bob"),
        DomainAdd(domain: "New.test"), DomainAdd(domain: "new.test"), DomainAdd(domain: "not a domain"), DomainList(),
        DomainRemove(domain: "new.test"), DomainRemove(domain: "new.test"), DomainRemove(domain: "example.test"),
        Who(), Kick(SessionFilter(account: "bob")),
        MailboxList(address: "alice"),
        MailboxCreate(address: "alice", mailbox: "Lists/swift"),
        MailboxCreate(address: "alice", mailbox: "Lists"),
        MailboxCreate(address: "alice", mailbox: "Other", specialUse: "sent"),
        MailboxCreate(address: "alice", mailbox: "Other", specialUse: "rubbish"),
        MailboxCreate(address: "alice", mailbox: "a//b"),
        MailboxRename(address: "alice", mailbox: "Lists/swift", newName: "Swift"),
        MailboxDelete(address: "alice", mailbox: "Lists"),
        MailboxDelete(address: "alice", mailbox: "INBOX"),
        MailboxDelete(address: "alice", mailbox: "Nowhere"),
        MailboxList(address: "alice"),
        LogShow(account: "nobody"),
        LogShow(mailbox: "INBOX"),
        LogWhy(account: "alice", mailbox: "INBOX", uid: 1),
        StoreRebuild(projection: .state, check: true),
        AccountRemove(address: "alice"),
        AccountList(),
    ]

    @Test("init takes a domain as people type it and as the DNS has it, and nothing else")
    func domainOfANewStore() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        for (number, domain) in ["Bücher.example", "xn--bcher-kva.example"].enumerated() {
            let backend = try scratch.store("\(number)", domain: domain)
            defer { backend.close() }
            #expect(try backend.engine.read { try $0.defaultDomain() } == "xn--bcher-kva.example")
        }
        #expect(throws: AdministrationFailure.self) { try scratch.store("none", domain: "not a domain") }
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/none"))
    }

    @Test(arguments: [OutputForm.text, .json])
    func bothWaysAnswerTheSame(_ form: OutputForm) throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let direct = try scratch.store("direct")
        defer { direct.close() }
        let served = try scratch.store("served")
        defer { served.close() }
        let socket = try AdministrationSocket(served, directory: served.store.directory)
        defer { socket.close() }
        let client = try AdministrationClient(
            store: served.store.directory, configuration: NodeConfiguration(), form: form)
        #expect(client.isNode)
        for command in Self.script {
            let expected = try direct.answer(command, form).map(Self.timeless)
            var found: [AnswerLine] = []
            try client.run(command) { found.append(Self.timeless($0)) }
            #expect(found == expected, "\(type(of: command).words)")
        }
    }

    @Test func passwordsAreListedWithoutWhatTheyAre() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        defer { backend.close() }
        let secret = "SCRAM-SHA-256$4096:c2FsdA==$U3RvcmVk:U2VydmVy"
        _ = try backend.answer(AccountAdd(entries: [.init(address: "a", verifier: secret)]))
        _ = try backend.answer(
            AccountPasswordAdd(address: "a", label: "phone", scopes: ["pop3"], expires: nil, verifier: secret))
        for form in [OutputForm.text, .json] {
            for command in [
                AccountPasswordList(address: "a"), AccountShow(address: "a"), AccountList(), LogShow(),
                LogShow(account: "a"), StoreStats(), Who(),
            ] as [any AdministrationCommand] {
                for line in try backend.answer(command, form) {
                    for part in ["U3RvcmVk", "U2VydmVy", "c2FsdA", "4096"] {
                        #expect(!line.text.contains(part), "\(type(of: command).words) shows a verifier")
                    }
                }
            }
        }
        #expect(
            try backend.answer(AccountPasswordList(address: "a")).map(\.text) == [
                "password  imap, pop3, smtp", "phone  pop3", "",
            ])
    }

    @Test func moreDomainsThanASettingHoldsAreRefused() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        defer { backend.close() }
        var refused: AnswerLine?
        for number in 0..<100 where refused == nil {
            let label = String(repeating: "x", count: 60)
            let domain = "\(label).\(label).\(label).d\(number).test"
            refused = try backend.answer(DomainAdd(domain: domain)).first { $0.kind == .failed }
        }
        #expect(refused?.text.contains("over \(DomainLimits.settingOctetsMax) octets") == true)
        #expect(try backend.answer(DomainList()).count > 30)
    }

    /// UIDVALIDITYs come from the clock, and the two stores are not made in the same second.
    private static func timeless(_ line: AnswerLine) -> AnswerLine {
        var line = line
        line.text = line.text.replacing(#/"uidvalidity":\d+/#, with: "")
        return line
    }

    @Test func theFirstAccountOfADomainReceivesForItsRoles() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        defer { backend.close() }
        let first = try backend.answer(AccountAdd(entries: [.init(address: "a@one.test", verifier: nil)]))
        #expect(first.last?.text == "added a@one.test; it also receives for postmaster@one.test, abuse@one.test")
        let second = try backend.answer(AccountAdd(entries: [.init(address: "b@one.test", verifier: nil)]))
        #expect(second.last?.text == "added b@one.test")
        let other = try backend.answer(AccountAdd(entries: [.init(address: "c@two.test", verifier: nil)]))
        #expect(other.last?.text.contains("postmaster@two.test") == true)
    }

    @Test func anAccountUnderARoleAddressTakesItOver() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        defer { backend.close() }
        _ = try backend.answer(AccountAdd(entries: [.init(address: "a@one.test", verifier: nil)]))
        let lines = try backend.answer(AccountAdd(entries: [.init(address: "postmaster@one.test", verifier: nil)]))
        #expect(lines.last?.kind == .done)
        #expect(try backend.answer(AccountShow(address: "postmaster@one.test"))[0].text.contains("postmaster@one.test"))
        #expect(try !backend.answer(AccountShow(address: "a@one.test"))[0].text.contains("postmaster@"))
    }

    @Test func rolesOfARemovedAccountGoToAnother() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        defer { backend.close() }
        for address in ["a@one.test", "b@one.test"] {
            _ = try backend.answer(AccountAdd(entries: [.init(address: address, verifier: nil)]))
        }
        _ = try backend.answer(AccountRemove(address: "a@one.test"))
        let shown = try backend.answer(AccountShow(address: "postmaster@one.test"))
        #expect(shown[0].text.contains("address      b@one.test"))
    }

    @Test func whyFollowsAMessageThroughItsMailboxes() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        defer { backend.close() }
        _ = try backend.answer(AccountAdd(entries: [.init(address: "a@one.test", verifier: nil)]))
        _ = try backend.append("a@one.test", .inbox, "Subject: other\r\n\r\n")
        let uid = try backend.append("a@one.test", .inbox, "Subject: this\r\n\r\n", from: "bob@two.test")
        let archive = try #require(MailboxName("Archive"))
        let (account, inbox) = try backend.place("a@one.test", .inbox)
        let (_, destination) = try backend.place("a@one.test", archive)
        let session = AdministrationSession(backend, form: .text) { _ in }
        _ = try session.perform(
            account, .changeFlags(ChangeFlags(mailbox: inbox, uids: UIDSet(uid), operation: .add, flags: .seen)))
        _ = try session.perform(
            account, .move(CopyMessages(source: inbox, destination: destination, uids: UIDSet(uid))))
        let lines = try backend.answer(LogWhy(account: "a@one.test", mailbox: "Archive", uid: 1)).dropLast()
        let names = lines.map { line in
            ["MessageAppended", "FlagsChanged", "MessagesMoved"].first { line.text.contains($0) } ?? line.text
        }
        #expect(names == ["MessageAppended", "FlagsChanged", "MessagesMoved"])
        #expect(lines.first?.text.contains("uid=2") == true)
        #expect(lines.first?.text.contains("from=<bob@two.test>") == true)
        #expect(lines.first?.text.contains("lmtp:") == true)
        let nothing = try backend.answer(LogWhy(account: "a@one.test", mailbox: "Archive", uid: 2))
        #expect(nothing.last?.status == .failed)
    }

    @Test func theLogShowsEachEventOnce() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        defer { backend.close() }
        for address in ["a@one.test", "b@one.test"] {
            _ = try backend.answer(AccountAdd(entries: [.init(address: address, verifier: nil)]))
        }
        for number in 0..<30 { _ = try backend.append("b@one.test", .inbox, "Subject: \(number)\r\n\r\n") }
        let all = try backend.answer(LogShow()).dropLast().map(\.text)
        let numbers = all.compactMap { UInt64($0.prefix { $0.isNumber }) }
        #expect(numbers == numbers.sorted() && Set(numbers).count == all.count)
        #expect(all.count(where: { $0.contains("MessageAppended") }) == 30)
        let some = try backend.answer(LogShow(account: "b@one.test", mailbox: "INBOX", uid: 7)).dropLast()
        #expect(some.count == 1)
        let tail = try backend.answer(LogTail(count: 5)).dropLast().map(\.text)
        #expect(tail == Array(all.suffix(5)))
        let from = try backend.answer(LogShow(from: numbers[10])).dropLast().map(\.text)
        #expect(from == Array(all.dropFirst(10)))
    }

    @Test func anMboxComesInWithFlagsAndDates() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        defer { backend.close() }
        _ = try backend.answer(AccountAdd(entries: [.init(address: "a@one.test", verifier: nil)]))
        let file = scratch.path + "/old.mbox"
        let text = """
            From bob@x.test Tue Jul  1 10:52:37 2003
            Subject: one
            Status: RO
            X-Status: F
            X-IMAPbase: 4000000000 0000000009
            X-UID: 3

            hello
            >From here

            From bob@x.test Tue Jul  1 10:52:38 2003
            Subject: two
            X-UID: 9

            bye

            """
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        let lines = try backend.answer(ImportMbox(address: "a@one.test", file: file, mailbox: "Old/Mail"))
        #expect(lines.last?.text == "2 messages into Old/Mail of a@one.test")
        let (account, mailbox) = try backend.place("a@one.test", try #require(MailboxName("Old/Mail")))
        let (row, first, second) = try backend.engine.read { state in
            (
                try state.mailbox(account, mailbox), try state.message(account, mailbox, UID(3)),
                try state.message(account, mailbox, UID(9))
            )
        }
        #expect(row?.uidValidity == UIDValidity(4_000_000_000))
        #expect(first?.flags == [.seen, .flagged])
        // date -u -d '2003-07-01 10:52:37' +%s
        #expect(first?.internalDate.time == Timestamp(seconds: 1_057_056_757))
        var bytes: [UInt8] = []
        let body = try backend.engine.openBody(try #require(first).blob)
        try body.read(at: 0, count: body.size, into: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "Subject: one\r\n\r\nhello\r\nFrom here\r\n")
        #expect(second?.flags == [])
        let again = try backend.answer(ImportMbox(address: "a@one.test", file: file, mailbox: "Old/Mail"))
        #expect(again.last?.kind == .done)
        // Nothing comes twice.
        #expect(again.contains { $0.text.hasPrefix("Old/Mail  2 messages, 0 imported, 2 there before, 0 missing") })
        #expect(try backend.engine.read { try $0.mailbox(account, mailbox)?.uidNext } == 10)
        try "no mail here\n".write(toFile: file, atomically: true, encoding: .utf8)
        let none = try backend.answer(ImportMbox(address: "a@one.test", file: file, mailbox: "INBOX"))
        #expect(none.last?.status == .failed)
    }

    @Test func verifyAndRebuildAgreeWithASoundStore() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        defer { backend.close() }
        _ = try backend.answer(AccountAdd(entries: [.init(address: "a@one.test", verifier: nil)]))
        for number in 0..<5 { _ = try backend.append("a@one.test", .inbox, "Subject: \(number)\r\n\r\n") }
        let verified = try backend.answer(StoreVerify(blobsPercent: 100, maildir: true))
        #expect(verified.filter { $0.kind == .item }.count == 2)
        #expect(verified.last?.kind == .done)
        let checked = try backend.answer(StoreRebuild(projection: .all, check: true))
        #expect(checked.last?.kind == .done)
        let rebuilt = try backend.answer(StoreRebuild(projection: .maildir, check: false))
        #expect(rebuilt.last?.kind == .done)
        let root = backend.store.directory + "-maildir/a@one.test/.Junk"
        try FileManager.default.removeItem(atPath: root)
        let broken = try backend.answer(StoreVerify(blobsPercent: 0, maildir: true))
        #expect(broken.last?.kind == .failed && broken.last?.text.contains(".Junk") == true)
    }

    @Test func noAnswerHoldsASecret() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try scratch.store()
        defer { backend.close() }
        let verifier = try PasswordVerifier.make(Array("a secret".utf8))
        var all = try backend.answer(AccountAdd(entries: [.init(address: "a@one.test", verifier: verifier)]))
        all += try backend.answer(AccountSetPassword(address: "a@one.test", verifier: verifier))
        for form in [OutputForm.text, .json] {
            all += try backend.answer(AccountShow(address: "a@one.test"), form)
            all += try backend.answer(AccountList(), form)
            all += try backend.answer(LogShow(), form)
            all += try backend.answer(StoreStats(), form)
        }
        #expect(all.contains { $0.text.contains("CredentialSet") })
        #expect(!all.contains { $0.text.contains("a secret") || $0.text.contains("SCRAM") })
        for part in verifier.split(whereSeparator: { "$:\n".contains($0) }) where part.count > 8 {
            #expect(!all.contains { $0.text.contains(part) })
        }
    }

    @Test(arguments: [
        "", "{}", "not JSON", #"{"command":"format disk","form":"text","arguments":{}}"#,
        #"{"command":"account show","form":"text","arguments":{}}"#,
        #"{"command":"account show","form":"song","arguments":{"address":"a"}}"#,
    ])
    func aRequestThatIsNoneIsRefused(_ line: String) {
        #expect(throws: AdministrationFailure.self) { try AdministrationCommands.decode(Data(line.utf8)) }
    }

    @Test func eachCommandHasWordsOfItsOwn() {
        let words = AdministrationCommands.all.map { $0.words }
        #expect(Set(words).count == words.count)
    }

    @Test(arguments: [
        (Refusal.overQuota as any Error, Server.ExitStatus.failed), (StoreErrorSample.owned, .tryAgain),
        (StoreErrorSample.full, .tryAgain), (StoreErrorSample.damaged, .failed),
    ])
    func failuresHaveTheirCodes(_ error: any Error, _ status: Server.ExitStatus) {
        #expect(AdministrationFailure(error).status == status)
    }
}
