// Meta of a record: who caused it. Entries of tag, length, bytes, with ascending tags.
import MailCore
import MailTypes
import Octets

private enum MetaTag {
    static let command: UInt8 = 1
    static let actor: UInt8 = 2
    static let session: UInt8 = 3
    static let gateway: UInt8 = 4
}

func writeMeta(_ origin: Origin, _ command: CommandID?, to out: inout ByteWriter) {
    if let command {
        out.u8(MetaTag.command)
        out.u8(16)
        out.be(command.high)
        out.be(command.low)
    }
    if let actor = origin.actor {
        out.u8(MetaTag.actor)
        out.u8(4)
        out.le(actor.rawValue)
    }
    if let session = origin.session {
        out.u8(MetaTag.session)
        out.u8(8)
        out.le(session.rawValue)
    }
    if origin.gateway != .none {
        out.u8(MetaTag.gateway)
        out.u8(1)
        out.u8(origin.gateway.rawValue)
    }
}

func readMeta(
    _ bytes: UnsafeRawBufferPointer, _ origin: inout Origin, _ command: inout CommandID?
) throws(FormatError) {
    var reader = ByteReader(bytes)
    var last: UInt8 = 0
    while !reader.isAtEnd {
        let tag = try reader.u8()
        guard tag > last else { throw .invalid("order of meta") }
        last = tag
        var entry = ByteReader(try reader.slice(Int(try reader.u8())))
        switch tag {
        case MetaTag.command: command = CommandID(high: try entry.be(), low: try entry.be())
        case MetaTag.actor: origin.actor = AccountID(try entry.le())
        case MetaTag.session: origin.session = SessionID(try entry.le())
        case MetaTag.gateway:
            guard let gateway = GatewayKind(rawValue: try entry.u8()), gateway != .none else {
                throw .invalid("gateway in meta")
            }
            origin.gateway = gateway
        default: continue
        }
        try entry.end()
    }
}
