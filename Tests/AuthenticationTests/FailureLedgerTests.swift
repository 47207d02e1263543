import NIOCore
import Testing

@testable import Authentication

@Suite struct FailureLedgerTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    @Test func delaysDoubleUpToTheirLimit() {
        let ledger = FailureLedger(AuthenticationOptions())
        let delays = (0...8).map { ledger.delay(failures: $0).nanoseconds / 1_000_000 }
        #expect(delays == [0, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000])
        #expect(ledger.delay(failures: 1_000) == .seconds(15))
    }

    @Test func failuresAreCountedByAddressAndForgiven() {
        var ledger = FailureLedger(AuthenticationOptions())
        for _ in 0..<3 { ledger.note(failureOf: "192.0.2.1", at: start) }
        #expect(ledger.failures(of: "192.0.2.1", at: start) == 3)
        #expect(ledger.failures(of: "192.0.2.2", at: start) == 0)
        #expect(ledger.failures(of: "192.0.2.1", at: start + .seconds(29)) == 3)
        #expect(ledger.failures(of: "192.0.2.1", at: start + .seconds(30)) == 2)
        #expect(ledger.failures(of: "192.0.2.1", at: start + .seconds(3_000)) == 0)
        // Forgiveness does not start anew with a failure.
        ledger.note(failureOf: "192.0.2.1", at: start + .seconds(29))
        #expect(ledger.failures(of: "192.0.2.1", at: start + .seconds(31)) == 3)
    }

    @Test func aWaitOfAnHourIsEnoughHoweverManyFailed() {
        var ledger = FailureLedger(AuthenticationOptions())
        for _ in 0..<100_000 { ledger.note(failureOf: "192.0.2.1", at: start) }
        #expect(ledger.failures(of: "192.0.2.1", at: start + .hours(1)) == 0)
    }

    @Test func theLedgerStaysSmall() {
        var ledger = FailureLedger(AuthenticationOptions())
        for number in 0..<(AuthenticationLimits.ledgerEntriesMax * 3) {
            ledger.note(failureOf: "\(number)", at: start)
        }
        #expect(ledger.count <= AuthenticationLimits.ledgerEntriesMax)
        #expect(ledger.failures(of: "\(AuthenticationLimits.ledgerEntriesMax * 3 - 1)", at: start) == 1)
    }
}
