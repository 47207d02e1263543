// AUTH (RFC 5034 section 4): a SASL exchange in lines of base64, until the handler says how it ended.
//
// Invariants
// - A response is consumed only when a challenge has been sent.
// - Whatever is wrong with a response ends the exchange with one -ERR, and the handler is told (`cancelAuthentication`).
//   A close tells it too.
// - A line is decoded strictly: no character beside base64's, no padding but at the end (section 4).
import MailTypes
import Octets

extension POP3Command {
    /// AUTH mechanism [initial-response]. Alone it lists the mechanisms, which clients older than CAPA rely on.
    static let auth = POP3Command("AUTH", in: .authorization, lineOctetsMax: POP3Limits.passwordLineOctetsMax) {
        machine, arguments, actions in
        machine.auth(arguments, into: &actions)
    }
}

extension POP3ServerMachine {
    fileprivate mutating func auth(_ arguments: POP3Arguments, into actions: inout [POP3Action]) {
        let words = arguments.raw.split(separator: Ascii.space)
        guard let name = words.first else {
            return actions.append(.reply(.ok("Mechanisms follow", lines: mechanisms)))
        }
        // sasl-mech of RFC 4422 section 3.1: letters, digits, `-` and `_`, of any case here.
        guard words.count <= 2, name.count <= POP3Limits.mechanismOctetsMax,
            name.allSatisfy({ Ascii.isLetter($0) || Ascii.isDigit($0) || $0 == Ascii.hyphen || $0 == Ascii.underscore })
        else { return refuse(.error("AUTH mechanism [initial-response]"), into: &actions) }
        var initial: SecretOctets?
        if words.count == 2 {
            guard let octets = words[1].elementsEqual([Ascii.equals]) ? [] : Base64.decode(words[1]) else {
                return refuse(.error("The initial response is not base64"), into: &actions)
            }
            initial = SecretOctets(octets)
        }
        user = nil
        phase = .awaitingLogin
        actions.append(
            .beginAuthentication(mechanism: String(decoding: name, as: UTF8.self), initialResponse: initial))
    }

    /// Takes a line of the exchange.
    /// - Returns: where the next line begins; nil when no whole line is there yet and nothing was passed by.
    mutating func receiveResponse(
        _ bytes: UnsafeRawBufferPointer, from start: Int, into actions: inout [POP3Action]
    ) -> Int? {
        switch responseLines.next(in: bytes, from: start) {
        case .incomplete(let consumed): return consumed == start ? nil : consumed
        case .tooLong(let next):
            endAuthentication(.error("Response line too long"), into: &actions)
            return next
        case .bad(let next):
            endAuthentication(.error("Response has a NUL, a bare CR or a bare LF"), into: &actions)
            return next
        case .line(let range, let next):
            receiveResponse(UnsafeRawBufferPointer(rebasing: bytes[range]), into: &actions)
            return next
        }
    }

    private mutating func receiveResponse(_ line: UnsafeRawBufferPointer, into actions: inout [POP3Action]) {
        if line.elementsEqual([Ascii.asterisk]) {
            return endAuthentication(.error("Authentication cancelled"), into: &actions)
        }
        guard let octets = Base64.decode(line) else {
            return endAuthentication(.error("The response is not base64"), into: &actions)
        }
        phase = .awaitingLogin
        actions.append(.continueAuthentication(SecretOctets(octets)))
    }

    private mutating func endAuthentication(_ reply: POP3Reply, into actions: inout [POP3Action]) {
        phase = .command
        actions.append(.cancelAuthentication)
        refuse(reply, into: &actions)
    }

    /// Answers `beginAuthentication` and `continueAuthentication` when the exchange goes on; `loginFinished` ends it.
    package mutating func loginChallenged(_ challenge: [UInt8], into actions: inout [POP3Action]) {
        if isClosed { return }
        precondition(phase == .awaitingLogin, "no exchange is under way")
        actions.append(.reply(.challenge(challenge)))
        phase = .authenticating
        if isShuttingDown { close(.shuttingDown, nil, into: &actions) }
    }
}
