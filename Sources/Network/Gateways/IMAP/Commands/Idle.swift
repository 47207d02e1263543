// IDLE (RFC 9051 section 6.3.13): each commit that touches the account wakes the session, which tells what changed at
// once. No thread, no timer for a message: one keep-alive timer for each idle session.
import IMAP
import MailTypes
import NIOCore

/// An IDLE that goes on.
final class Idle {
    private var timer: Scheduled<Void>?
    /// DONE has come while something is told.
    var isEnding = false
    var isTelling = false
    /// There was a commit meanwhile.
    var isWokenAgain = false

    func keepAlive(_ timer: Scheduled<Void>) { self.timer = timer }

    func end() {
        timer?.cancel()
        timer = nil
    }
}

extension IMAPSession {
    func startIdle() {
        let idle = Idle()
        self.idle = idle
        selected?.wake.setIdling(true)
        keepAlive(idle)
        // What came between the last sync point and now.
        idleWoken()
    }

    func stopIdle() {
        guard let idle else { return }
        idle.isEnding = true
        selected?.wake.setIdling(false)
        guard !idle.isTelling else { return }
        endIdle()
    }

    private func endIdle() {
        idle?.end()
        idle = nil
        current = .noop
        finish(.ok("Idle ended"))
    }

    /// There was a commit. One that comes while another is told is told behind it.
    func idleWoken() {
        guard let idle, !isOver else { return }
        guard !idle.isTelling else {
            idle.isWokenAgain = true
            return
        }
        idle.isTelling = true
        sync(.full) { [self] in
            idle.isTelling = false
            guard !idle.isEnding else { return endIdle() }
            guard idle.isWokenAgain else { return }
            idle.isWokenAgain = false
            idleWoken()
        }
    }

    /// Some routers forget a connection that is silent for two minutes.
    private func keepAlive(_ idle: Idle) {
        idle.keepAlive(
            connection.scheduled(connection.gateway.options.imapKeepAliveEvery) { [self] in
                guard self.idle === idle, !isOver else { return }
                if !idle.isTelling { write(.untagged(.ok("Still here"))) }
                keepAlive(idle)
            })
    }
}
