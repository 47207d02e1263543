// Who is slowed and who is refused after failures, with a clock of its own.
import MailTypes
import NIOCore
import Testing

@testable import Authentication

/// A ledger to ask within an expectation, which takes no mutating calls.
private final class Ledger {
    var ledger: FailureLedger
    init(_ options: AuthenticationOptions) { ledger = FailureLedger(options) }
    var count: Int { ledger.count }
    func stand(_ name: String, from source: LoginSource, at now: NIODeadline) -> FailureLedger.Standing {
        ledger.stand(name, from: source, at: now)
    }
    func note(failureOf name: String, from source: LoginSource, at now: NIODeadline) {
        ledger.note(failureOf: name, from: source, at: now)
    }
    func note(successOf name: String, from source: LoginSource, at now: NIODeadline) {
        ledger.note(successOf: name, from: source, at: now)
    }
    func delay(failures: Int) -> TimeAmount { ledger.delay(failures: failures) }
}

@Suite struct FailureLedgerTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    private let options = AuthenticationOptions()

    private func source(_ text: String) -> LoginSource { LoginSource(IPAddress(text)) }

    private func isRefused(_ standing: FailureLedger.Standing) -> Bool {
        if case .refused = standing { true } else { false }
    }

    @Test func delaysDoubleUpToTheirLimit() {
        let ledger = Ledger(options)
        let delays = (0...8).map { ledger.delay(failures: $0).nanoseconds / 1_000_000 }
        #expect(delays == [0, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000])
        #expect(ledger.delay(failures: 1_000) == .seconds(15))
    }

    @Test func aPairIsRefusedAtItsLimitAndForgiven() {
        let ledger = Ledger(options)
        let (attacker, owner) = (source("192.0.2.1"), source("198.51.100.7"))
        for _ in 0..<options.failuresMax {
            #expect(!isRefused(ledger.stand("alice@a.test", from: attacker, at: start)))
            ledger.note(failureOf: "alice@a.test", from: attacker, at: start)
        }
        #expect(ledger.stand("ALICE@a.test", from: attacker, at: start) == .refused(delay: options.delayMax))
        // The owner elsewhere, and others behind the attacker's address, are as free as before.
        #expect(ledger.stand("alice@a.test", from: owner, at: start) == .heard(delay: .zero))
        #expect(ledger.stand("bob@a.test", from: attacker, at: start) == .heard(delay: .zero))
        let later = start + options.forgivenessPeriod
        #expect(!isRefused(ledger.stand("alice@a.test", from: attacker, at: later)))
    }

    @Test func aWaitIsEnoughHoweverManyFailed() {
        let ledger = Ledger(options)
        for _ in 0..<100_000 { ledger.note(failureOf: "alice@a.test", from: source("192.0.2.1"), at: start) }
        #expect(
            ledger.stand("alice@a.test", from: source("192.0.2.1"), at: start + .hours(24)) == .heard(delay: .zero))
    }

    @Test func aNeighbourhoodThatTriesManyNamesIsRefusedButWhereItIsKnown() {
        let ledger = Ledger(options)
        let attacker = source("2001:db8:1:2::1")
        ledger.note(successOf: "owner@a.test", from: source("2001:db8:1:2:ffff::1"), at: start)
        for number in 0..<options.neighbourhoodFailuresMax {
            ledger.note(failureOf: "\(number)@a.test", from: attacker, at: start)
        }
        #expect(isRefused(ledger.stand("next@a.test", from: attacker, at: start)))
        #expect(isRefused(ledger.stand("next@a.test", from: source("2001:db8:1:2:3:4:5:6"), at: start)))
        #expect(!isRefused(ledger.stand("next@a.test", from: source("2001:db8:1:3::1"), at: start)))
        #expect(ledger.stand("owner@a.test", from: attacker, at: start) == .heard(delay: .zero))
    }

    @Test func aDistrictThatTriesManyNamesIsRefused() {
        let ledger = Ledger(options)
        for number in 0..<options.districtFailuresMax {
            let text = "2001:db8:1:\(String(number, radix: 16))::1"
            ledger.note(failureOf: "\(number)@a.test", from: source(text), at: start)
        }
        #expect(isRefused(ledger.stand("next@a.test", from: source("2001:db8:1:ffff::1"), at: start)))
        #expect(!isRefused(ledger.stand("next@a.test", from: source("2001:db8:2::1"), at: start)))
    }

    /// A webmail on this machine brings everybody's logins from one address.
    @Test(arguments: ["127.0.0.1", "::1", nil] as [String?])
    func thisMachineIsNotCounted(_ text: String?) {
        let ledger = Ledger(options)
        let local = LoginSource(text.flatMap { IPAddress($0) })
        for number in 0..<5_000 { ledger.note(failureOf: "\(number)@a.test", from: local, at: start) }
        #expect(ledger.stand("next@a.test", from: local, at: start) == .heard(delay: .zero))
        for _ in 0..<options.failuresMax { ledger.note(failureOf: "alice@a.test", from: local, at: start) }
        #expect(isRefused(ledger.stand("alice@a.test", from: local, at: start)))
    }

    @Test func aNameGuessedFromEverywhereIsSlowedAndNotRefused() {
        let ledger = Ledger(options)
        for number in 0..<options.nameFailuresMax {
            ledger.note(failureOf: "alice@a.test", from: source("10.\(number).0.1"), at: start)
        }
        #expect(
            ledger.stand("alice@a.test", from: source("198.51.100.7"), at: start) == .heard(delay: options.nameDelay))
        ledger.note(successOf: "alice@a.test", from: source("198.51.100.7"), at: start)
        #expect(ledger.stand("alice@a.test", from: source("198.51.100.7"), at: start) == .heard(delay: .zero))
    }

    /// The old telephone at home that keeps trying the old password.
    @Test func whereANameIsKnownItIsSlowedAndNotRefused() {
        let ledger = Ledger(options)
        let home = source("192.0.2.1")
        ledger.note(successOf: "alice@a.test", from: home, at: start)
        for _ in 0..<1_000 { ledger.note(failureOf: "alice@a.test", from: home, at: start) }
        #expect(ledger.stand("alice@a.test", from: home, at: start) == .heard(delay: options.knownDelayMax))
        let later = start + options.knownLifetime
        for _ in 0..<1_000 { ledger.note(failureOf: "alice@a.test", from: home, at: later) }
        #expect(isRefused(ledger.stand("alice@a.test", from: home, at: later)))
    }

    @Test func answersHeldBackAreFew() {
        let ledger = Ledger(options)
        let place = source("192.0.2.1")
        for _ in 0..<options.slotsFromFailures { ledger.note(failureOf: "alice@a.test", from: place, at: start) }
        let delay = ledger.delay(failures: options.slotsFromFailures)
        for _ in 0..<options.slotsMax {
            #expect(ledger.stand("alice@a.test", from: place, at: start) == .heard(delay: delay))
        }
        #expect(ledger.stand("alice@a.test", from: place, at: start) == .tryLater)
        #expect(!isRefused(ledger.stand("alice@a.test", from: place, at: start + delay)))
        #expect(ledger.stand("alice@a.test", from: place, at: start + delay) != .tryLater)
    }

    @Test func ranks() {
        let ledger = Ledger(options)
        let place = source("192.0.2.1")
        func rank(_ name: String, _ text: String) -> LoginRank {
            ledger.ledger.rank(name, from: source(text), at: start)
        }
        #expect(rank("alice@a.test", "192.0.2.1") == .fresh)
        ledger.note(failureOf: "alice@a.test", from: place, at: start)
        #expect(rank("alice@a.test", "192.0.2.1") == .suspect)
        #expect(rank("bob@a.test", "192.0.2.1") == .suspect)
        #expect(rank("alice@a.test", "198.51.100.7") == .fresh)
        ledger.note(successOf: "alice@a.test", from: place, at: start)
        #expect(rank("alice@a.test", "192.0.2.1") == .known)
    }

    @Test func placesOfANameAreFew() {
        let ledger = Ledger(options)
        for number in 0...AuthenticationLimits.knownPlacesMax {
            let time = start + .seconds(Int64(number))
            ledger.note(successOf: "alice@a.test", from: source("10.0.0.\(number)"), at: time)
        }
        let now = start + .seconds(100)
        for number in [0, 1] {
            for _ in 0..<1_000 {
                ledger.note(failureOf: "alice@a.test", from: source("10.0.0.\(number)"), at: now)
            }
        }
        // The one that was used longest ago has been forgotten.
        #expect(isRefused(ledger.stand("alice@a.test", from: source("10.0.0.0"), at: now)))
        #expect(!isRefused(ledger.stand("alice@a.test", from: source("10.0.0.1"), at: now)))
    }

    @Test func theLedgerStaysSmallAndKeepsTheWorst() {
        let ledger = Ledger(options)
        for _ in 0..<options.failuresMax {
            ledger.note(failureOf: "victim@a.test", from: source("192.0.2.1"), at: start)
        }
        for number in 0..<(AuthenticationLimits.ledgerEntriesMax * 3) {
            let text = "10.\(number >> 16).\(number >> 8 & 255).\(number & 255)"
            ledger.note(failureOf: "\(number)@a.test", from: source(text), at: start)
            ledger.note(successOf: "\(number)@a.test", from: source(text), at: start)
        }
        #expect(ledger.count <= AuthenticationLimits.ledgerEntriesMax)
        #expect(isRefused(ledger.stand("victim@a.test", from: source("192.0.2.1"), at: start)))
    }

    @Test func aNameOfAnyLengthCostsTheSame() {
        let ledger = Ledger(options)
        let long = String(repeating: "x", count: 1 << 20)
        for number in 0..<options.failuresMax {
            ledger.note(failureOf: long + "\(number)", from: source("192.0.2.1"), at: start)
        }
        #expect(ledger.count == 1)
    }
}
