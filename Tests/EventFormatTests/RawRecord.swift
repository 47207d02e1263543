// Records put together by hand from the format document, to reach what the encoder would never write.
import Digests

struct RawRecord {
    var kind: UInt8 = 1
    var flags: UInt8 = 0
    var account: UInt32 = 16
    var aseq: UInt64 = 41
    var previousLSN: UInt64 = 0
    var time: UInt64 = 1_767_225_600_123
    var type: UInt16
    var typeVersion: UInt16 = 1
    var keyID: UInt16 = 0
    var meta: [UInt8] = []
    var open: [UInt8] = []
    var personal: [UInt8] = []

    func bytes(lsn: UInt64) -> [UInt8] {
        var out: [UInt8] = [0xE5, 1, kind, flags]
        out += little(UInt32(56 + meta.count + open.count + personal.count))
        out += [0, 0, 0, 0]
        out += little(account) + little(aseq) + little(previousLSN) + little(time)
        out += little(type) + little(typeVersion) + little(UInt16(meta.count)) + little(keyID)
        out += little(UInt32(open.count)) + little(UInt32(personal.count))
        out += meta + open + personal
        fixCRC(&out, lsn: lsn)
        return out
    }
}

func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

func big<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

/// Puts the right CRC into a record of at least 12 bytes.
func fixCRC(_ bytes: inout [UInt8], lsn: UInt64) {
    let crc = CRC32C.checksum(big(lsn) + bytes[..<8] + bytes[12...])
    bytes.replaceSubrange(8..<12, with: little(crc))
}
