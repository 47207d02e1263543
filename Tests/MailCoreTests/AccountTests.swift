// Account commands as table rows, and what removal leaves behind.
import MailCore
import MailTypes
import Testing

private let crypt: CredentialRow = {
    var row = credential(7, "old")
    row.scheme = .crypt
    return row
}()

let accountRows: [Row] = [
    Row(
        "a new account gets its address, a credential and INBOX", account: AccountID(18),
        when: .createAccount(
            NewAccount(
                address: mailAddress("Carol@Example.test"), quota: Quota(bytes: 1000),
                credential: NewCredential(verifier: "v"),
                mailboxes: [NewMailbox(name: mailboxName("Sent"), specialUse: .sent, subscribed: true)])),
        then: .eventsAnswering(
            [
                created("carol@example.test", Quota(bytes: 1000)), address(1, .primary, "carol@example.test"),
                .credentialSet(credential(1, "password")), box(1, "INBOX", validity: 1_787_400_000),
                .subscriptionChanged(name: "INBOX", on: true), box(2, "Sent", validity: 1_787_400_001, use: .sent),
                .subscriptionChanged(name: "Sent", on: true),
            ], .account(AccountID(18)))),
    Row(
        "an address belongs to one account, whatever its case", account: AccountID(18),
        when: .createAccount(NewAccount(address: mailAddress("ALICE@example.test"))),
        then: .refused(.addressTaken("ALICE@example.test"))),
    Row(
        "a new account takes the next identifier", account: AccountID(40),
        when: .createAccount(NewAccount(address: mailAddress("carol@example.test"))), then: .refused(.noSuchAccount)),
    Row(
        "a display name has a limit", account: AccountID(18),
        when: .createAccount(
            NewAccount(
                address: mailAddress("carol@example.test"), displayName: String(repeating: "n", count: 256))),
        then: .refused(.limit(""))),
    Row(
        "an account that never was", account: AccountID(99), when: .setStatus(.disabled), then: .refused(.noSuchAccount)
    ),
    Row("a status is set", when: .setStatus(.disabled), then: .events([.accountStatusSet(.disabled)])),
    Row("a status that is set already", when: .setStatus(.active), then: .events([])),
    Row(
        "removal takes credentials, addresses and mailboxes along", given: [message(1)], when: .removeAccount,
        then: .events([
            .credentialRevoked(id: 1), .addressRemoved(id: 1),
            .mailboxDeleted(MailboxDeleted(mailbox: inbox, finalUIDNext: 2, messages: 1)),
            .mailboxDeleted(MailboxDeleted(mailbox: archive, finalUIDNext: 1, messages: 0)),
            .accountStatusSet(.removed),
        ])),
    Row(
        "a removed account takes no command", given: [.accountStatusSet(.removed)], when: .setStatus(.active),
        then: .refused(.accountRemoved)),
    Row(
        "a credential of the same label is replaced", when: .setCredential(NewCredential(verifier: "w")),
        then: .events([.credentialRevoked(id: 1), .credentialSet(credential(2, "password", verifier: "w"))])),
    Row(
        "another label is another credential", when: .setCredential(NewCredential(label: "phone", verifier: "w")),
        then: .events([.credentialSet(credential(2, "phone", verifier: "w"))])),
    Row(
        "a credential in another form stays the same one", given: [.credentialSet(crypt)],
        when: .setCredential(NewCredential(label: "old", verifier: "w", converts: 7)),
        then: .events([.credentialSet(credential(7, "old", verifier: "w"))])),
    Row(
        "only a hash takes another form",
        when: .setCredential(NewCredential(verifier: "w", converts: 1)), then: .refused(.noSuchCredential)),
    Row(
        "a credential that was replaced meanwhile takes no other form", given: [.credentialRevoked(id: 1)],
        when: .setCredential(NewCredential(verifier: "w", converts: 1)), then: .refused(.noSuchCredential)),
    Row("a use is noted", when: .noteCredentialUse(id: 1), then: .events([.credentialUsed(id: 1)])),
    Row(
        "once a day", given: [.credentialUsed(id: 1)], when: .noteCredentialUse(id: 1), then: .events([])),
    Row("of what is there", when: .noteCredentialUse(id: 9), then: .refused(.noSuchCredential)),
    Row(
        "a verifier has a limit",
        when: .setCredential(NewCredential(verifier: String(repeating: "v", count: 1025))), then: .refused(.limit(""))),
    Row(
        "a label has a limit",
        when: .setCredential(NewCredential(label: String(repeating: "l", count: 129), verifier: "v")),
        then: .refused(.limit(""))),
    Row(
        "an account has so many credentials",
        given: (2...100).map { .credentialSet(credential($0, "device \($0)")) },
        when: .setCredential(NewCredential(label: "one more", verifier: "v")), then: .refused(.limit(""))),
    Row("a credential is revoked", when: .revokeCredential(id: 1), then: .events([.credentialRevoked(id: 1)])),
    Row("a credential that is not there", when: .revokeCredential(id: 2), then: .refused(.noSuchCredential)),
    Row(
        "an alias", when: .addAddress(mailAddress("Al@Example.Test"), .alias),
        then: .events([address(2, .alias, "al@example.test")])),
    Row(
        "an alias of somebody else", when: .addAddress(mailAddress("bob@example.test"), .alias),
        then: .refused(.addressTaken("bob@example.test"))),
    Row(
        "a catch-all keeps the domain only", when: .addAddress(mailAddress("any@other.test"), .catchAll),
        then: .events([address(2, .catchAll, "*@other.test")])),
    Row(
        "a domain has one catch-all", given: [address(2, .catchAll, "*@other.test")],
        when: .addAddress(mailAddress("x@other.test"), .catchAll), then: .refused(.addressTaken("*@other.test"))),
    Row(
        "there is one primary address", when: .addAddress(mailAddress("al@example.test"), .primary),
        then: .refused(.primaryAddress)),
    Row(
        "an account has so many addresses", given: (2...1000).map { address($0, .alias, "a\($0)@example.test") },
        when: .addAddress(mailAddress("more@example.test"), .alias), then: .refused(.limit(""))),
    Row(
        "an alias goes, whatever its case", given: [address(2, .alias, "al@example.test")],
        when: .removeAddress(mailAddress("AL@example.test")), then: .events([.addressRemoved(id: 2)])),
    Row(
        "a domain has one form, whichever script it came in",
        when: .addAddress(mailAddress("Al@BÜCHER.example"), .alias),
        then: .events([address(2, .alias, "al@xn--bcher-kva.example")])),
    Row(
        "an address that was written down before that is found by both",
        given: [address(2, .alias, "al@bücher.example")],
        when: .addAddress(mailAddress("al@xn--bcher-kva.example"), .alias),
        then: .refused(.addressTaken("al@xn--bcher-kva.example"))),
    Row(
        "and so is a catch-all", given: [address(2, .catchAll, "*@bücher.example")],
        when: .addAddress(mailAddress("x@xn--bcher-kva.example"), .catchAll),
        then: .refused(.addressTaken("*@xn--bcher-kva.example"))),
    Row(
        "and it goes by both", given: [address(2, .alias, "al@bücher.example")],
        when: .removeAddress(mailAddress("al@xn--bcher-kva.example")), then: .events([.addressRemoved(id: 2)])),
    Row(
        "the primary address stays", when: .removeAddress(mailAddress("alice@example.test")),
        then: .refused(.primaryAddress)),
    Row(
        "somebody else's address", when: .removeAddress(mailAddress("bob@example.test")),
        then: .refused(.noSuchAddress)),
    Row("a quota", when: .setQuota(Quota(bytes: 5)), then: .events([.quotaSet(Quota(bytes: 5))])),
    Row("the same quota", when: .setQuota(Quota()), then: .events([])),
    Row(
        "a retention", when: .setRetention(Retention(undeleteDays: 1)),
        then: .events([.retentionPolicySet(Retention(undeleteDays: 1))])),
    Row(
        "a setting", when: .setSetting(key: "a", value: "b"), then: .events([.settingSet(key: "a", value: "b")])),
    Row(
        "the same setting", given: [.settingSet(key: "a", value: "b")], when: .setSetting(key: "a", value: "b"),
        then: .events([])),
    Row(
        "a setting has a limit", when: .setSetting(key: "a", value: String(repeating: "b", count: 8192)),
        then: .refused(.limit(""))),
    Row(
        "a shard is opened once", account: .system,
        when: .openShard(ShardOpened(shard: 0, storeUUID: "")), then: .events([])),
]

@Suite struct AccountTests {
    @Test(arguments: accountRows) func decision(_ row: Row) throws { try row.check() }

    @Test func aRemovedAccountLeavesItsAddressAndItsUse() throws {
        let world = try World()
        try world.fold([message(1), message(2, in: archive)])
        try world.run(.removeAccount)
        let head = try #require(world.state.head(alice))
        #expect(head.used == Quota())
        #expect(world.state.owner(ofAddress: "alice@example.test") == nil)
        #expect(world.state.credentials(alice).isEmpty)
        #expect(world.state.nextAccount() == AccountID(18))
        let carol = NewAccount(address: mailAddress("alice@example.test"))
        #expect(try world.run(.createAccount(carol), AccountID(18)) == .account(AccountID(18)))
    }

    @Test func whatARemovedAccountHeldIsCollected() throws {
        let world = try World()
        try world.fold([message(1), message(2)])
        try world.run(.removeAccount)
        world.now = Timestamp(seconds: noon.seconds + 15 * 86400)
        #expect(try world.run(.collect(inbox, UIDSet())) == .expunged(uids(1...2)))
        #expect(world.state.references(BlobNumber(1)) == 0)
        #expect(world.state.tombstone(alice, inbox) == nil)
    }

    @Test func aRemovedAddressReceivesNothing() throws {
        let world = try World()
        try world.run(.addAddress(mailAddress("al@example.test"), .alias))
        #expect(world.state.owner(ofAddress: "al@example.test") == alice)
        try world.run(.removeAddress(mailAddress("al@example.test")))
        #expect(world.state.owner(ofAddress: "al@example.test") == nil)
    }
}
