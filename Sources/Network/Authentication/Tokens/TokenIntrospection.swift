// Asks a token service what a token is good for (RFC 7662), over HTTP/1.1: one connection for each question, each with an
// end in time and size, and a short memory for good answers.
//
// Invariants
// - The token and the service's secret go to the configured address and nowhere else: no redirect is followed, no
//   description shows them, and the memory keeps keyed digests.
// - An answer that is no 200 with a JSON object of at most `tokenAnswerOctetsMax` is no answer: `unavailable`.
// - Good answers are remembered for `memory`, or to the token's end when that is sooner; others never.
import Digests
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Octets
import Synchronization

package struct TokenIntrospectionOptions: Sendable {
    /// `http` only to this machine; `https` to any.
    package var endpoint: TokenEndpoint
    /// For HTTP's Basic authentication (RFC 7662 section 2.1); nil sends none.
    package var client: (id: String, secret: String)?
    /// The member of the answer that holds the login name.
    package var nameMember = "username"
    /// A scope that the token must have; nil asks for none.
    package var scope: String?
    package var timeout = TimeAmount.seconds(5)
    package var memory = TimeAmount.seconds(60)

    package init(endpoint: TokenEndpoint) { self.endpoint = endpoint }
}

/// Where a token service answers.
package struct TokenEndpoint: Hashable, Sendable {
    package let isEncrypted: Bool
    package let host: String
    package let port: Int
    package let path: String

    /// Nil when it is no `http` or `https` address, has a name and password in it, or would send tokens in the clear to
    /// another machine.
    package init?(_ text: String) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), let parts = URLComponents(string: text),
            let host = parts.host, !host.isEmpty, parts.user == nil, parts.password == nil, parts.fragment == nil
        else { return nil }
        switch parts.scheme {
        case "https": isEncrypted = true
        case "http" where ["127.0.0.1", "[::1]", "localhost"].contains(host): isEncrypted = false
        default: return nil
        }
        let isLiteral = host.hasPrefix("[") && host.hasSuffix("]")
        self.host = isLiteral ? String(host.dropFirst().dropLast()) : host
        port = parts.port ?? (parts.scheme == "https" ? 443 : 80)
        let path = parts.percentEncodedPath.isEmpty ? "/" : parts.percentEncodedPath
        self.path = path + (parts.percentEncodedQuery.map { "?" + $0 } ?? "")
    }

    fileprivate var hostHeader: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }
}

package final class TokenIntrospection: TokenService {
    /// Makes the handler that encrypts a connection to a host, and checks its name.
    package typealias Encryption = @Sendable (_ host: String) throws -> any ChannelHandler

    private let options: TokenIntrospectionOptions
    private let encryption: Encryption?
    /// The time, in seconds since 1970.
    private let clock: @Sendable () -> Double
    private let group: any EventLoopGroup
    private let memory = Mutex(Memory())
    private let pending = Atomic<Int>(0)
    private let key = randomBytes(count: 32)

    private struct Memory {
        var entries: [[UInt8]: (name: String, end: NIODeadline)] = [:]
    }

    /// - Parameter encryption: without it an `https` endpoint is never reached.
    package init(
        _ options: TokenIntrospectionOptions, encryption: Encryption? = nil,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        clock: @escaping @Sendable () -> Double
    ) {
        self.clock = clock
        self.options = options
        self.encryption = encryption
        self.group = group
    }

    package func judge(_ token: [UInt8], completion: @escaping @Sendable (TokenVerdict) -> Void) {
        let digest = HMACDigest.code(.sha256, key: key, message: token)
        if let known = memory.withLock({ $0.entries[digest] }), known.end > .now() {
            return completion(.active(name: known.name))
        }
        guard pending.add(1, ordering: .relaxed).newValue <= AuthenticationLimits.tokenQuestionsMax else {
            pending.subtract(1, ordering: .relaxed)
            return completion(.unavailable)
        }
        ask(token) { [self] answer in
            pending.subtract(1, ordering: .relaxed)
            guard let answer else { return completion(.unavailable) }
            guard let found = Self.read(answer, options, now: clock()) else { return completion(.unavailable) }
            if case .active(let name) = found.verdict { remember(digest, name, found.secondsLeft) }
            completion(found.verdict)
        }
    }

    private func remember(_ digest: [UInt8], _ name: String, _ secondsLeft: Int64?) {
        let lifetime = min(options.memory, secondsLeft.map { .seconds($0) } ?? options.memory)
        guard lifetime > .zero else { return }
        memory.withLock { memory in
            if memory.entries.count >= AuthenticationLimits.tokensRememberedMax {
                memory.entries = memory.entries.filter { $0.value.end > .now() }
                if memory.entries.count >= AuthenticationLimits.tokensRememberedMax { memory.entries = [:] }
            }
            memory.entries[digest] = (name, .now() + lifetime)
        }
    }

    // MARK: The answer

    /// Reads the members of RFC 7662 section 2.2 that matter; nil when it is none of its answers.
    static func read(
        _ octets: [UInt8], _ options: TokenIntrospectionOptions, now: Double
    ) -> (verdict: TokenVerdict, secondsLeft: Int64?)? {
        guard let members = try? JSONSerialization.jsonObject(with: Data(octets)) as? [String: Any],
            let isActive = members["active"] as? Bool
        else { return nil }
        guard isActive else { return (.inactive, nil) }
        var left: Int64?
        if let end = (members["exp"] as? NSNumber)?.doubleValue {
            let seconds = end - now
            guard seconds > 0 else { return (.inactive, nil) }
            left = Int64(min(seconds, 1e9))
        }
        if let start = (members["nbf"] as? NSNumber)?.doubleValue, start > now {
            return (.inactive, nil)
        }
        if let wanted = options.scope {
            let scopes = (members["scope"] as? String)?.split(separator: " ") ?? []
            guard scopes.contains(Substring(wanted)) else { return (.inactive, nil) }
        }
        guard let name = members[options.nameMember] as? String, !name.isEmpty,
            name.utf8.count <= AuthenticationLimits.loginOctetsMax
        else { return (.inactive, nil) }
        return (.active(name: name), left)
    }

    // MARK: The question

    private func ask(_ token: [UInt8], completion: @escaping @Sendable ([UInt8]?) -> Void) {
        let (endpoint, encryption) = (options.endpoint, encryption)
        guard !endpoint.isEncrypted || encryption != nil else { return completion(nil) }
        let body = Array("token=\(Self.formEncoded(token))&token_type_hint=access_token".utf8)
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: endpoint.path)
        head.headers.add(name: "Host", value: endpoint.hostHeader)
        head.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        head.headers.add(name: "Content-Length", value: "\(body.count)")
        head.headers.add(name: "Accept", value: "application/json")
        head.headers.add(name: "Connection", value: "close")
        if let client = options.client {
            // RFC 6749 section 2.3.1: each part form-encoded first.
            let pair = "\(Self.formEncoded(Array(client.id.utf8))):\(Self.formEncoded(Array(client.secret.utf8)))"
            head.headers.add(name: "Authorization", value: "Basic \(Base64.encode(Array(pair.utf8)))")
        }
        let (timeout, request) = (options.timeout, head)
        let once = Once(completion)
        ClientBootstrap(group: group)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if endpoint.isEncrypted, let encryption { try pipeline.addHandler(encryption(endpoint.host)) }
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(TokenQuestion(request, body, timeout: timeout, once))
                }
            }
            .connect(host: endpoint.host, port: endpoint.port)
            .whenFailure { _ in once.answer(nil) }
    }

    /// `application/x-www-form-urlencoded`.
    private static func formEncoded(_ octets: [UInt8]) -> String {
        octets.map { octet in
            let isPlain =
                (0x30...0x39).contains(octet) || (0x61...0x7A).contains(octet | 0x20) && octet & 0x80 == 0
                || [0x2D, 0x2E, 0x5F, 0x7E].contains(octet)
            return isPlain ? String(UnicodeScalar(octet)) : "%" + Hex.encode([octet]).uppercased()
        }.joined()
    }
}

/// Calls its completion the first time only.
private final class Once: Sendable {
    private let completion: Mutex<(@Sendable ([UInt8]?) -> Void)?>
    init(_ completion: @escaping @Sendable ([UInt8]?) -> Void) { self.completion = Mutex(completion) }

    func answer(_ octets: [UInt8]?) {
        let completion = completion.withLock { completion in
            defer { completion = nil }
            return completion
        }
        completion?(octets)
    }
}

/// Sends the question and gathers the answer.
private final class TokenQuestion: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let head: HTTPRequestHead
    private let body: [UInt8]
    private let timeout: TimeAmount
    private let once: Once
    private var answer: [UInt8] = []
    private var isGood = false
    private var timer: Scheduled<Void>?

    init(_ head: HTTPRequestHead, _ body: [UInt8], timeout: TimeAmount, _ once: Once) {
        self.head = head
        self.body = body
        self.timeout = timeout
        self.once = once
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: timeout) { channel.close(promise: nil) }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): isGood = head.status == .ok
        case .body(let part):
            guard isGood, answer.count + part.readableBytes <= AuthenticationLimits.tokenAnswerOctetsMax else {
                isGood = false
                return context.close(promise: nil)
            }
            answer += part.readableBytesView
        case .end:
            once.answer(isGood ? answer : nil)
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        once.answer(nil)
    }
}
