// Asks a token service what a token is good for (RFC 7662), over HTTP/1.1: one connection for each question, each with an
// end in time and size, and a short memory for good answers.
//
// Invariants
// - The token and the service's secret go to the configured address and nowhere else: no redirect is followed, no
//   description and no report shows them, and the memory keeps keyed digests.
// - An answer that is no 200 with a JSON object of at most `tokenAnswerOctetsMax` is no answer: `unavailable`.
// - Good answers are remembered for `memory`, or to the token's end when that is sooner; others never.
import Digests
import Foundation
import NIOCore
import NIOPosix
import Synchronization

/// The secret is not shown.
package struct TokenIntrospectionOptions: Sendable, CustomStringConvertible, CustomReflectable {
    package var description: String { "TokenIntrospectionOptions(\(endpoint), redacted)" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }

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

    var hostHeader: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }
}

package final class TokenIntrospection: TokenService {
    /// Makes the handler that encrypts a connection to a host, and checks its name.
    package typealias Encryption = @Sendable (_ host: String) throws -> any ChannelHandler

    private let options: TokenIntrospectionOptions
    private let question: TokenQuestion
    private let trouble: TroubleReport
    /// The time, in seconds since 1970.
    private let clock: @Sendable () -> Double
    private let memory = Mutex(Memory())
    private let pending = Atomic<Int>(0)
    private let key = randomBytes(count: 32)

    private struct Memory {
        var entries: [[UInt8]: (name: String, end: NIODeadline)] = [:]
    }

    /// - Parameters:
    ///   - encryption: without it an `https` endpoint is never reached.
    ///   - report: gets why the service could not be asked, for the log, once a minute at most.
    package init(
        _ options: TokenIntrospectionOptions, encryption: Encryption? = nil,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        report: @escaping @Sendable (String) -> Void = { _ in },
        clock: @escaping @Sendable () -> Double
    ) {
        self.clock = clock
        self.options = options
        question = TokenQuestion(options, encryption: encryption, group: group)
        trouble = TroubleReport(report)
    }

    package func judge(_ token: [UInt8], completion: @escaping @Sendable (TokenVerdict) -> Void) {
        let digest = HMACDigest.code(.sha256, key: key, message: token)
        if let known = memory.withLock({ $0.entries[digest] }), known.end > .now() {
            return completion(.active(name: known.name))
        }
        guard pending.add(1, ordering: .relaxed).newValue <= AuthenticationLimits.tokenQuestionsMax else {
            pending.subtract(1, ordering: .relaxed)
            trouble.tell("\(AuthenticationLimits.tokenQuestionsMax) questions wait for an answer")
            return completion(.unavailable)
        }
        question.ask(token) { [self] answer in
            pending.subtract(1, ordering: .relaxed)
            do throws(TokenQuestion.Failure) {
                guard let found = Self.read(try answer.get(), options, now: clock()) else {
                    throw TokenQuestion.Failure("the answer is not that of RFC 7662")
                }
                if case .active(let name) = found.verdict { remember(digest, name, found.secondsLeft) }
                completion(found.verdict)
            } catch {
                trouble.tell(error.text)
                completion(.unavailable)
            }
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
}
