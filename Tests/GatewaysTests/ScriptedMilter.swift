// A filter that does what a test says: it listens on loopback, takes packets apart, writes down what it was told, and answers
// by a rule. It blocks, on threads of its own, and ends with its object.
import Foundation
import Glibc
import Synchronization

/// What a filter does with one packet.
enum MilterMove {
    /// Sends these packets.
    case say([[UInt8]])
    /// Sends these octets, whatever they are.
    case octets([UInt8])
    /// Sends these octets one part after the other, with time between for each to be read.
    case parts([[UInt8]])
    /// Says nothing, and goes on to listen.
    case silence
    case close
    /// Sends these packets and hangs up.
    case last([[UInt8]])
    /// Takes nothing any more, and stays.
    case deaf
    /// Sends the same packet as long as anybody listens.
    case endless([UInt8])

    static let `continue` = say([ScriptedMilter.packet("c")])
    static func one(_ command: String, _ data: [UInt8] = []) -> MilterMove {
        say([ScriptedMilter.packet(command, data)])
    }
    /// Changes, then the verdict.
    static func change(_ packets: [UInt8]..., then verdict: String = "c") -> MilterMove {
        say(packets + [ScriptedMilter.packet(verdict)])
    }
}

final class ScriptedMilter: Sendable {
    /// One packet as it came.
    struct Told: Equatable, Sendable {
        let command: String
        let data: [UInt8]
        var text: String { String(decoding: data, as: UTF8.self) }
        /// The texts that end with a NUL.
        var texts: [String] {
            text.split(separator: "\0", omittingEmptySubsequences: false).dropLast().map(String.init)
        }
    }

    typealias Rule = @Sendable (Told) -> MilterMove?

    private struct State {
        var told: [Told] = []
        var connections = 0
        var sockets: [CInt] = []
        var isOver = false
    }

    private let listener: CInt
    let port: Int
    private let state = Mutex(State())
    private let rule: Rule
    private let agreement: [UInt8]

    /// - Parameter rule: what to do with a packet; nil goes on with "continue", where an answer is due.
    init(
        actions: UInt32 = 0x1FF, steps: UInt32 = 0, version: UInt32 = 6, macros: [UInt8] = [], _ rule: @escaping Rule
    ) throws {
        self.rule = rule
        agreement = Self.packet(
            "O", Self.number(version) + Self.number(actions) + Self.number(steps) + macros)
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) | listen(descriptor, 64) | getsockname(descriptor, $0, &length)
            }
        }
        guard code == 0 else { throw ClientError.system("bind") }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [self] in accept() }
    }

    /// What it was told so far, in order, but for macros and the agreement.
    var told: [Told] { state.withLock { $0.told.filter { $0.command != "D" && $0.command != "O" } } }
    /// But for the end of a session, which comes when its client has gone.
    var commands: String { told.map(\.command).filter { $0 != "Q" }.joined() }
    var hasQuit: Bool { told.last?.command == "Q" }
    var connections: Int { state.withLock { $0.connections } }

    /// The macros that came before each command, by its letter; the last ones count.
    var macros: [String: [String: String]] {
        var found: [String: [String: String]] = [:]
        for told in state.withLock({ $0.told }) where told.command == "D" {
            let parts = Told(command: "D", data: Array(told.data.dropFirst())).texts
            var values: [String: String] = [:]
            for index in stride(from: 0, to: parts.count - 1, by: 2) { values[parts[index]] = parts[index + 1] }
            found[String(decoding: told.data.prefix(1), as: UTF8.self)] = values
        }
        return found
    }

    func forget() { state.withLock { $0.told = [] } }

    /// Nobody can connect any more, and those who have are cut off.
    func stop() {
        let sockets = state.withLock { state in
            defer { state.sockets = [] }
            state.isOver = true
            return state.sockets
        }
        shutdown(listener, Int32(SHUT_RDWR))
        for socket in sockets { shutdown(socket, Int32(SHUT_RDWR)) }
    }

    /// Ends the connections there are; others may come.
    func cut() {
        for socket in state.withLock({ $0.sockets }) { shutdown(socket, Int32(SHUT_RDWR)) }
    }

    private func accept() {
        while true {
            let socket = Glibc.accept(listener, nil, nil)
            guard socket >= 0 else { break }
            let isOver = state.withLock { state in
                state.connections += 1
                if !state.isOver { state.sockets.append(socket) }
                return state.isOver
            }
            if isOver { break }
            Thread.detachNewThread { [self] in
                serve(socket)
                state.withLock { $0.sockets.removeAll { $0 == socket } }
                close(socket)
            }
        }
        close(listener)
    }

    private func serve(_ socket: CInt) {
        while let head = read(socket, 5) {
            let length = head[..<4].reduce(0) { $0 << 8 | Int($1) }
            guard let data = read(socket, length - 1) else { return }
            let told = Told(command: String(decoding: head[4...], as: UTF8.self), data: data)
            state.withLock { $0.told.append(told) }
            switch rule(told) ?? usual(told) {
            case .say(let packets): guard write(socket, packets.flatMap { $0 }) else { return }
            case .octets(let octets): guard write(socket, octets) else { return }
            case .parts(let parts):
                for part in parts {
                    guard write(socket, part) else { return }
                    usleep(50_000)
                }
            case .silence: break
            case .close: return
            case .deaf:
                while !state.withLock({ $0.isOver }) { usleep(10_000) }
                return
            case .last(let packets):
                _ = write(socket, packets.flatMap { $0 })
                return
            case .endless(let packet):
                let many = Array(repeating: packet, count: 100).flatMap { $0 }
                while write(socket, many) {}
                return
            }
        }
    }

    private func usual(_ told: Told) -> MilterMove {
        switch told.command {
        case "O": .say([agreement])
        case "D", "A", "Q": .silence
        default: .continue
        }
    }

    private func read(_ socket: CInt, _ count: Int) -> [UInt8]? {
        var octets: [UInt8] = []
        while octets.count < count {
            var part = [UInt8](repeating: 0, count: min(count - octets.count, 1 << 16))
            let got = recv(socket, &part, part.count, 0)
            guard got > 0 else { return nil }
            octets += part[..<got]
        }
        return octets
    }

    private func write(_ socket: CInt, _ octets: [UInt8]) -> Bool {
        var sent = 0
        while sent < octets.count {
            let count = octets.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress! + sent, octets.count - sent, 0x4000)
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    static func packet(_ command: String, _ data: [UInt8] = []) -> [UInt8] {
        number(UInt32(data.count + 1)) + Array(command.utf8) + data
    }

    static func number(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
    static func text(_ parts: String...) -> [UInt8] { parts.flatMap { Array($0.utf8) + [0] } }

    static func addField(_ name: String, _ value: String) -> [UInt8] { packet("h", text(name, value)) }
    static func insertField(_ index: UInt32, _ name: String, _ value: String) -> [UInt8] {
        packet("i", number(index) + text(name, value))
    }
    static func changeField(_ index: UInt32, _ name: String, _ value: String) -> [UInt8] {
        packet("m", number(index) + text(name, value))
    }
}
