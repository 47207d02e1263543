// `STORE/admin.sock`: the administrative commands of a running node.
//
//     request   one line of JSON: {"command": "account list", "form": "text", "arguments": {...}}
//     answer    lines of JSON: items, notes and progress, then one that is `done` or `failed`
//
// A connection carries any number of requests, one after the other. Only the owner of the store may connect: the socket
// has mode 0600 and its directory 0700. What it can do is what the owner can do to the files anyway.
import Foundation
import Glibc
import Synchronization

package final class AdministrationSocket: Sendable {
    package static let name = "admin.sock"

    private let backend: any AdministrationBackend
    private let listener: Int32
    private let path: UnixSocketPath
    private let state = Mutex(State())

    private struct State {
        var connections = 0
        var closing = false
    }

    /// Listens. The store must be owned by this process, so that a socket file that is there is a dead one's.
    package init(_ backend: any AdministrationBackend, directory: String) throws(AdministrationFailure) {
        self.backend = backend
        path = UnixSocketPath(directory: directory, name: Self.name)
        unlink(path.path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Self.failure(path.path) }
        let bound = path.withAddress { bind(descriptor, $0, $1) }
        // Nobody can connect before `listen`, so the mode is right when somebody can.
        guard bound == 0, chmod(path.path, 0o600) == 0, listen(descriptor, 16) == 0 else {
            let failure = Self.failure(path.path)
            Glibc.close(descriptor)
            throw failure
        }
        listener = descriptor
        Thread.detachNewThread { [self] in accept() }
    }

    private static func failure(_ path: String) -> AdministrationFailure {
        AdministrationFailure("\(path): \(String(cString: strerror(errno)))")
    }

    /// Ends the listener and the sessions, and waits until none runs.
    package func close() {
        state.withLock { $0.closing = true }
        // Wakes the thread in accept.
        shutdown(listener, Int32(SHUT_RDWR))
        while state.withLock({ $0.connections > 0 }) { usleep(5_000) }
        Glibc.close(listener)
        unlink(path.path)
    }

    private var isClosing: Bool { state.withLock { $0.closing } }

    private func accept() {
        while !isClosing {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else {
                // Out of descriptors or memory: wait for some rather than spin.
                if errno != EINTR, !isClosing { usleep(50_000) }
                continue
            }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            let channel = LineChannel(descriptor)
            channel.setPatience(seconds: ServerLimits.administrationPatienceSeconds)
            let admitted = state.withLock { state in
                guard !state.closing, state.connections < ServerLimits.administrationConnectionsMax else {
                    return false
                }
                state.connections += 1
                return true
            }
            guard admitted else {
                let line = AnswerLine(.failed, "the node has too many administration sessions", status: .tryAgain)
                try? channel.write(JSONEncoder().encode(line))
                continue
            }
            // The channel belongs to the new thread alone from here on.
            nonisolated(unsafe) let owned = channel
            Thread.detachNewThread { [self] in
                serve(owned)
                state.withLock { $0.connections -= 1 }
            }
        }
    }

    private func serve(_ channel: LineChannel) {
        let encoder = JSONEncoder()
        while !isClosing, let line = try? channel.readLine(octetsMax: ServerLimits.requestOctetsMax) {
            do {
                let (command, form) = try AdministrationCommands.decode(line)
                let session = AdministrationSession(
                    backend, form: form, cancelled: { [self] in isClosing || channel.isClosedByPeer }
                ) { try channel.write(encoder.encode($0)) }
                try session.run(command)
            } catch {
                let failure = AdministrationFailure(error)
                let last = AnswerLine(.failed, failure.text, status: failure.status)
                // When this cannot be written either, nobody is there to read it.
                try? channel.write(encoder.encode(last))
                return
            }
        }
    }
}
