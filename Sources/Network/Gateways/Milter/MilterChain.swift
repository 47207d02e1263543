// The filters of one session, in their order: each is asked when those before it have nothing against the command, and sees the
// message as they have left it.
import MailTypes
import Milter
import NIOCore

final class MilterChain {
    private let links: [MilterLink]
    /// A filter wants that nobody gets the message of this transaction.
    private var isDiscarded = false
    private(set) var isOver = false

    init(_ links: [MilterLink]) { self.links = links }

    /// A transaction begins.
    func begin(
        connect: MilterQuestion, greeting: MilterQuestion, sender: MilterQuestion,
        _ completion: @escaping (MilterReply?) -> Void
    ) {
        isDiscarded = false
        command({ $0.begin(connect: connect, greeting: greeting, sender: sender, $1) }, completion)
    }

    func recipient(_ question: MilterQuestion, _ completion: @escaping (MilterReply?) -> Void) {
        if isDiscarded { return completion(nil) }
        command({ $0.recipient(question, $1) }, completion)
    }

    /// - Parameter completion: is not called when the session ends before.
    func message(_ message: MilteredMessage, _ completion: @escaping (MilterVerdict) -> Void) {
        if isDiscarded { return completion(.discard) }
        ask(0, { $0.message(message, $1) }, completion)
    }

    /// TLS has begun, and the client is to say anew who it is.
    func forgetGreeting() { for link in links { link.forgetGreeting() } }

    /// The session is over, or speaks for another client.
    func end() {
        isOver = true
        for link in links { link.end() }
    }

    /// Gives the refusal, or nil.
    private func command(
        _ work: @escaping (MilterLink, @escaping (MilterVerdict) -> Void) -> Void,
        _ completion: @escaping (MilterReply?) -> Void
    ) {
        ask(0, work) { [self] verdict in
            switch verdict {
            case .refuse(let reply): completion(reply)
            case .discard:
                isDiscarded = true
                completion(nil)
            case .continue, .accept, .skip: completion(nil)
            }
        }
    }

    private func ask(
        _ index: Int, _ work: @escaping (MilterLink, @escaping (MilterVerdict) -> Void) -> Void,
        _ completion: @escaping (MilterVerdict) -> Void
    ) {
        guard index < links.count else { return completion(.continue) }
        work(links[index]) { [self] verdict in
            switch verdict {
            case .continue, .accept, .skip: ask(index + 1, work, completion)
            case .discard, .refuse: completion(verdict)
            }
        }
    }
}
