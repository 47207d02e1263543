// The texts of messages from a source, a window at a time: asked for ahead, received in pieces that go to the engine's
// spool as they come, and handed on window by window, in ascending order of UIDs whatever the order of the answers.
import EventStore
import Foundation
import IMAP
import MailEngine
import MailTypes
import Octets

/// A text that has come.
enum ArrivedText {
    case text(any BodySource)
    /// Why it cannot be taken.
    case refused(String)
}

final class TextCopy {
    private struct Window {
        var tag: String
        var messages: [ListedMessage]
        var arrived: [UInt32: ArrivedText] = [:]
        /// The server's words when it did not give all.
        var complaint: String?
    }

    private let connection: SourceConnection
    private let engine: MailEngine
    private var asked: [Window] = []
    private var finished: [Window] = []

    private var writer: BodyWriter?
    private var ends = LineEnds()
    private var failure: String?

    init(_ connection: SourceConnection, _ engine: MailEngine) {
        self.connection = connection
        self.engine = engine
    }

    /// - Parameters:
    ///   - messages: ascending by UID.
    ///   - take: gets a window's messages with what came for each; nil when nothing did, with the server's words.
    func run(
        _ messages: [ListedMessage], _ take: ([(ListedMessage, ArrivedText?)], String?) throws -> Void
    ) throws {
        var rest = messages[...]
        while true {
            while asked.count < ServerLimits.importWindowsAsked, !rest.isEmpty { ask(&rest) }
            guard !asked.isEmpty else { return }
            try connection.read { try handle($0) }
            for window in finished {
                try take(window.messages.map { ($0, window.arrived[$0.uid]) }, window.complaint)
            }
            finished.removeAll(keepingCapacity: true)
        }
    }

    private func ask(_ rest: inout ArraySlice<ListedMessage>) {
        var octets = 0
        let window = rest.prefix(ServerLimits.importMessagesPerCommandMax).prefix { message in
            defer { octets += Int(message.size) }
            return octets == 0 || octets + Int(message.size) <= ServerLimits.importOctetsPerCommandMax
        }
        rest = rest.dropFirst(window.count)
        let command = IMAPClientCommand.fetchTexts(connection.tag(), UIDSet(window.map { UID($0.uid) }))
        asked.append(Window(tag: command.tag, messages: Array(window)))
        connection.send(command.pieces[0])
    }

    private func handle(_ event: IMAPClientEvent) throws {
        switch event {
        case .bodyBegan(let octets):
            guard octets <= ServerLimits.importDroppedOctetsMax else {
                throw AdministrationFailure("the source announces a message of \(octets) octets")
            }
            begin()
        case .bodyOctets(let octets): try write(octets)
        case .bodyEnded: break
        case .response(.fetch(let message)): try arrived(message)
        case .response(.status(let status)) where status.tag != nil:
            guard var window = asked.first, window.tag == status.tag else {
                throw AdministrationFailure("the source answered a command that was not sent")
            }
            guard status.kind != .bad else { throw connection.refusal("UID FETCH", status) }
            if status.kind == .no { window.complaint = status.text }
            asked.removeFirst()
            finished.append(window)
        default: break
        }
    }

    private func begin() {
        writer = engine.makeBody()
        ends = LineEnds()
        failure = nil
    }

    private func write(_ octets: UnsafeRawBufferPointer) throws {
        guard failure == nil, let writer else { return }
        do {
            try ends.pass(octets) { try writer.append($0) }
        } catch EngineFailure.tooLarge(let limit) {
            // The rest is dropped as it comes.
            failure = AdministrationFailure(EngineFailure.tooLarge(limit: limit)).text
        }
    }

    private func arrived(_ message: IMAPFetchedMessage) throws {
        switch message.body {
        // A change of flags that nobody asked for.
        case .absent: return
        case .nothing:
            begin()
            failure = "the source has no text for it"
        case .inline(let octets):
            begin()
            try octets.withUnsafeBytes { try write($0) }
        case .streamed: break
        }
        guard let uid = message.uid?.rawValue,
            let index = asked.firstIndex(where: { $0.arrived[uid] == nil && Self.holds($0.messages, uid) })
        else { throw AdministrationFailure("the source sent a text that nobody asked for") }
        if let failure {
            asked[index].arrived[uid] = .refused(failure)
        } else if let writer {
            asked[index].arrived[uid] = .text(try writer.finish())
        }
        writer = nil
    }

    private static func holds(_ messages: [ListedMessage], _ uid: UInt32) -> Bool {
        var (low, high) = (0, messages.count)
        while low < high {
            let middle = (low + high) / 2
            if messages[middle].uid < uid { low = middle + 1 } else { high = middle }
        }
        return low < messages.count && messages[low].uid == uid
    }
}
