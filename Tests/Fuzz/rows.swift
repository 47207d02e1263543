// Rows of the state and segment headers: never a trap, and a row that was read is written as the bytes it came from.
// The first byte says which row the rest is.
import EventFormat
import MailCore
import Octets

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRows(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    guard let start, count > 0 else { return 0 }
    let bytes = UnsafeRawBufferPointer(start: start + 1, count: count - 1)
    let readers: [(UnsafeRawBufferPointer) throws -> [UInt8]] = [
        { StateValue.encode(try StateValue.decodeHead($0)) },
        { StateValue.encode(try StateValue.decodeMailbox($0)) },
        { StateValue.encode(try StateValue.decodeTombstone($0)) },
        { StateValue.encode(try StateValue.decodeMessage($0)) },
        { StateValue.encode(try StateValue.decodeExpunged($0)) },
        { StateValue.encode(try StateValue.decodeCredential($0, id: 1)) },
        { StateValue.encode(try StateValue.decodeAddress($0, id: 1)) },
        { StateValue.encode(try StateValue.decodeQueueEntry($0)) },
        { StateValue.encodeSpill(try StateValue.decodeSpill($0)) },
        { StateValue.encodeUIDL(try StateValue.decodeUIDL($0)) },
        { StateValue.encodeSetting(try StateValue.decodeSetting($0)) },
        { StateValue.encodeKeyword(try StateValue.decodeKeyword($0)) },
        { try BlobRow.decode($0).encode() },
        { try DedupRow.decode($0).encode() }, { try FoldRow.decode($0).encode() },
        { try SegmentFormat.RecordHeader.decode($0).encode() },
        { try SegmentFormat.FileHeader.decode($0).encode() },
        { bytes in
            // Long changes are split, so only a short one has the same bytes.
            let parts = StateValue.encodeChange(try StateValue.decodeChange(bytes))
            return bytes.count <= FormatLimits.changeRowOctetsMax ? parts[0] : [UInt8](bytes)
        },
    ]
    guard let again = try? readers[Int(start.pointee) % readers.count](bytes) else { return 0 }
    precondition(again.elementsEqual(bytes), "two encodings of one row")
    return 0
}
