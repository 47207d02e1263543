import MailTypes
import Synchronization

/// When an operator last wanted messages tried. Hosts that could not be reached before are asked again then; a restart
/// forgets them too, so nobody has to write it down.
final class RetryWish: Sendable {
    private let moment = Mutex<Timestamp?>(nil)

    var latest: Timestamp? { moment.withLock { $0 } }

    func note(_ now: Timestamp) { moment.withLock { $0 = now } }
}
