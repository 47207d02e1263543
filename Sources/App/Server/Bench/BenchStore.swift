import EventStore
import Foundation
import Glibc
import MailCore
import MailEngine
import MailTypes

/// The store a bench runs on: a fresh one that is removed afterwards, or one that was named.
final class BenchStore: Sendable {
    let directory: String
    let backend: LocalBackend
    private let isTemporary: Bool

    var engine: MailEngine { backend.engine }

    /// - Parameter directory: nil makes a fresh store under the system's directory for temporary files; one that holds
    ///   no store gets one, which stays.
    init(_ directory: String?, configuration: NodeConfiguration) throws {
        isTemporary = directory == nil
        let place = directory ?? FileManager.default.temporaryDirectory.path + "/letterlog-bench-\(getpid())"
        if !FileManager.default.fileExists(atPath: place + "/STORE") {
            _ = try StoreCreation.create(place, domain: "bench.invalid")
        }
        self.directory = place
        backend = try LocalBackend(store: place, configuration: configuration)
    }

    func close() {
        backend.close()
        if isTemporary { try? FileManager.default.removeItem(atPath: directory) }
    }

    /// Accounts `bench-N@bench.invalid` with their INBOXes, made where they are missing.
    func accounts(_ count: Int) throws -> [(account: AccountID, inbox: MailboxID)] {
        var found: [(AccountID, MailboxID)] = []
        for number in 0..<count {
            let text = "bench-\(number)@bench.invalid"
            guard let address = Address(text) else { continue }
            var id = try engine.read { try $0.owner(of: address) }
            if id == nil {
                let request = Request(
                    [Request.Item(Request.newAccount, .createAccount(NewAccount(address: address)))],
                    origin: Origin(gateway: .bench))
                if case .account(let new) = try engine.performAndWait(request)[0].result() { id = new }
            }
            guard let id, let inbox = try engine.read({ try $0.mailboxID(id, named: .inbox) }) else {
                throw AdministrationFailure("\(text) could not be made")
            }
            found.append((id, inbox))
        }
        return found
    }

    /// A message of `size` octets that differs from every other one.
    func message(_ number: Int, size: Int) throws -> any BodySource {
        let writer = engine.makeBody()
        var text = "From: sender@bench.invalid\r\nTo: receiver@bench.invalid\r\nSubject: message \(number)\r\n\r\n"
        let line = String(repeating: "x", count: 76) + "\r\n"
        while text.utf8.count + line.utf8.count <= size { text += line }
        if text.utf8.count + 2 < size { text += String(repeating: "x", count: size - text.utf8.count - 2) + "\r\n" }
        try writer.append(Array(text.utf8))
        return try writer.finish()
    }
}
