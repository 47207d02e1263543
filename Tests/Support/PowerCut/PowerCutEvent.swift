import Glibc
import InputSupport

/// One record of a trace, as the recorder wrote it (layout: Preload/recorder.c). Payloads stay in the trace's bytes.
package enum PowerCutEvent: Equatable, Sendable {
    case open(inode: UInt64, path: String, OpenResult)
    case write(inode: UInt64, offset: Int, payload: Range<Int>, synchronousToken: Int64?)
    case truncate(inode: UInt64, size: Int)
    case allocate(inode: UInt64, offset: Int, length: Int, keepsSize: Bool, zeroes: Bool)
    case syncBegin(inode: UInt64, PowerCutSync.Kind, token: Int64)
    case syncEnd(token: Int64, result: Int)
    case rename(from: String, to: String, exchanges: Bool)
    case unlink(path: String)
    case makeDirectory(path: String)
    case link(inode: UInt64, from: String, to: String)
    case acknowledgement(payload: Range<Int>)
    case symbolicLink(target: String, path: String)
    /// The time of change that a program gave a file.
    case times(inode: UInt64, seconds: Int, nanoseconds: Int)
    case unsupported(String)

    package struct OpenResult: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let created = Self(rawValue: 1)
        package static let truncated = Self(rawValue: 2)
        package static let directory = Self(rawValue: 4)
        package static let unnamed = Self(rawValue: 8)
    }
}

/// One sync that a process asked for, as a test names it in order to leave it out.
package struct PowerCutSync: Equatable, Sendable {
    package enum Kind: Int, Sendable {
        case data = 0
        case full = 1
        /// `sync_file_range`: promises nothing about a power cut, and the model gives it no effect.
        case range = 2
        case filesystem = 3
        /// A write through an `O_DSYNC` or `O_SYNC` descriptor.
        case synchronousWrite = 4
    }
    /// Index of the event at which the sync began.
    package let position: Int
    package let kind: Kind
    /// Path below the root, "" for the root itself.
    package let path: String
}

package enum PowerCutTraceError: Error, Equatable {
    case unreadable(path: String, errno: Int32)
    case notATrace(octet: Int)
    /// A file was used that neither the trace nor the base folder saw being made.
    case unknownFile(path: String, position: Int)
    case unknownInode(UInt64, position: Int)
    case image(call: String, path: String, errno: Int32)
}

/// Splits the bytes of a trace into events. A record cut short at the end, as by a kill of the process, ends it.
struct PowerCutEventReader {
    static let headerOctets = 48
    static let magic: UInt32 = 0x4350_4C4C

    let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private func integer<T: FixedWidthInteger>(_ offset: Int, as type: T.Type) -> T {
        bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
    }

    private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    mutating func next() throws(PowerCutTraceError) -> PowerCutEvent? {
        guard at + Self.headerOctets <= bytes.count else { return nil }
        guard integer(at, as: UInt32.self) == Self.magic else { throw .notATrace(octet: at) }
        let length = Int(integer(at + 4, as: UInt32.self))
        guard length >= Self.headerOctets else { throw .notATrace(octet: at) }
        guard at + length <= bytes.count else { return nil }
        let type = bytes[at + 8]
        let flags = bytes[at + 9]
        let inode = integer(at + 16, as: UInt64.self)
        let a = Int(integer(at + 24, as: Int64.self))
        let b = integer(at + 32, as: Int64.self)
        let pathStart = at + Self.headerOctets
        let path2Start = pathStart + Int(integer(at + 10, as: UInt16.self))
        let payloadStart = path2Start + Int(integer(at + 12, as: UInt16.self))
        let payload = payloadStart..<(payloadStart + Int(integer(at + 40, as: UInt64.self)))
        guard payload.upperBound == at + length else { throw .notATrace(octet: at) }
        let path = text(pathStart..<path2Start)
        let path2 = text(path2Start..<payloadStart)
        defer { at += length }

        switch type {
        case 1: return .open(inode: inode, path: path, .init(rawValue: flags))
        case 2: return .write(inode: inode, offset: a, payload: payload, synchronousToken: flags & 1 != 0 ? b : nil)
        case 3: return .truncate(inode: inode, size: a)
        case 4:
            return .allocate(
                inode: inode, offset: a, length: Int(b), keepsSize: flags & 1 != 0, zeroes: flags & 2 != 0)
        case 5:
            guard let kind = PowerCutSync.Kind(rawValue: a) else { throw .notATrace(octet: at) }
            return .syncBegin(inode: inode, kind, token: b)
        case 6: return .syncEnd(token: b, result: a)
        case 7: return .rename(from: path, to: path2, exchanges: flags & 1 != 0)
        case 8: return .unlink(path: path)
        case 9: return .makeDirectory(path: path)
        case 10: return .link(inode: inode, from: path, to: path2)
        case 11: return .acknowledgement(payload: payload)
        case 12: return .unsupported(text(payload))
        case 13: return .symbolicLink(target: path, path: path2)
        case 14: return .times(inode: inode, seconds: a, nanoseconds: Int(b))
        default: throw .notATrace(octet: at)
        }
    }
}

extension SeededGenerator {
    /// The random numbers of building an image, which differ from cut to cut.
    init(seed: UInt64, cut: Int) {
        self.init(seed: seed &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(cut) &* 0xD1B5_4A32_D192_ED03)
    }
}
