// A connection to an IMAP server from which mail is copied: a thread sends commands and takes responses, waiting for
// each a bounded time. It is used by one thread; the socket lives on an event loop.
import Foundation
import IMAP
import MailTypes
import NIOCore
import NIOPosix

/// Where mail comes from, and how to get there.
struct SourcePlace: Sendable {
    var host: String
    var port: Int
    var security: SourceSecurity
    /// Makes the handler that encrypts; called on the event loop.
    var makeTLS: (@Sendable () throws -> any ChannelHandler)?
}

/// How a connection to a source is protected.
package enum SourceSecurity: String, Codable, Sendable, CaseIterable {
    /// TLS from the first octet (RFC 8314).
    case tls
    case starttls
    case none

    package var port: Int { self == .tls ? 993 : 143 }
}

/// Whose mail, and who asks for it.
struct SourceLogin: Sendable {
    var user: String
    var password: SecretOctets
    /// Logs in for `user`.
    var master: String?
    /// Between user and master in one login name (`user*master`, Dovecot); nil names both to SASL.
    var masterSeparator: String?
}

final class SourceConnection {
    typealias Take = (IMAPClientEvent) throws -> Void

    private let channel: any Channel
    private let octets = SourceOctets()
    private var parser = IMAPResponseParser()
    private let isCancelled: () -> Bool
    private var lastTag = 0
    private(set) var capabilities: Set<String> = []
    /// The server knows who we are without being told (PREAUTH).
    private var isLoggedIn = false

    init(_ place: SourcePlace, isCancelled: @escaping () -> Bool) throws {
        self.isCancelled = isCancelled
        let octets = octets
        do {
            channel = try ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(.seconds(Int64(ServerLimits.importConnectSeconds)))
                .channelOption(.autoRead, value: false)
                .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 256 << 10))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        if place.security == .tls, let makeTLS = place.makeTLS {
                            try channel.pipeline.syncOperations.addHandler(try makeTLS())
                        }
                        try channel.pipeline.syncOperations.addHandler(SourceHandler(octets))
                    }
                }
                .connect(host: place.host, port: place.port).wait()
        } catch {
            throw AdministrationFailure("\(place.host):\(place.port) cannot be reached: \(error)", .tryAgain)
        }
        do {
            try greet()
            if place.security == .starttls { try startTLS(place) }
            if capabilities.isEmpty { _ = try run(.plain(tag(), "CAPABILITY")) }
        } catch {
            close()
            throw error
        }
    }

    func close() { channel.close(promise: nil) }

    func tag() -> String {
        lastTag += 1
        return "a\(lastTag)"
    }

    func has(_ capability: String) -> Bool { capabilities.contains(capability) }

    // MARK: Talking

    /// Sends a command that is answered by itself; `take` gets what comes before its end.
    /// - Throws: also when the server says NO or BAD.
    @discardableResult
    func run(_ command: IMAPClientCommand, _ take: Take = { _ in }) throws -> IMAPServerStatus {
        let status = try outcome(command, take)
        guard status.kind == .ok else { throw refusal(command.name, status) }
        return status
    }

    func refusal(_ name: String, _ status: IMAPServerStatus) -> AdministrationFailure {
        AdministrationFailure("the source refused \(name): \(status.text.isEmpty ? status.kind.rawValue : status.text)")
    }

    func outcome(_ command: IMAPClientCommand, _ take: Take = { _ in }) throws -> IMAPServerStatus {
        var pieces = command.pieces[...]
        var end: IMAPServerStatus?
        var isAsked = true
        while true {
            if isAsked, let piece = pieces.popFirst() {
                send(piece)
                isAsked = false
            }
            try read { event in
                switch event {
                case .response(.continuation):
                    guard !pieces.isEmpty else { throw AdministrationFailure("the source asks for more than there is") }
                    isAsked = true
                case .response(.status(let status)) where status.tag != nil:
                    guard status.tag == command.tag else {
                        throw AdministrationFailure("the source answered a command that was not sent")
                    }
                    learn(status)
                    end = status
                default: try take(event)
                }
            }
            if let end { return end }
        }
    }

    func send(_ octets: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: octets), promise: nil) }

    /// Waits for octets and hands on what they hold.
    func read(_ take: Take) throws {
        var silence = 0
        while true {
            if isCancelled() { throw AdministrationFailure("the import was interrupted") }
            let channel = channel
            if let buffer = try octets.next(milliseconds: 500, readOn: { channel.read() }) {
                do {
                    return try buffer.withUnsafeReadableBytes { try parser.consume($0) { try handle($0, take) } }
                } catch let failure as IMAPClientFailure {
                    throw AdministrationFailure(failure.text)
                }
            }
            silence += 1
            guard silence < ServerLimits.importSilenceSeconds * 2 else {
                throw AdministrationFailure(
                    "the source has said nothing for \(ServerLimits.importSilenceSeconds) seconds", .tryAgain)
            }
        }
    }

    private func handle(_ event: IMAPClientEvent, _ take: Take) throws {
        switch event {
        case .response(.capabilities(let names)): capabilities = Set(names)
        case .response(.status(let status)) where status.tag == nil && status.kind == .bye:
            throw AdministrationFailure("the source said goodbye: \(status.text)", .tryAgain)
        default: try take(event)
        }
    }

    private func learn(_ status: IMAPServerStatus) {
        if case .capabilities(let names)? = status.code { capabilities = Set(names) }
    }

    // MARK: Coming in

    private func greet() throws {
        var greeting: IMAPServerStatus?
        while greeting == nil {
            try read { event in
                guard case .response(.status(let status)) = event, status.tag == nil, greeting == nil,
                    status.kind == .ok || status.kind == .preauth
                else { throw AdministrationFailure("what answers is no IMAP server that takes connections") }
                greeting = status
            }
        }
        guard let greeting else { return }
        learn(greeting)
        isLoggedIn = greeting.kind == .preauth
    }

    private func startTLS(_ place: SourcePlace) throws {
        // Whoever sits in between may say PREAUTH, so that nothing is ever encrypted (RFC 9051 section 11.1).
        guard !isLoggedIn else { throw AdministrationFailure("the source is logged in before TLS can begin") }
        if capabilities.isEmpty { try run(.plain(tag(), "CAPABILITY")) }
        guard has("STARTTLS"), let makeTLS = place.makeTLS else {
            throw AdministrationFailure("the source offers no STARTTLS")
        }
        var isOver = false
        let command = IMAPClientCommand.plain(tag(), "STARTTLS")
        send(command.pieces[0])
        while !isOver {
            try read { event in
                // Nothing that came in the clear may count as said under TLS.
                guard !isOver else { throw AdministrationFailure("the source said more than that TLS can begin") }
                if case .response(.status(let status)) = event, status.tag == command.tag {
                    guard status.kind == .ok else { throw refusal("STARTTLS", status) }
                    isOver = true
                }
            }
        }
        guard !parser.isWithinResponse, octets.isEmpty else {
            throw AdministrationFailure("the source said more than that TLS can begin")
        }
        let channel = channel
        do {
            try channel.eventLoop.submit {
                try channel.pipeline.syncOperations.addHandler(try makeTLS(), position: .first)
                // The read that is under way was asked for before the handler was there.
                channel.read()
            }.wait()
        } catch {
            throw AdministrationFailure("TLS with the source cannot begin: \(error)")
        }
        capabilities = []
    }

    func logIn(_ login: SourceLogin) throws {
        if isLoggedIn { return }
        var user = login.user
        var authorizing = ""
        if let master = login.master {
            if let separator = login.masterSeparator {
                user += separator + master
            } else {
                authorizing = user
                user = master
            }
        }
        let command: IMAPClientCommand
        if has("AUTH=PLAIN") || !authorizing.isEmpty {
            command = .authenticatePlain(
                tag(), authorizing: authorizing, user: user, password: login.password, isInitial: has("SASL-IR"))
        } else {
            guard !has("LOGINDISABLED") else {
                throw AdministrationFailure("the source takes no password on this connection")
            }
            command = .login(tag(), user: user, password: login.password)
        }
        capabilities = []
        let status = try outcome(command)
        guard status.kind == .ok else {
            throw AdministrationFailure("the source refused the login of \(login.user): \(status.text)")
        }
        if capabilities.isEmpty { try run(.plain(tag(), "CAPABILITY")) }
    }
}
