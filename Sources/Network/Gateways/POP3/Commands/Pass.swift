// PASS: the password is checked, the maildrop leased, its list read. Each step is another thread's but the lease.
import Authentication
import Logging
import MailEngine
import MailTypes
import NIOCore
import POP3

extension POP3Session {
    func logIn(_ credentials: POP3Credentials) {
        let answer = connection.answering { [self] (answer: LoginAnswer) in
            guard answer.delay > .zero else { return decided(answer.verdict) }
            connection.after(answer.delay) { [self] in decided(answer.verdict) }
        }
        // Clients on a Unix socket are one neighbourhood.
        connection.gateway.authenticator.logIn(
            credentials.user, password: credentials.password, scope: .pop3,
            from: connection.client.neighbourhood ?? "unix", completion: answer)
    }

    private func decided(_ verdict: LoginAnswer.Verdict) {
        guard !machine.isClosed else { return }
        switch verdict {
        case .accepted(let account):
            connection.counters.loginsAccepted.add()
            connection.log.info(
                "logged in",
                metadata: ["account": "\(account.rawValue)", "client": "\(connection.client.description)"])
            openMaildrop(account)
        case .denied:
            connection.counters.loginsDenied.add()
            connection.log.notice("login denied", metadata: ["client": "\(connection.client.description)"])
            act { machine.loginFinished(.failure, into: &actions) }
        case .tryLater:
            connection.counters.reject(.temporary)
            act { machine.loginFinished(.temporary, into: &actions) }
        }
    }

    private func openMaildrop(_ account: AccountID) {
        let engine = connection.gateway.engine
        guard let lease = engine.leaseMaildrop(account) else {
            connection.counters.reject(.inUse)
            return act { machine.loginFinished(.inUse, into: &actions) }
        }
        let answer = connection.answering { [self] (snapshot: Snapshot?) in
            guard !machine.isClosed, let snapshot else {
                lease.release()
                return act { machine.loginFinished(.temporary, into: &actions) }
            }
            drop = OpenMaildrop(
                account: account, mailbox: snapshot.mailbox, lease: lease, uids: snapshot.uids, blobs: snapshot.blobs)
            act { machine.loginFinished(.success(snapshot.list), into: &actions) }
        }
        let log = connection.log
        connection.gateway.fileThreads.submit { _ in
            do {
                answer(try engine.maildrop(account).map(Snapshot.init))
            } catch {
                log.error("the maildrop cannot be read", metadata: ["error": "\(error)"])
                answer(nil)
            }
        }
    }
}

/// A maildrop as the session and its machine keep it.
private struct Snapshot: Sendable {
    let mailbox: MailboxID
    let uids: [UInt32]
    let blobs: [UInt64]
    let list: POP3Maildrop

    init(_ drop: Maildrop) {
        mailbox = drop.mailbox
        uids = drop.uids
        blobs = drop.blobs
        let messages = zip(drop.uids, drop.sizes).map { POP3Maildrop.Message(uid: UID($0), octets: $1) }
        list = POP3Maildrop(uidValidity: drop.uidValidity, messages: messages)
    }
}
