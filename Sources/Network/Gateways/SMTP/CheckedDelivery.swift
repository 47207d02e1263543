// Between the last octet of a body and its delivery: checks of mail from elsewhere, what is put before the message, then the
// filters, and signatures last.
//
// A message that is not checked has its trace in front from its first octet on. One that is gets it afterwards, with the
// results, and its header without fields that claim to be ours; the body stays where it was spooled.
import EventStore
import Logging
import MailTypes
import MessageAuthentication
import SMTP

/// What goes before a message, and who checks it.
struct MessagePreface {
    /// The machine forgets its own when the client goes, and the message goes on all the same.
    var envelope: SMTPEnvelope
    let trace: SMTPTrace
    /// Until it is asked for its verdict: what it holds counts as a check that goes on.
    var check: InboundCheck?
    /// What the message begins with and signatures stand behind.
    var top: [UInt8]
    /// What filters want done with its recipients.
    var wishes = MilterChanges()
}

extension SMTPSession {
    /// A body begins.
    func beginChecks(_ envelope: SMTPEnvelope, _ trace: SMTPTrace, _ receiver: BodyReceiver) {
        let top = traceHeaders(trace)
        preface = MessagePreface(envelope: envelope, trace: trace, check: makeCheck(envelope), top: top)
        if preface?.check == nil { receiver.append(top) }
    }

    /// Nil where the message is not to be checked.
    private func makeCheck(_ envelope: SMTPEnvelope) -> InboundCheck? {
        let options = connection.gateway.options.checks
        let client = connection.client
        guard options.policy != .off, let names = options.names, machine.configuration.dialect == .smtp,
            account == nil, let ip = client.ip, !ip.isLoopback, !options.trusted.contains(client)
        else { return nil }
        let question = SPFQuestion(
            client: ip, sender: envelope.reversePath, helo: machine.clientName,
            receiver: machine.configuration.hostName, now: connection.gateway.engine.clock().seconds)
        return InboundCheck(question, names, open: connection.gateway.openChecks)
    }

    /// The body is whole and has its place.
    func prepare(_ source: any BodySource) {
        guard let check = preface?.check else { return filter(source) }
        preface?.check = nil
        let options = connection.gateway.options.checks
        let (now, eventLoop) = (connection.gateway.engine.clock().seconds, connection.eventLoop)
        let answer = connection.answering { [self] (result: Result<MessageCheck, StoreError>) in
            act { checked(source, result) }
        }
        connection.gateway.fileThreads.submit { _ in
            var reading = MessageReading(now: now)
            do throws(StoreError) {
                try source.read { (run: UnsafeRawBufferPointer) in reading.update(run) }
            } catch {
                check.abandon()
                return answer(.failure(error))
            }
            let message = reading.finish()
            check.judge(message, timer: { late in eventLoop.scheduleTask(in: options.waitMax, late) }) { verdict in
                answer(.success(MessageCheck(message: message, verdict: verdict)))
            }
        }
    }

    /// Signs what somebody hands in who has logged in, with the keys of the author's domain, so that every try to send it
    /// sends the same octets. Anything else goes on as it is.
    func sign(_ source: any BodySource) {
        guard machine.configuration.dialect == .submission, let top = preface?.top else { return submit(source) }
        let gateway = connection.gateway
        let (keys, now) = (gateway.signingKeys, gateway.engine.clock().seconds)
        do {
            guard try keys.areThere else { return submit(source) }
        } catch {
            connection.log.error("no keys can be read", metadata: ["error": "\(error)"])
            return act { finish(all: .temporaryFailure) }
        }
        rewrite({ try signed(source, top, now: now, keys) ?? source }, then: submit)
    }

    private func checked(_ source: any BodySource, _ result: Result<MessageCheck, StoreError>) {
        guard case .success(let check) = result else {
            connection.log.error("a body cannot be read", metadata: ["result": "\(result)"])
            return finish(all: .temporaryFailure)
        }
        let (message, verdict) = (check.message, check.verdict)
        log(verdict)
        // A header that is not read cannot be rid of fields that claim to be ours.
        guard let header = message.header else { return finish(all: .headerTooLarge) }
        if connection.gateway.options.checks.policy == .enforce, verdict.isToBeRefused {
            return finish(
                all: verdict.dmarc.result == .permerror ? .tooManyAuthors : .refusedByDomain(verdict.dmarc.domain))
        }
        guard let trace = preface?.trace else { return finish(all: .temporaryFailure) }
        let server = machine.configuration.hostName
        let top = traceHeaders(trace, results: AuthenticationResults.field(verdict, server: server))
        preface?.top = top
        rewrite(
            {
                let beginning = top + AuthenticationResults.removingForged(header, server: server)
                return try RewrittenBody(beginning, instead: message.headerOctets, of: source)
            }, then: filter)
    }

    /// Goes on with the body that a thread makes.
    func rewrite(
        _ make: @escaping @Sendable () throws -> any BodySource, then next: @escaping (any BodySource) -> Void
    ) {
        let answer = connection.answering { [self] (result: Result<any BodySource, any Error>) in
            act {
                switch result {
                case .success(let body): next(body)
                case .failure(let error):
                    connection.log.error("a body cannot be rewritten", metadata: ["error": "\(error)"])
                    finish(all: .temporaryFailure)
                }
            }
        }
        connection.gateway.fileThreads.submit { _ in answer(Result { try make() }) }
    }

    private func log(_ verdict: MessageVerdict) {
        connection.log.info(
            "message checked",
            metadata: [
                "client": "\(connection.client.description)", "spf": "\(verdict.spf?.result.rawValue ?? "none")",
                "dkim": "\(verdict.dkim.map(\.result.rawValue).joined(separator: ","))",
                "dmarc": "\(verdict.dmarc.result.rawValue)", "policy": "\(verdict.dmarc.policy.rawValue)",
            ])
    }
}

/// The body with signatures behind what is on its top; nil where its author's domain has no keys, or where it cannot be signed.
private func signed(
    _ source: any BodySource, _ top: [UInt8], now: Int64, _ keys: SigningKeys
) throws -> (any BodySource)? {
    var signing = MessageSigning()
    try source.read { (run: UnsafeRawBufferPointer) in signing.update(run) }
    guard let author = signing.authorDomain else { return nil }
    let fields = signing.finish(try keys.signers(author), now: now)
    return fields.isEmpty ? nil : try RewrittenBody(top + fields, instead: top.count, of: source)
}

/// What a thread found.
private struct MessageCheck: Sendable {
    let message: InspectedMessage
    let verdict: MessageVerdict
}
