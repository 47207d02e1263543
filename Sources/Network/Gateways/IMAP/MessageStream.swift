// One message on its way into a FETCH response: pieces of text, and ranges of the stored octets that are copied as the
// client takes them.
//
// The structure comes from the cache, or from one pass over the message when it is not there; the octets themselves are
// never kept. Stored octets are what RFC822.SIZE counts, so a range of the structure is a range of the file.
import EventStore
import IMAP
import MIME
import MailCore
import MailEngine
import MailTypes
import Projections

/// The body of a message has been erased.
struct BodyGone: Error {}

/// One FETCH asks for too much of a header (`GatewayLimits.imapHeaderItemsOctetsMax`).
struct HeaderTooLarge: Error {}

extension MailEngine {
    /// - Throws: `BodyGone` when it has been erased.
    func openKnownBody(_ blob: BlobNumber) throws -> any BodyHandle {
        do throws(StoreError) {
            return try openBody(blob)
        } catch {
            // Erased since, or unreadable: the state knows which.
            if try read({ try $0.body(blob) }) == nil { throw BodyGone() }
            throw error
        }
    }
}

final class MessageStream {
    private enum Piece {
        case text([UInt8])
        case stored(OctetRange)
        case decoded(Part, Range<Int>)
    }

    private let engine: MailEngine
    private var opened: (any BodyHandle)?
    private let account: AccountID
    private let row: MessageRow
    private let cache: MessageCache
    private var known: PackedSummary?
    private var knownStructure: MessageStructure?
    /// Text up to the next stored range.
    var writer: IMAPWriter
    private var pieces: [Piece] = []
    private var next = 0
    /// Within the stored range that is being copied.
    private var offset = 0
    private var decoding: DecodedReader?
    /// Read for HEADER.FIELDS, which stand in memory.
    private var headerOctets = 0
    /// BINARY was asked of a part whose transfer encoding is not known.
    private(set) var unknownEncoding = false

    /// - Parameter known: what the cache has of it.
    init(
        _ account: AccountID, _ row: MessageRow, _ engine: MailEngine, _ cache: MessageCache, known: PackedSummary?,
        usesUTF8: Bool
    ) {
        self.engine = engine
        self.account = account
        self.row = row
        self.cache = cache
        self.known = known
        writer = IMAPWriter(usesUTF8: usesUTF8)
    }

    /// Opened when it is first needed: envelopes come without it.
    private var handle: any BodyHandle {
        get throws {
            if let opened { return opened }
            let handle = try engine.openKnownBody(row.blob)
            opened = handle
            return handle
        }
    }

    /// Writes on; false when there is more than a slice takes.
    func write(_ context: inout SliceContext) throws -> Bool {
        guard next < pieces.count else { return true }
        while next < pieces.count {
            switch pieces[next] {
            case .text(let octets): context.output.bytes.append(contentsOf: octets)
            case .stored(let range):
                while offset < range.count {
                    if context.isFull { return false }
                    let before = context.output.bytes.count
                    let count = min(GatewayLimits.bodyChunkOctets, range.count - offset)
                    try handle.read(at: range.offset + offset, count: count, into: &context.output.bytes)
                    guard context.output.bytes.count - before == count else {
                        throw StoreError.damaged("a body is shorter than it says")
                    }
                    offset += count
                }
                offset = 0
            case .decoded(let part, let range):
                if decoding == nil { decoding = DecodedReader(part, range) }
                while try decoding?.next(try handle, into: &context.output.bytes) == true {
                    if context.isFull { return false }
                }
                decoding = nil
            }
            next += 1
        }
        return true
    }

    // MARK: Items

    /// All items have been added.
    func end() {
        if !writer.bytes.isEmpty { pieces.append(.text(writer.bytes)) }
        writer.bytes = []
    }

    private func add(_ range: OctetRange, isBinary: Bool = false) {
        writer.literal(count: range.count, isBinary: isBinary)
        guard range.count > 0 else { return }
        end()
        pieces.append(.stored(range))
    }

    private var summary: PackedSummary {
        get throws {
            if let known { return known }
            let summary = try cache.read(account, row.email, try handle)
            known = summary
            return summary
        }
    }

    private var structure: MessageStructure {
        get throws {
            if let knownStructure { return knownStructure }
            guard let structure = try summary.structure else { throw StoreError.damaged("the summary of a message") }
            knownStructure = structure
            return structure
        }
    }

    /// An item that needs the message.
    func add(_ attribute: FetchAttribute) throws {
        switch attribute {
        case .body(let section): try add(section)
        case .envelope: writer.envelope(try summary.envelope ?? Envelope())
        case .bodyStructure(let extended): writer.bodyStructure(try structure, extended: extended)
        case .preview(let lazy): writer.preview(try preview(lazily: lazy))
        case .binary(let section): try add(section)
        case .binarySize(let part): try addSize(part)
        default: preconditionFailure("the row answers this")
        }
    }

    private func add(_ section: BodySection) throws {
        // A body that is gone is found out before the response has begun.
        _ = try handle
        writer.beginSection(section)
        if case .headerFields(let fields) = section.text { return try addFields(section, fields, isNot: false) }
        if case .headerFieldsNot(let fields) = section.text { return try addFields(section, fields, isNot: true) }
        let whole: OctetRange?
        if section.part.isEmpty, section.text == .all {
            whole = OctetRange(offset: 0, count: try handle.size)
        } else {
            whole = try structure.section(section.part.map { Int($0) }, section.text.specifier)
        }
        guard let whole else { return writer.nilValue() }
        guard let partial = section.partial else { return add(whole) }
        let clamped = partial.clamped(to: whole.count)
        add(OctetRange(offset: whole.offset + clamped.lowerBound, count: clamped.count))
    }

    /// HEADER.FIELDS and HEADER.FIELDS.NOT: the fields as they stand, and the empty line (RFC 9051 section 6.4.5.1).
    private func addFields(_ section: BodySection, _ names: [String], isNot: Bool) throws {
        guard let range = try structure.section(section.part.map { Int($0) }, .header) else {
            return writer.nilValue()
        }
        var filter = HeaderFilter(names.map { Array($0.utf8) }, excluding: isNot)
        var out: [UInt8] = []
        let read = OctetRange(offset: range.offset, count: min(range.count, GatewayLimits.imapHeaderOctetsMax))
        headerOctets += read.count
        guard headerOctets <= GatewayLimits.imapHeaderItemsOctetsMax else { throw HeaderTooLarge() }
        try handle.pieces(of: read) { piece in
            filter.take(piece, into: &out)
            return true
        }
        filter.finish(into: &out)
        if let partial = section.partial { out = Array(out[partial.clamped(to: out.count)]) }
        writer.literal(count: out.count)
        writer.bytes.append(contentsOf: out)
    }
}

extension MessageStream {
    /// PREVIEW (RFC 8970): of a message's text no more is read than it shows.
    private func preview(lazily: Bool) throws -> String? {
        try cache.preview(account, row.email, lazily: lazily, try handle).map { String(decoding: $0, as: UTF8.self) }
    }

    /// BINARY (RFC 3516): the transfer encoding undone. An encoding that is not known fails the command.
    private func add(_ section: BinarySection) throws {
        writer.beginSection(section)
        guard !section.part.isEmpty else {
            // The whole message as it is.
            let size = try handle.size
            let range = section.partial?.clamped(to: size) ?? 0..<size
            return add(OctetRange(offset: range.lowerBound, count: range.count), isBinary: true)
        }
        let index = try structure.index(of: section.part.map { Int($0) })
        guard let index else { return writer.nilValue() }
        let part = try structure.parts[index]
        guard let size = try binarySize(of: part) else {
            unknownEncoding = true
            return writer.nilValue()
        }
        let range = section.partial?.clamped(to: size) ?? 0..<size
        writer.literal(count: range.count, isBinary: true)
        guard !range.isEmpty else { return }
        end()
        pieces.append(.decoded(part, range))
    }

    private func addSize(_ path: [UInt32]) throws {
        let index = try structure.index(of: path.map { Int($0) })
        let part = path.isEmpty ? nil : try index.map { try structure.parts[$0] }
        let size = path.isEmpty ? try handle.size : try part.flatMap { try binarySize(of: $0) }
        if part != nil, size == nil { unknownEncoding = true }
        writer.binarySize(part: path, UInt64(size ?? 0))
    }

    /// Counted by decoding; nil for an encoding that is not known.
    private func binarySize(of part: Part) throws -> Int? {
        guard part.kind != .multipart, var decoder = part.binaryDecoder else {
            return part.kind == .multipart ? part.body.count : nil
        }
        var size = 0
        var out: [UInt8] = []
        try handle.pieces(of: part.body) { piece in
            out.removeAll(keepingCapacity: true)
            decoder.decode(piece, into: &out)
            size += out.count
            return true
        }
        out.removeAll(keepingCapacity: true)
        decoder.finish(into: &out)
        return size + out.count
    }
}

/// The decoded octets of a part, from one place on.
struct DecodedReader {
    private var decoder: TransferDecoder
    private let part: Part
    private let range: Range<Int>
    private var read = 0
    private var decoded = 0
    private var isFinished = false

    init?(_ part: Part, _ range: Range<Int>) {
        if part.kind == .multipart {
            decoder = TransferDecoder(.identity)
        } else {
            guard let decoder = part.binaryDecoder else { return nil }
            self.decoder = decoder
        }
        self.part = part
        self.range = range
    }

    /// Appends what the next stored octets give; false when there is no more of it.
    mutating func next(_ handle: any BodyHandle, into out: inout [UInt8]) throws -> Bool {
        guard !isFinished, decoded < range.upperBound else { return false }
        var text: [UInt8] = []
        if read < part.body.count {
            let count = min(GatewayLimits.bodyChunkOctets, part.body.count - read)
            try handle.pieces(of: OctetRange(offset: part.body.offset + read, count: count)) { piece in
                decoder.decode(piece, into: &text)
                return true
            }
            read += count
        } else {
            decoder.finish(into: &text)
            isFinished = true
        }
        let wanted = range.clamped(to: decoded..<(decoded + text.count))
        if !wanted.isEmpty {
            out.append(contentsOf: text[(wanted.lowerBound - decoded)..<(wanted.upperBound - decoded)])
        }
        decoded += text.count
        return true
    }
}

extension BodySection.Text {
    var specifier: MessageStructure.Specifier {
        switch self {
        case .all: .all
        case .header, .headerFields, .headerFieldsNot: .header
        case .text: .text
        case .mime: .mime
        }
    }
}
