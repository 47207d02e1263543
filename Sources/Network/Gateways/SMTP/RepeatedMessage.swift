// Knows a message that comes again because its sender never heard our 250 (RFC 1047), so that a mailbox has it once.
//
// A relay names each message that it holds: by XFORWARD's IDENT, or in the Received field that it puts on top. With sender,
// recipient and every octet of the message the same as well, it is the same message, and the engine, which remembers such
// names for some days, answers without storing it again. A message without such a name is never taken for a repetition:
// two that a program sends, octet for octet alike, are two.
import Digests
import MailTypes
import SMTP

struct RepeatedMessage {
    private var header: [UInt8]? = []
    /// Nil once it is known that the message has no name.
    private var hasher: SHA256Hasher? = SHA256Hasher()
    private var identity: String?

    /// - Parameter identity: what XFORWARD has said.
    init(identity: String?) {
        self.identity = identity
        if identity != nil { header = nil }
    }

    /// Takes the next octets of the message as the client sent it.
    mutating func read(_ bytes: UnsafeRawBufferPointer) {
        hasher?.update(bytes)
        guard header != nil else { return }
        let room = GatewayLimits.repeatHeaderOctetsMax - (header?.count ?? 0)
        header?.append(contentsOf: bytes.prefix(room))
        if header?.count == GatewayLimits.repeatHeaderOctetsMax { endHeader() }
    }

    private mutating func endHeader() {
        guard let octets = header else { return }
        header = nil
        identity = receivedIdentity(octets)
        if identity == nil { hasher = nil }
    }

    /// At the end of the message: its name for one recipient; nil where it has none.
    mutating func command(from sender: String, to recipient: String) -> CommandID? {
        endHeader()
        guard let hasher, let identity else { return nil }
        var name = SHA256Hasher()
        name.update(hasher.finalize())
        for text in [identity, sender, recipient] { name.update(Array(text.utf8) + [0]) }
        return name.finalize().withBytes { bytes in
            CommandID(
                high: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
                low: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
    }
}
