/// Connections that may be open: so many to one destination, so many in all. Waiting is first come first served among
/// those that may go.
struct DeliverySlots {
    private var perDestinationMax: Int
    private var totalMax: Int
    private var used: [String: Int] = [:]
    private var total = 0
    private var waiting: [(destination: String, continuation: CheckedContinuation<Void, Never>)] = []

    init(perDestinationMax: Int, totalMax: Int) {
        self.perDestinationMax = perDestinationMax
        self.totalMax = totalMax
    }

    mutating func limit(perDestination: Int, total: Int) {
        (perDestinationMax, totalMax) = (perDestination, total)
        wakeNext()
    }

    private func hasRoom(_ destination: String) -> Bool {
        total < totalMax && used[destination, default: 0] < perDestinationMax
    }

    mutating func take(_ destination: String) -> Bool {
        guard hasRoom(destination) else { return false }
        used[destination, default: 0] += 1
        total += 1
        return true
    }

    mutating func wait(_ destination: String, _ continuation: CheckedContinuation<Void, Never>) {
        waiting.append((destination, continuation))
    }

    mutating func release(_ destination: String) {
        total -= 1
        let left = used[destination, default: 1] - 1
        used[destination] = left > 0 ? left : nil
        wakeNext()
    }

    private mutating func wakeNext() {
        while let index = waiting.firstIndex(where: { hasRoom($0.destination) }) {
            let next = waiting.remove(at: index)
            _ = take(next.destination)
            next.continuation.resume()
        }
    }
}
