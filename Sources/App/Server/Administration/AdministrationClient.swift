// The command line's side: asks the node that runs, or opens the store itself when none does.
import EventStore
import Foundation
import Glibc

package final class AdministrationClient {
    private enum Way {
        case node(LineChannel)
        case store(LocalBackend)
    }

    private let way: Way
    private let form: OutputForm

    /// - Throws: when the store is owned by a process that has no administration socket, or cannot be opened.
    /// - Parameter repairs: the command makes the state anew, so the store may have a damaged one.
    package init(
        store: String, configuration: NodeConfiguration, form: OutputForm, repairs: Bool = false
    ) throws(AdministrationFailure) {
        self.form = form
        // A node that starts or ends owns the store while its socket is not there: look a few times.
        var attempts = 20
        while true {
            if let channel = try Self.connect(store) {
                way = .node(channel)
                return
            }
            do {
                way = .store(try LocalBackend(store: store, configuration: configuration, repairs: repairs))
                return
            } catch {
                attempts -= 1
                guard error.status == .tryAgain, attempts > 0 else { throw error }
                usleep(100_000)
            }
        }
    }

    /// Nil when no node listens.
    private static func connect(_ store: String) throws(AdministrationFailure) -> LineChannel? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw AdministrationFailure(String(cString: strerror(errno))) }
        let path = UnixSocketPath(directory: store, name: AdministrationSocket.name)
        guard path.withAddress({ Glibc.connect(descriptor, $0, $1) }) == 0 else {
            let code = errno
            Glibc.close(descriptor)
            switch code {
            case ENOENT, ECONNREFUSED, ENOTDIR: return nil
            case EAGAIN: throw AdministrationFailure("the node has too many administration sessions", .tryAgain)
            default: throw AdministrationFailure("\(path.path): \(String(cString: strerror(code)))")
            }
        }
        return LineChannel(descriptor)
    }

    /// Whether a node runs.
    package var isNode: Bool { if case .node = way { true } else { false } }

    /// Runs the command, and calls `deliver` for each line of its answer, the last one included.
    package func run(
        _ command: some AdministrationCommand, deliver: @escaping (AnswerLine) throws -> Void
    ) throws {
        switch way {
        case .store(let backend):
            try AdministrationSession(backend, form: form, deliver: deliver).run(command)
        case .node(let channel):
            try channel.write(try AdministrationCommands.encode(command, form))
            let decoder = JSONDecoder()
            while true {
                guard let line = try channel.readLine(octetsMax: ServerLimits.answerOctetsMax) else {
                    throw AdministrationFailure("the node ended before it had answered", .tryAgain)
                }
                let answer = try decoder.decode(AnswerLine.self, from: line)
                try deliver(answer)
                if answer.isLast { return }
            }
        }
    }

    /// Closes the store when this process opened it.
    package func close() {
        if case .store(let backend) = way { backend.close() }
    }
}
