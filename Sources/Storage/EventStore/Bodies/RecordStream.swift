// Lays one record out behind the tail: header, payload, a CRC for each 64 KiB of payload, padding.
//
// A body of up to 1 MiB leaves in one write, a larger one in runs of 1 MiB. The parts are copied into one buffer first:
// for 10 KB that took 2.3 us, pwritev of the three parts 2.4 us, three writes 3.9 us (docs/decisions/0010), and the
// runs come out even whatever the source hands over.
import Digests
import EventFormat
import Glibc

/// Memory for one run of a record, kept from body to body.
// The writer has the only one and uses it under its lock.
final class RunBuffer: @unchecked Sendable {
    let memory: UnsafeMutableRawBufferPointer
    fileprivate(set) var count = 0

    /// One run, and what surrounds the payload of the largest body that is written at once.
    init() {
        memory = .allocate(
            byteCount: SegmentFormat.recordOctets(payload: BodyLimits.runOctetsMax), alignment: BodyLimits.blockOctets)
    }

    deinit { memory.deallocate() }

    fileprivate var free: Int { memory.count - count }

    fileprivate func append(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count <= free)
        guard let source = bytes.baseAddress, let base = memory.baseAddress, bytes.count > 0 else { return }
        memcpy(base + count, source, bytes.count)
        count += bytes.count
    }
}

struct RecordStream {
    private let file: OpenFile
    private let start: UInt64
    private let buffer: RunBuffer
    /// Octets that have left the buffer.
    private(set) var written: UInt64 = 0
    /// Octets of payload taken so far.
    private(set) var payload = 0
    private var checksums: [UInt32] = []
    private var chunkChecksum: UInt32 = 0

    init(_ file: OpenFile, at start: UInt64, buffer: RunBuffer) {
        self.file = file
        self.start = start
        self.buffer = buffer
        buffer.count = 0
    }

    mutating func header(_ header: SegmentFormat.RecordHeader) throws(FileFault) {
        try append(header.encode())
    }

    mutating func payload(_ bytes: UnsafeRawBufferPointer) throws(FileFault) {
        var rest = bytes
        while rest.count > 0 {
            let inChunk = payload % SegmentFormat.chunkOctets
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(SegmentFormat.chunkOctets - inChunk))
            chunkChecksum = CRC32C.checksum(piece, seed: chunkChecksum)
            payload += piece.count
            if inChunk + piece.count == SegmentFormat.chunkOctets { endChunk() }
            try append(piece)
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(piece.count))
        }
    }

    /// Writes what follows the payload, and all that is still in the buffer.
    mutating func finish() throws(FileFault) {
        if payload % SegmentFormat.chunkOctets != 0 { endChunk() }
        var trailer: [UInt8] = []
        trailer.reserveCapacity(4 * checksums.count + SegmentFormat.alignment)
        for checksum in checksums {
            for shift in stride(from: UInt32(0), to: 32, by: 8) {
                trailer.append(UInt8(truncatingIfNeeded: checksum >> shift))
            }
        }
        trailer += [UInt8](repeating: 0, count: SegmentFormat.paddingOctets(payload: payload))
        try append(trailer)
        try flush()
    }

    private mutating func endChunk() {
        checksums.append(chunkChecksum)
        chunkChecksum = 0
    }

    private mutating func append(_ bytes: [UInt8]) throws(FileFault) {
        var fault: FileFault?
        bytes.withUnsafeBytes { run in
            do throws(FileFault) { try append(run) } catch { fault = error }
        }
        if let fault { throw fault }
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer) throws(FileFault) {
        var rest = bytes
        while rest.count > buffer.free {
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(buffer.free))
            buffer.append(part)
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
            try flush()
        }
        buffer.append(rest)
    }

    private mutating func flush() throws(FileFault) {
        guard buffer.count > 0 else { return }
        try file.write(UnsafeRawBufferPointer(rebasing: buffer.memory[..<buffer.count]), at: start + written)
        written += UInt64(buffer.count)
        buffer.count = 0
    }
}
