// Records of the log: never a trap, and an event that was read can be written and reads as the same again.
// The CRC of the input is put right first, or nothing behind it would be reached.
import Digests
import EventFormat
import MailCore
import Octets

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRecords(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard bytes.count >= 12 else { return 0 }
    let lsn = [0, 0, 0, 0, 0, 0, 3, 0xE8] as [UInt8]
    let crc = CRC32C.checksum(lsn + bytes[..<8] + bytes[12...])
    withUnsafeBytes(of: crc.littleEndian) { bytes.replaceSubrange(8..<12, with: $0) }
    guard let record = try? RecordCodec.decode(bytes, lsn: 1000) else { return 0 }
    guard let erased = try? RecordCodec.erasingPersonalPart(of: bytes, lsn: 1000) else {
        preconditionFailure("a readable record cannot be erased")
    }
    precondition((try? RecordCodec.decode(erased, lsn: 1000))?.hash == record.hash, "erasure changed the hash")
    guard case .event(let event) = record.content else { return 0 }
    let again = try? RecordCodec.encode(
        event,
        at: EventContext(account: record.header.account, aseq: record.header.aseq, time: record.header.time),
        lsn: 1000, previousLSN: record.header.previousLSN, origin: record.origin, command: record.command,
        retryable: record.retryable, salt: (1, 2))
    // An erased part can hold fewer bytes than its placeholders, so the record can become too long.
    if record.isErased, again == nil { return 0 }
    guard let again, (try? RecordCodec.decode(again.bytes, lsn: 1000))?.content == .event(event) else {
        preconditionFailure("what was read does not come back")
    }
    return 0
}
