// `account password`: further passwords of an account, one for each device or program, each with a label, protocols it is
// for and an end. One can be revoked without the others, and its sessions end with it. The main password, which
// `account passwd` sets, is among them under the label `password`.
import MailCore
import MailTypes

package struct AccountPasswordAdd: AdministrationCommand {
    package static let words = "account password add"

    package var address: String
    package var label: String
    /// Names of protocols; empty means all.
    package var scopes: [String]
    /// Milliseconds since 1970; nil never ends.
    package var expires: Int64?
    /// From `PasswordVerifier.make`: the password itself does not travel.
    package var verifier: String

    package init(address: String, label: String, scopes: [String], expires: Int64?, verifier: String) {
        self.address = address
        self.label = label
        self.scopes = scopes
        self.expires = expires
        self.verifier = verifier
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        guard label != MainPassword.label else {
            throw AdministrationFailure(
                "`\(MainPassword.label)` is the main password, which `account passwd` sets", .usage)
        }
        guard !label.isEmpty, label.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
            throw AdministrationFailure("a label is a word or a few, without control characters", .usage)
        }
        let scopes = try CredentialScopes(words: scopes)
        let isTaken = try session.engine.read { try $0.credentials(account.id).contains { $0.label == label } }
        guard !isTaken else {
            throw AdministrationFailure("\(account.address) has a password `\(label)` already; revoke it first")
        }
        let end = expires.map { Timestamp(milliseconds: $0) }
        if let end, end <= session.engine.clock() {
            throw AdministrationFailure("\(end.text) is over already", .usage)
        }
        _ = try session.perform(
            account.id,
            .setCredential(NewCredential(label: label, scopes: scopes, expires: end, verifier: verifier)))
        return AdministrationResult(
            "\(account.address) has the password `\(label)` for \(scopes.text)"
                + (end.map { ", until \($0.text)" } ?? ""),
            [
                "address": .string(account.address), "label": .string(label),
                "scopes": .array(scopes.words.map(JSONValue.string)), "expires": .text(end?.text),
            ])
    }
}

package struct AccountPasswordList: AdministrationCommand {
    package static let words = "account password list"

    package var address: String

    package init(address: String) { self.address = address }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        let now = session.engine.clock()
        for row in try session.engine.read({ try $0.credentials(account.id) }) {
            try session.item(row.line(at: now), row.value(at: now))
        }
        return nil
    }
}

package struct AccountPasswordRevoke: AdministrationCommand {
    package static let words = "account password revoke"

    package var address: String
    package var label: String

    package init(address: String, label: String) {
        self.address = address
        self.label = label
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        let row = try session.engine.read { try $0.credentials(account.id).first { $0.label == label } }
        guard let row else { throw Refusal.noSuchCredential }
        _ = try session.perform(account.id, .revokeCredential(id: row.id))
        return AdministrationResult(
            "the password `\(label)` of \(account.address) is revoked",
            ["address": .string(account.address), "label": .string(label)])
    }
}

enum MainPassword {
    static let label = "password"
}

extension CredentialScopes {
    private static let named: [(String, CredentialScopes)] = [("imap", .imap), ("pop3", .pop3), ("smtp", .smtp)]

    /// - Parameter words: names of protocols; none means all.
    init(words: [String]) throws(AdministrationFailure) {
        guard !words.isEmpty else {
            self = .all
            return
        }
        self = []
        for word in words {
            guard let scope = Self.named.first(where: { $0.0 == word }) else {
                throw AdministrationFailure(
                    "\(word) is not one of \(Self.named.map(\.0).joined(separator: ", "))", .usage)
            }
            insert(scope.1)
        }
    }

    var words: [String] { Self.named.filter { isSuperset(of: $0.1) }.map(\.0) }
    var text: String { words.joined(separator: ", ") }
}

// The verifier is a secret: whoever has it can try passwords at leisure. Nothing here shows it.
extension CredentialRow {
    private func isOver(at now: Timestamp) -> Bool { expires.map { $0 <= now } ?? false }

    func line(at now: Timestamp) -> String {
        var text = "\(label)  \(scopes.text)"
        if let expires { text += "  \(isOver(at: now) ? "ended" : "until") \(expires.text)" }
        if let lastUsed { text += "  last used \(lastUsed.dayText)" }
        return text
    }

    func value(at now: Timestamp) -> JSONValue {
        [
            "label": .string(label), "scheme": .string("\(scheme)"),
            "scopes": .array(scopes.words.map(JSONValue.string)), "expires": .text(expires?.text),
            "expired": .bool(isOver(at: now)), "last_used": .text(lastUsed?.dayText),
        ]
    }
}

extension AccountPasswordAdd: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "AccountPasswordAdd(\(address), redacted)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
