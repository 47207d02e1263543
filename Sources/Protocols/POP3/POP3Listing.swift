/// The answer to LIST or UIDL without an argument, written piece by piece: a maildrop of 100,000 messages makes
/// megabytes that need not exist at once.
package struct POP3Listing: Equatable, Sendable {
    enum Kind: Equatable { case sizes, uniqueIDs }

    /// No line is longer than this, in octets: number, space, unique-id, CRLF.
    private static let lineOctetsMax = POP3Limits.numberDigitsMax + 1 + POP3Limits.uniqueIDOctetsMax + 2

    private let kind: Kind
    private let view: MaildropView
    private var index = 0
    /// The lone dot has been written.
    package private(set) var isComplete = false

    init(_ kind: Kind, _ view: MaildropView) {
        self.kind = kind
        self.view = view
    }

    /// Appends whole lines until about `octetsMax` octets have been added, and at last the line with the dot.
    ///
    /// - Parameter octetsMax: at least one line is written, whatever it says.
    package mutating func append(to output: inout [UInt8], octetsMax: Int) {
        guard !isComplete else { return }
        let stop = output.count + octetsMax - Self.lineOctetsMax
        let messages = view.maildrop.messages
        repeat {
            while index < messages.count, view.isDeleted(index) { index += 1 }
            if index == messages.count {
                output.append(contentsOf: ".\r\n".utf8)
                isComplete = true
                return
            }
            output.append(contentsOf: line.utf8)
            index += 1
        } while output.count < stop
    }

    private var line: String {
        switch kind {
        case .sizes: "\(index + 1) \(view.maildrop.messages[index].octets)\r\n"
        case .uniqueIDs: "\(index + 1) \(view.maildrop.uniqueID(at: index))\r\n"
        }
    }
}
