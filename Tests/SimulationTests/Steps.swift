// What virtual clients do, as values: a run is a list of steps, and any part of the list is a run too, so a failing
// one can be shrunk. A step names mailboxes and UIDs by numbers that are looked up when it is taken.
import InputSupport
import MailCore
import MailTypes

extension SeededGenerator {
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

/// Which UIDs a client names; some of them are there.
enum PickedUIDs: Hashable {
    case all
    case one(Int)
    case range(Int, Int)
    /// By the bits of the number, over the UIDs below UIDNEXT.
    case some(UInt64)
}

enum Step: Hashable {
    /// One message to each account of the mask, sharing a body.
    case deliver(mask: Int, size: Int)
    case append(box: Int, count: Int, flags: Int, keywords: Int, size: Int)
    case flags(box: Int, uids: PickedUIDs, operation: Int, flags: Int, keywords: Int, unchangedSince: Int?)
    case expunge(box: Int, uids: PickedUIDs, onlyDeleted: Bool)
    case copy(from: Int, to: Int, uids: PickedUIDs)
    case move(from: Int, to: Int, uids: PickedUIDs)
    case restore(from: Int, to: Int, uids: PickedUIDs)
    case create(name: Int)
    case delete(box: Int)
    case rename(box: Int, name: Int)
    case subscribe(name: Int, on: Bool)
    case bump(box: Int)
    case raise(box: Int, by: Int)
    case disable(Bool)
    case quota(bytes: Int, messages: Int)
    /// Collects all that is due.
    case collect
    /// The client's last retryable command comes again.
    case again
    case clock(milliseconds: Int)
    case commit(fault: Int)
    case reopen
}

struct ClientStep: CustomStringConvertible {
    var client: Int
    var isRetryable: Bool
    var step: Step
    var description: String { "client \(client)\(isRetryable ? " (retryable)" : ""): \(step)" }
}

enum Pools {
    static let names = ["A", "B", "A/x", "A/x/y", "B/z", "C", "INBOX/k", "inbox", "A/x/y/w", "B/z/e/f"]
    static let keywords = ["$Forwarded", "$forwarded", "$Junk", "work", "Later", "LATER", "todo-1", "x"]
    /// Enough that the keywords above get numbers on both sides of the 63 that have a bit in the message row.
    static let filler = (0..<61).map { "filler\($0)" }
}

/// The steps of a seed.
func generate(seed: UInt64, steps count: Int) -> [ClientStep] {
    var random = SeededGenerator(seed: seed)
    let clients = 3 + random.below(5)
    var steps: [ClientStep] = []
    for _ in 0..<count {
        steps.append(
            ClientStep(client: random.below(clients), isRetryable: random.chance(30), step: oneStep(&random)))
    }
    return steps
}

private func oneStep(_ random: inout SeededGenerator) -> Step {
    switch random.below(100) {
    case 0..<7: return .deliver(mask: 1 + random.below(3), size: 1 + random.below(400))
    case 7..<17:
        return .append(
            box: random.below(24), count: 1 + random.below(4), flags: random.below(32), keywords: mask(&random),
            size: 1 + random.below(400))
    case 17..<33:
        let since = random.chance(35) ? random.below(40) : nil
        return .flags(
            box: random.below(24), uids: uids(&random), operation: random.below(3), flags: random.below(32),
            keywords: mask(&random), unchangedSince: since)
    case 33..<39: return .expunge(box: random.below(24), uids: uids(&random), onlyDeleted: random.chance(50))
    case 39..<44: return .copy(from: random.below(24), to: random.below(24), uids: uids(&random))
    case 44..<50: return .move(from: random.below(24), to: random.below(24), uids: uids(&random))
    case 50..<56: return .restore(from: random.below(8), to: random.below(24), uids: uids(&random))
    case 56..<64: return .create(name: random.below(Pools.names.count))
    case 64..<69: return .delete(box: 6 + random.below(18))
    case 69..<75: return .rename(box: 6 + random.below(18), name: random.below(Pools.names.count))
    case 75..<77: return .subscribe(name: random.below(Pools.names.count), on: random.chance(60))
    case 77:
        let box = random.below(24)
        return box % 2 == 0 ? .bump(box: box) : .raise(box: box, by: box % 5)
    case 78: return .disable(random.chance(40))
    case 79: return .quota(bytes: random.below(3) * 2000, messages: random.below(3) * 20)
    case 80..<83: return .collect
    case 83..<86: return .again
    case 86..<89: return .clock(milliseconds: clock(&random))
    case 89..<99: return .commit(fault: random.chance(12) ? 1 + random.below(4) : 0)
    default: return .reopen
    }
}

/// Mostly a little forward; sometimes days, sometimes back.
private func clock(_ random: inout SeededGenerator) -> Int {
    switch random.below(6) {
    case 0: -random.below(5_000)
    case 1, 2: random.below(8) * 86_400_000
    default: random.below(3_000)
    }
}

private func mask(_ random: inout SeededGenerator) -> Int {
    random.chance(50) ? 0 : 1 << random.below(8) | 1 << random.below(8)
}

private func uids(_ random: inout SeededGenerator) -> PickedUIDs {
    switch random.below(10) {
    case 0, 1: .all
    case 2...4: .one(random.below(64))
    case 5, 6: .range(random.below(64), random.below(64))
    default: .some(random.next())
    }
}
