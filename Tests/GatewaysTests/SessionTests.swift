// Whose session it is, and how it ends when the account, the credential or an administrator says so.
import Authentication
import MailCore
import MailTypes
import NIOCore
import Testing

@testable import Gateways

@Suite struct SessionTests {
    private static let verifier = (try? ScramCredential.make("other horse", iterations: 4_096)) ?? ""

    @Test func sessionsAreListed() async throws {
        try await withNode { node in
            let pop3 = try node.pop3("alice")
            let smtp = try node.smtp()
            let sessions = node.gateways.sessions
            #expect(sessions.map(\.name) == [.pop3, .smtp])
            #expect(sessions.map(\.account) == [try node.account("alice@example.test"), nil])
            #expect(sessions.map { $0.client?.description } == ["127.0.0.1", "127.0.0.1"])
            #expect(sessions.allSatisfy { !$0.isSecure && $0.silentSeconds >= 0 })
            #expect(try pop3.command("QUIT").hasPrefix("+OK"))
            #expect(pop3.isClosed())
            #expect(await eventually { node.gateways.sessions.count == 1 })
            #expect(try smtp.command("NOOP").hasPrefix("250"))
        }
    }

    @Test(arguments: [AccountCommand.setStatus(.disabled), .removeAccount])
    func aClosedAccountEndsItsSessions(_ command: AccountCommand) async throws {
        try await withNode { node in
            let alice = try node.pop3("alice")
            let bob = try node.pop3("bob")
            node.perform(try node.account("alice@example.test"), command)
            #expect(try alice.line() == "-ERR [SYS/PERM] Account is not available")
            #expect(alice.isClosed())
            #expect(try bob.command("NOOP").hasPrefix("+OK"))
            #expect(node.gateways.metrics[.pop3].ended == 1)
        }
    }

    @Test func aChangedCredentialEndsTheSessionsItLetIn() async throws {
        try await withNode { node in
            let account = try node.account("carol@example.test")
            let app = NewCredential(label: "phone", scopes: [.pop3], verifier: Self.verifier)
            node.perform(account, .setCredential(app))
            let client = try node.pop3("carol")
            // Another credential of the account comes and goes.
            node.perform(account, .revokeCredential(id: 2))
            #expect(try client.command("NOOP").hasPrefix("+OK"))
            node.perform(account, .setCredential(NewCredential(verifier: Self.verifier)))
            #expect(try client.line() == "-ERR [SYS/PERM] Credentials have changed, log in again")
            #expect(client.isClosed())
            // The maildrop is free.
            let next = try node.client(.pop3)
            _ = try next.line()
            _ = try next.command("USER carol")
            #expect(try next.command("PASS other horse").hasPrefix("+OK"))
        }
    }

    @Test func othersChangesEndNothing() async throws {
        try await withNode { node in
            let client = try node.pop3("alice")
            let account = try node.account("alice@example.test")
            node.perform(account, .addAddress(Address("x@example.test")!, .alias))
            node.perform(account, .setQuota(Quota(bytes: 1 << 30, messages: 100)))
            node.perform(try node.account("bob@example.test"), .setStatus(.disabled))
            try node.deposit("alice@example.test", Array("Subject: x\r\n\r\nx\r\n".utf8))
            #expect(try client.command("NOOP").hasPrefix("+OK"))
        }
    }

    @Test func kickedSessionsHearIt() async throws {
        try await withNode { node in
            let pop3 = try node.pop3("alice")
            let smtp = try node.smtp()
            let other = try node.lmtp()
            let doomed = node.gateways.sessions.filter { $0.name != .lmtp }.map(\.id)
            #expect(node.gateways.end(Set(doomed)) == 2)
            #expect(try pop3.line() == "-ERR [SYS/PERM] Session ended by the administrator")
            #expect(try smtp.line() == "421 4.7.0 Session ended by the administrator")
            #expect(pop3.isClosed() && smtp.isClosed())
            #expect(try other.command("NOOP").hasPrefix("250"))
            #expect(await eventually { node.gateways.sessions.count == 1 })
            #expect(node.gateways.end(Set(doomed)) == 0)
        }
    }

    @Test func aKickWithinAMessageDropsIt() async throws {
        try await withNode { node in
            let client = try node.smtp()
            try client.send("MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: x\r\n")
            for _ in 0..<3 { _ = try client.line() }
            #expect(node.gateways.end(Set(node.gateways.sessions.map(\.id))) == 1)
            #expect(try client.line().hasPrefix("421 4.7.0"))
            #expect(client.isClosed())
            #expect(try node.bodies("alice@example.test").isEmpty)
        }
    }

    @Test func anAccountHasItsShare() async throws {
        try await withNode(options: { $0.sessionsPerAccountMax = 0 }) { node in
            let client = try node.client(.pop3)
            _ = try client.line()
            _ = try client.command("USER alice")
            #expect(try client.command("PASS \(password)").hasPrefix("-ERR [SYS/TEMP]"))
            #expect(node.gateways.metrics[.pop3].rejects[.accountLimit] == 1)
            // A new connection of somebody else is not concerned, and the lease was not taken.
            #expect(node.engine.leaseMaildrop(try node.account("alice@example.test")) != nil)
        }
    }

    /// A webmail on this machine: one person's failures are not another's.
    @Test func failuresOfOneNameDoNotTouchAnother() async throws {
        try await withNode(options: { $0.authentication.failuresMax = 3 }) { node in
            for _ in 0..<4 {
                let client = try node.client(.pop3)
                _ = try client.line()
                _ = try client.command("USER bob")
                #expect(try client.command("PASS wrong").hasPrefix("-ERR [AUTH]"))
            }
            #expect(node.gateways.metrics[.pop3].rejects[.loginLimit] == 1)
            _ = try node.pop3("alice")
        }
    }

    @Test func noticesAreFewAndCounted() {
        var count = NoticeCount()
        let admitted = (0..<(GatewayLimits.noticesPerPeriodMax + 7)).filter { _ in
            count.admits(max: GatewayLimits.noticesPerPeriodMax)
        }
        #expect(admitted.count == GatewayLimits.noticesPerPeriodMax)
        let withheld = [count.turn(), count.turn()]
        #expect(withheld == [7, 0])
        let admitsAgain = count.admits(max: 1)
        #expect(admitsAgain)
    }
}

@Suite struct RegistryTests {
    private func card(_ number: UInt64, _ address: String?) -> SessionCard {
        let client = ClientAddress(address.flatMap { IPAddress($0) })
        return SessionCard(
            SessionID(number), .pop3, from: client, since: Timestamp(seconds: 0), channel: nil)
    }

    private func registry(_ change: (inout ConnectionRegistry.Limits) -> Void = { _ in }) -> ConnectionRegistry {
        var limits = ConnectionRegistry.Limits(
            connectionsMax: 100, perNeighbourhoodMax: 2, perDistrictMax: 3, perAccountMax: 2)
        change(&limits)
        return ConnectionRegistry(limits)
    }

    @Test func anIPv6CustomerIsOneNeighbour() {
        let registry = registry()
        #expect(registry.enter(card(1, "2001:db8:1:2::1")) == .accepted)
        #expect(registry.enter(card(2, "2001:db8:1:2:ffff::2")) == .accepted)
        #expect(registry.enter(card(3, "2001:db8:1:2::3")) == .tooManyOfAddress)
        #expect(registry.enter(card(4, "2001:db8:1:3::1")) == .accepted)
        #expect(registry.enter(card(5, "2001:db8:1:4::1")) == .tooManyOfNetwork)
        #expect(registry.enter(card(6, "2001:db8:2:1::1")) == .accepted)
    }

    @Test func anIPv4AddressMappedIntoIPv6IsItself() {
        let registry = registry()
        #expect(registry.enter(card(1, "192.0.2.1")) == .accepted)
        #expect(registry.enter(card(2, "::ffff:192.0.2.1")) == .accepted)
        #expect(registry.enter(card(3, "192.0.2.1")) == .tooManyOfAddress)
        #expect(registry.enter(card(4, "192.0.2.2")) == .accepted)
        #expect(registry.enter(card(5, "192.0.2.3")) == .tooManyOfNetwork)
    }

    @Test func whoLeavesMakesRoom() {
        let registry = registry()
        let cards = [card(1, "192.0.2.1"), card(2, "192.0.2.1"), card(3, "192.0.2.2")]
        for card in cards { #expect(registry.enter(card) == .accepted) }
        for card in cards { registry.leave(card) }
        for card in cards { #expect(registry.enter(card) == .accepted) }
        #expect(registry.all.count == 3)
    }

    @Test func thisMachineHasNoDistrictAndASocketNoLimit() {
        let registry = registry { $0.perDistrictMax = 1 }
        #expect(registry.enter(card(1, "127.0.0.1")) == .accepted)
        #expect(registry.enter(card(2, "127.0.0.2")) == .accepted)
        for number in 3..<20 { #expect(registry.enter(card(UInt64(number), nil)) == .accepted) }
    }

    @Test func sessionsOfAnAccountAreCounted() {
        let registry = registry()
        let cards = (1...3).map { card(UInt64($0), nil) }
        let login = SessionCard.Login(account: AccountID(100), credential: 1)
        #expect(!registry.logIn(cards[0], login), "not entered")
        for card in cards { #expect(registry.enter(card) == .accepted) }
        #expect(registry.logIn(cards[0], login))
        #expect(registry.logIn(cards[0], login), "twice is once")
        #expect(registry.logIn(cards[1], login))
        #expect(!registry.logIn(cards[2], login))
        registry.logOut(cards[1])
        #expect(registry.logIn(cards[2], login))
        registry.leave(cards[0])
        #expect(registry.sessions(of: AccountID(100)).map(\.id) == [cards[2].id])
    }
}
