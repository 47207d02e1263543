// A message of somebody who has logged in, on its way to the engine: its header is held back until it is whole, judged and
// rewritten; what follows it flows on as it comes. So no more than a header is ever in memory.
import Logging
import MIME
import MailTypes
import NIOCore
import SMTP

final class SubmittedMessage {
    private var header: [UInt8] = []
    private var end = HeaderEnd()
    private var isPast = false
    /// Why the message is not taken.
    private(set) var refusal: DeliveryOutcome?

    private let mayUse: (EmailAddress) throws -> Bool
    private let date: String
    private let messageID: String
    /// Whoever sends; nil for the null path.
    private let author: Address?

    /// - Parameter mayUse: whether an address is the sender's.
    init(date: String, messageID: String, author: Address?, mayUse: @escaping (EmailAddress) throws -> Bool) {
        self.author = author
        self.date = date
        self.messageID = messageID
        self.mayUse = mayUse
    }

    /// Passes on what is ready.
    func append(_ part: ByteBuffer, to body: BodyReceiver) {
        guard refusal == nil else { return }
        guard !isPast else { return body.append(part) }
        header += part.readableBytesView
        guard let count = end.find(in: header) else {
            if header.count > GatewayLimits.submittedHeaderOctetsMax { refusal = .headerTooLarge }
            return
        }
        guard count <= GatewayLimits.submittedHeaderOctetsMax else { return refusal = .headerTooLarge }
        let rest = Array(header[count...])
        header.removeSubrange(count...)
        pass(to: body)
        if refusal == nil, !rest.isEmpty { body.append(rest) }
    }

    /// The message has ended, perhaps within its header.
    func finish(to body: BodyReceiver) {
        if !isPast, refusal == nil { pass(to: body) }
    }

    private func pass(to body: BodyReceiver) {
        isPast = true
        let submitted = SubmittedHeader(header)
        header = []
        refusal = verdict(on: submitted)
        guard refusal == nil else { return }
        body.append(
            submitted.octets(date: date, messageID: messageID, author: author.map { "\($0)" } ?? ""))
    }

    /// RFC 6409 section 8.1: From, or with several authors Sender as well (RFC 5322 section 3.6.2).
    private func verdict(on submitted: SubmittedHeader) -> DeliveryOutcome? {
        let named = (submitted.from + submitted.sender).filter { !$0.isGroupStart && !$0.isGroupEnd }
        // Without From the message is from its sender; one that names nobody is a mistake.
        guard !named.isEmpty || (!submitted.hasFrom && author != nil) else { return .noAuthor }
        do {
            return try named.allSatisfy(mayUse) ? nil : .notTheirAddress
        } catch {
            return .temporaryFailure
        }
    }
}

extension SMTPSession {
    func beginSubmission() -> SubmittedMessage {
        let gateway = connection.gateway
        let now = gateway.engine.clock()
        let author = machine.envelope?.reversePath
        let domain = author?.domain ?? gateway.options.hostName
        return SubmittedMessage(
            date: MailDate.text(InternalDate(time: now)), messageID: "\(messageName).\(now.rawValue)@\(domain)",
            author: author
        ) { [directory, account, isChecked = gateway.sending.checksSender] author in
            guard isChecked else { return true }
            guard let host = author.host, let mailbox = author.mailbox,
                let address = Address(
                    localPart: String(decoding: mailbox, as: UTF8.self), domain: String(decoding: host, as: UTF8.self))
            else { return false }
            return try directory.owner(of: address) == account
        }
    }
}
