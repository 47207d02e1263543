// Where a transaction meets the filters of the site: MAIL, RCPT, and the message once it is whole and checked.
//
// A filter is told of the connection and the greeting at MAIL, so that a session without mail costs it nothing; what it says to
// them is the answer to MAIL. See docs/decisions/0100-milters-see-stored-messages.md.
import EventStore
import Logging
import MIME
import MailCore
import MailTypes
import Milter
import NIOCore
import SMTP

/// What filters may ask about the transaction, beside what the session knows.
struct MilterFacts {
    var sender: Address?
    /// The address of whoever has logged in.
    var login: String?
    /// The one that is being asked about, and whether its mailbox is here.
    var recipient: (address: Address, isHere: Bool)?
    /// What this message is called here, if it comes to that.
    var name = ""
}

extension SMTPSession {
    private func makeMilters() -> MilterChain? {
        let links = filters.map { options in
            MilterLink(connection, options) { [unowned self] in milterMacros }
        }
        return links.isEmpty ? nil : MilterChain(links)
    }

    /// MAIL: what the filters say to the client and to the sender; nil for nothing against them.
    func filterSender(of envelope: SMTPEnvelope, _ completion: @escaping (SMTPReply?) -> Void) {
        guard let milters = milters ?? makeMilters() else { return completion(nil) }
        self.milters = milters
        milterFacts = MilterFacts(sender: envelope.reversePath, login: loginAddress, name: upcomingMessageName)
        let path = envelope.reversePath.map { "<\($0)>" } ?? "<>"
        milters.begin(
            connect: .connect(host: milterHost, milterPeer), greeting: .helo(machine.clientName),
            sender: .sender(path: path, parameters: envelope.parameters)
        ) { [self] reply in answer(reply, completion) }
    }

    /// RCPT, when the recipient would be accepted.
    func filter(_ recipient: SMTPRecipient, _ completion: @escaping (SMTPReply?) -> Void) {
        guard let milters else { return completion(nil) }
        // One that goes into the queue for its report may have its mailbox here all the same.
        milterFacts.recipient = (recipient.address, isHere: targets.last?.isElsewhere == false)
        let question = MilterQuestion.recipient(path: "<\(recipient.address)>", parameters: recipient.parameters)
        milters.recipient(question) { [self] reply in answer(reply, completion) }
    }

    private func answer(_ reply: MilterReply?, _ completion: (SMTPReply?) -> Void) {
        if let reply {
            connection.counters.reject(.milter)
            connection.log.info("refused by a milter", metadata: ["reply": "\(reply.code) \(reply.lines[0])"])
        }
        act { completion(reply.map { SMTPReply($0) }) }
    }

    // MARK: The message

    /// The message is whole, checked, and has its place: the filters judge it, then it goes on.
    func filter(_ source: any BodySource) {
        guard let milters else { return sign(source) }
        // The client has gone: nobody has been promised anything.
        guard !milters.isOver else { return }
        milterFacts.recipient = nil
        milterFacts.name = messageName
        let answer = connection.answering { [self] (result: Result<OpenedHeader?, StoreError>) in
            act { filter(source, result) }
        }
        connection.gateway.fileThreads.submit { _ in
            do throws(StoreError) {
                answer(.success(try OpenedHeader(of: source)))
            } catch {
                answer(.failure(error))
            }
        }
    }

    private func filter(_ source: any BodySource, _ result: Result<OpenedHeader?, StoreError>) {
        guard let milters, !milters.isOver else { return }
        switch result {
        case .failure(let error):
            connection.log.error("a body cannot be read", metadata: ["error": "\(error)"])
            finish(all: .temporaryFailure)
        // A header that filters are not told is none that they have judged.
        case .success(nil): finish(all: .headerTooLarge)
        case .success(let opened?):
            let message = MilteredMessage(opened.header, source, bodyStart: opened.octets)
            milters.message(message) { [self] verdict in act { filtered(message, verdict) } }
        }
    }

    private func filtered(_ message: MilteredMessage, _ verdict: MilterVerdict) {
        switch verdict {
        case .discard:
            connection.log.notice("discarded by a milter", metadata: ["message": "\(messageName)"])
            finish(all: .stored(id: messageName))
        case .refuse(let reply):
            connection.log.info(
                "refused by a milter",
                metadata: ["message": "\(messageName)", "reply": "\(reply.code) \(reply.lines[0])"])
            finish(all: .refused(SMTPReply(reply)))
        case .continue, .accept, .skip:
            preface?.wishes = message.changes
            if let sender = message.changes.sender { preface?.envelope.reversePath = sender }
            if let reason = message.changes.quarantine {
                connection.log.notice(
                    "quarantined by a milter", metadata: ["message": "\(messageName)", "reason": "\(reason)"])
            }
            guard message.isChanged else { return sign(message.source) }
            let (header, source, bodyStart) = (message.header, message.source, message.bodyStart)
            preface?.top = header.topOctets
            rewrite({ try MilteredMessage.rewritten(header, source, bodyStart: bodyStart) }, then: sign)
        }
    }

    // MARK: What filters are told

    /// As a name server knows the client, or its address in brackets.
    private var milterHost: String {
        machine.replacedClient?.name ?? connection.client.text.map { "[\($0)]" } ?? "localhost"
    }

    private var clientPort: UInt16 {
        if let replaced = machine.replacedClient, replaced.address != nil {
            return UInt16(clamping: replaced.port ?? 0)
        }
        return UInt16(clamping: connection.context?.channel.remoteAddress?.port ?? 0)
    }

    private var milterPeer: MilterPeer {
        guard let address = connection.client.text else { return .unknown }
        return address.contains(":") ? .v6(address, port: clientPort) : .v4(address, port: clientPort)
    }

    /// The values of the macros that are known now.
    private var milterMacros: [String: String] {
        let configuration = machine.configuration
        let name = machine.replacedClient?.name ?? "unknown"
        var macros = [
            "j": configuration.hostName, "v": "Letterlog", "i": milterFacts.name,
            "{daemon_name}": connection.name.rawValue, "{client_name}": name, "{client_ptr}": name,
        ]
        if let address = connection.client.text {
            macros["_"] = "\(name) [\(address)]"
            macros["{client_addr}"] = address
            macros["{client_port}"] = "\(clientPort)"
        } else {
            macros["_"] = "localhost"
        }
        if let local = connection.context?.channel.localAddress, let address = local.ipAddress {
            macros["{daemon_addr}"] = address
            macros["{daemon_port}"] = "\(local.port ?? 0)"
        }
        if let tls = connection.tlsInfo {
            macros["{tls_version}"] = tls.version
            macros["{cipher}"] = tls.cipher
            macros["{cipher_bits}"] = "\(tls.cipherBits)"
            macros["{cert_subject}"] = tls.clientCertificate?.subject
            macros["{cert_issuer}"] = tls.clientCertificate?.issuer
        }
        if let sender = milterFacts.sender {
            macros["{mail_addr}"] = "\(sender)"
            macros["{mail_host}"] = sender.domain
        }
        macros["{mail_mailer}"] = configuration.dialect == .lmtp ? "lmtp" : machine.isExtended ? "esmtp" : "smtp"
        if let recipient = milterFacts.recipient {
            macros["{rcpt_addr}"] = "\(recipient.address)"
            macros["{rcpt_host}"] = recipient.address.domain
            macros["{rcpt_mailer}"] = recipient.isHere ? "local" : "esmtp"
        }
        if let login = milterFacts.login {
            macros["{auth_authen}"] = login
            macros["{auth_author}"] = login
            macros["{auth_type}"] = mechanism.uppercased()
        }
        return macros
    }

    /// The address of whoever has logged in.
    private var loginAddress: String? {
        guard let account else { return nil }
        do {
            return try connection.gateway.engine.read { try $0.primaryAddress(account) }
        } catch {
            connection.log.error("the directory cannot be read", metadata: ["error": "\(error)"])
            return nil
        }
    }
}

/// The header of a message as it is stored.
private struct OpenedHeader: Sendable {
    let header: MilterHeader
    /// Of the stored message, up to its body.
    let octets: Int

    /// Nil where it is larger than what filters are shown; not on an event loop.
    init?(of source: any BodySource) throws(StoreError) {
        var octets: [UInt8] = []
        var end = HeaderEnd()
        var found: Int?
        while found == nil, octets.count < source.count {
            guard octets.count <= MilterLimits.headerOctetsMax else { return nil }
            let before = octets.count
            try source.read(at: before, count: GatewayLimits.bodyChunkOctets, into: &octets)
            guard octets.count > before else { throw .failed("a body ends at \(before) of \(source.count) octets") }
            found = end.find(in: octets)
        }
        self.octets = found ?? octets.count
        guard self.octets <= MilterLimits.headerOctetsMax else { return nil }
        octets.removeSubrange(self.octets...)
        guard let header = MilterHeader(octets) else { return nil }
        self.header = header
    }
}
