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
            let wait = answer.wait
            guard wait > .zero else { return decided(answer) }
            connection.after(wait) { [self] in decided(answer) }
        }
        connection.gateway.authenticator.logIn(
            credentials.user, password: credentials.password, scope: .pop3,
            from: connection.client.source, completion: answer)
    }

    func decided(_ answer: LoginAnswer) {
        guard !machine.isClosed else { return }
        switch answer.verdict {
        case .accepted(let account):
            switch connection.logIn(account, credential: answer.credential) {
            case .admitted: openMaildrop(account)
            case .denied: act { machine.loginFinished(.failure, into: &actions) }
            case .tooMany, .tryLater: act { machine.loginFinished(.temporary, into: &actions) }
            }
        case .denied:
            connection.denyLogin(isUnheard: answer.isUnheard)
            act { machine.loginFinished(.failure, into: &actions) }
        case .tryLater:
            connection.counters.reject(answer.isUnheard ? .loginLimit : .temporary)
            act { machine.loginFinished(.temporary, into: &actions) }
        }
    }

    /// Not in after all: the maildrop is another's, or cannot be read.
    private func refuse(_ result: POP3LoginResult) {
        connection.logOut()
        act { machine.loginFinished(result, into: &actions) }
    }

    private func openMaildrop(_ account: AccountID) {
        let engine = connection.gateway.engine
        guard let lease = engine.leaseMaildrop(account) else {
            connection.counters.reject(.inUse)
            return refuse(.inUse)
        }
        let answer = connection.answering { [self] (snapshot: Snapshot?) in
            guard !machine.isClosed, let snapshot else {
                lease.release()
                return refuse(.temporary)
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
        list = POP3Maildrop(uidValidity: drop.uidValidity, messages: messages, importedUniqueIDs: drop.uidls)
    }
}
