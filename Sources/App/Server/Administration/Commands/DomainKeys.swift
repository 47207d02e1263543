// `domain dkim`: keys that sign what leaves in the name of a domain. The private half stays in the store and is never shown;
// the public half is a record that the domain publishes.
import Digests
import Foundation
import MailCore
import MailTypes
import MessageAuthentication
import Octets

package struct DomainKeyAdd: AdministrationCommand {
    package static let words = "domain dkim add"

    package var domain: String
    package var selector: String
    /// `rsa` or `ed25519`.
    package var algorithm: String
    /// Of a new RSA key.
    package var bits: Int
    /// An existing key in PEM, base64 of the file; nil makes a new one.
    package var key: String?

    package init(domain: String, selector: String, algorithm: String, bits: Int, key: String?) {
        self.domain = domain
        self.selector = selector
        self.algorithm = algorithm
        self.bits = bits
        self.key = key
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let domain = try DomainWork.name(domain)
        let selector = try DomainKeyWork.selector(selector)
        var keys = try session.engine.read { try DKIMSetting.keys(domain, $0) }
        guard !keys.contains(where: { $0.selector == selector }) else {
            throw AdministrationFailure(
                "\(domain) has a key with the selector \(selector) already; a new key wants a new selector")
        }
        guard keys.count < ServerLimits.domainKeysMax else {
            throw AdministrationFailure(
                "\(domain) has \(keys.count) keys, which is as many as it may; remove one first")
        }
        let made = try signingKey()
        let secret = SecretOctets(Array(Base64.encode(made.secret).utf8))
        keys.append(DKIMSetting.Key(selector: selector, created: session.engine.clock(), secret: secret))
        try DomainKeyWork.set(keys, domain, session)
        return AdministrationResult(
            DKIMKeyRecord.zoneLine(domain: domain, selector: selector, made.verifyingKey),
            DomainKeyWork.value(domain, keys[keys.count - 1], made), isAnswer: true)
    }

    private func signingKey() throws -> SigningKey {
        guard let algorithm = SignatureAlgorithm(rawValue: algorithm) else {
            throw AdministrationFailure("a key is rsa or ed25519, not \(algorithm)", .usage)
        }
        let range = CheckLimits.rsaBitsMin...CheckLimits.rsaBitsMax
        guard let key else {
            guard algorithm == .ed25519 || range.contains(bits) else {
                throw AdministrationFailure("an RSA key has \(range.lowerBound) to \(range.upperBound) bits", .usage)
            }
            return .generate(algorithm, bits: bits)
        }
        guard let file = Base64.decode(key), let key = SigningKey(pem: file) else {
            throw AdministrationFailure("the file holds no RSA or Ed25519 key in PEM without a passphrase")
        }
        guard key.algorithm == .ed25519 || range.contains(key.verifyingKey.bits) else {
            throw AdministrationFailure(
                "the key has \(key.verifyingKey.bits) bits; receivers take \(range.lowerBound) to \(range.upperBound)")
        }
        return key
    }
}

package struct DomainKeyList: AdministrationCommand {
    package static let words = "domain dkim list"

    /// Nil lists those of every domain.
    package var domain: String?

    package init(domain: String?) { self.domain = domain }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let wanted = try domain.map { try DomainWork.name($0) }
        for domain in try session.engine.read({ try DKIMSetting.domains($0) }) where wanted == nil || wanted == domain {
            for key in try session.engine.read({ try DKIMSetting.keys(domain, $0) }) {
                let read = try DomainKeyWork.read(key)
                try session.item(
                    "\(domain)  \(key.selector)  \(DomainKeyWork.kind(read)), since \(key.created.text)",
                    DomainKeyWork.value(domain, key, read))
            }
        }
        return nil
    }
}

package struct DomainKeyShow: AdministrationCommand {
    package static let words = "domain dkim show"

    package var domain: String
    package var selector: String

    package init(domain: String, selector: String) {
        self.domain = domain
        self.selector = selector
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let (domain, selector) = (try DomainWork.name(domain), try DomainKeyWork.selector(selector))
        let keys = try session.engine.read { try DKIMSetting.keys(domain, $0) }
        let key = keys[try DomainKeyWork.index(of: selector, in: keys, domain)]
        let read = try DomainKeyWork.read(key)
        return AdministrationResult(
            DKIMKeyRecord.zoneLine(domain: domain, selector: selector, read.verifyingKey),
            DomainKeyWork.value(domain, key, read), isAnswer: true)
    }
}

package struct DomainKeyRemove: AdministrationCommand {
    package static let words = "domain dkim remove"

    package var domain: String
    package var selector: String

    package init(domain: String, selector: String) {
        self.domain = domain
        self.selector = selector
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let (domain, selector) = (try DomainWork.name(domain), try DomainKeyWork.selector(selector))
        var keys = try session.engine.read { try DKIMSetting.keys(domain, $0) }
        keys.remove(at: try DomainKeyWork.index(of: selector, in: keys, domain))
        try DomainKeyWork.set(keys, domain, session)
        return AdministrationResult(
            "\(domain) no longer signs with \(selector); keep its record for a week, until what is on its way has arrived",
            ["domain": .string(domain), "selector": .string(selector)])
    }
}

private enum DomainKeyWork {
    /// `sub-domain *( "." sub-domain )` (RFC 6376 section 3.1).
    static func selector(_ text: String) throws -> String {
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        let isSelector = labels.allSatisfy { label in
            !label.isEmpty && label.utf8.count <= 63 && !label.hasPrefix("-") && !label.hasSuffix("-")
                && label.utf8.allSatisfy { octet in
                    (0x30...0x39).contains(octet) || (0x41...0x5A).contains(octet) || (0x61...0x7A).contains(octet)
                        || octet == 0x2D
                }
        }
        guard isSelector, text.utf8.count <= 100 else {
            throw AdministrationFailure("\(text) is no selector: letters, digits and hyphens, such as 2026a", .usage)
        }
        return text.lowercased()
    }

    static func index(of selector: String, in keys: [DKIMSetting.Key], _ domain: String) throws -> Int {
        guard let index = keys.firstIndex(where: { $0.selector == selector }) else {
            throw AdministrationFailure("\(domain) has no key with the selector \(selector)")
        }
        return index
    }

    static func read(_ key: DKIMSetting.Key) throws -> SigningKey {
        guard let key = Base64.decode(key.secret.octets).flatMap({ SigningKey(secret: $0) }) else {
            throw AdministrationFailure("the key \(key.selector) cannot be read; remove it and add another")
        }
        return key
    }

    static func kind(_ key: SigningKey) -> String {
        key.algorithm == .rsa ? "RSA, \(key.verifyingKey.bits) bits" : "Ed25519"
    }

    static func value(_ domain: String, _ key: DKIMSetting.Key, _ read: SigningKey) -> JSONValue {
        [
            "domain": .string(domain), "selector": .string(key.selector), "algorithm": .string(read.algorithm.rawValue),
            "created": .string(key.created.text), "name": .string("\(key.selector)._domainkey.\(domain)"),
            "record": .string(DKIMKeyRecord.text(read.verifyingKey)),
        ]
    }

    static func set(_ keys: [DKIMSetting.Key], _ domain: String, _ session: AdministrationSession) throws {
        var domains = Set(try session.engine.read { try DKIMSetting.domains($0) })
        // The list first when it grows, last when it shrinks: a key is never without its place in it.
        if !keys.isEmpty, domains.insert(domain).inserted { try setDomains(domains, session) }
        _ = try session.perform(.system, .setSetting(key: DKIMSetting.key(domain), value: DKIMSetting.value(keys)))
        if keys.isEmpty, domains.remove(domain) != nil { try setDomains(domains, session) }
    }

    private static func setDomains(_ domains: Set<String>, _ session: AdministrationSession) throws {
        _ = try session.perform(
            .system, .setSetting(key: DKIMSetting.domainsKey, value: DomainSetting.value(domains)))
    }
}

extension DomainKeyAdd: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "DomainKeyAdd(\(domain), \(selector), redacted)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
