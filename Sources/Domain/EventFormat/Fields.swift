// Numbered fields, the coding of event bodies: a varint tag (number << 3 | wire type), then the data.
//
// Invariants: field numbers ascend strictly, so a body has one order and no field twice; what is zero or empty is not
// written; unknown numbers are skipped. The reader is asked for fields in ascending order and walks the bytes once.
// Rejected: a table of fields built first (an allocation per record), and required fields (they cannot be retired).
import MailTypes
import Octets

enum WireType {
    static let varint: UInt8 = 0
    static let fixed64: UInt8 = 1
    static let run: UInt8 = 2
    static let fixed32: UInt8 = 5
}

/// Octets of `value` as a varint: 1...10.
func varintOctets(_ value: UInt64) -> Int {
    (70 - (value | 1).leadingZeroBitCount) / 7
}

func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: (value << 1) ^ (value >> 63)) }

func unzigzag(_ value: UInt64) -> Int64 { Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }

// MARK: Writing

extension ByteWriter {
    mutating func tag(_ number: UInt8, _ wire: UInt8) { varint(UInt64(number) << 3 | UInt64(wire)) }

    mutating func field(_ number: UInt8, _ value: some FixedWidthInteger & UnsignedInteger) {
        if value == 0 { return }
        tag(number, WireType.varint)
        varint(UInt64(value))
    }

    mutating func field(_ number: UInt8, _ value: Bool) { field(number, value ? 1 as UInt8 : 0) }

    mutating func signedField(_ number: UInt8, _ value: Int64) { field(number, zigzag(value)) }

    /// Written whenever there is a value, zero too.
    mutating func optionalField(_ number: UInt8, _ value: Timestamp?) {
        guard let value else { return }
        tag(number, WireType.varint)
        varint(zigzag(value.rawValue))
    }

    mutating func field(_ number: UInt8, _ text: String) {
        if !text.isEmpty { optionalField(number, text) }
    }

    /// Written whenever there is a value, an empty one too.
    mutating func optionalField(_ number: UInt8, _ text: String?) {
        guard let text else { return }
        tag(number, WireType.run)
        sized(text)
    }

    mutating func field(_ number: UInt8, _ hash: ContentHash) {
        tag(number, WireType.run)
        varint(32)
        contentHash(hash)
    }

    mutating func field(_ number: UInt8, bytes: [UInt8]) {
        tag(number, WireType.run)
        varint(UInt64(bytes.count))
        raw(bytes)
    }

    mutating func field(_ number: UInt8, _ uids: UIDSet) {
        if uids.isEmpty { return }
        tag(number, WireType.run)
        varint(UInt64(uidSetOctets(uids)))
        uidSet(uids)
    }

    mutating func field(_ number: UInt8, list: some Collection<UInt16>) {
        if list.isEmpty { return }
        tag(number, WireType.run)
        varint(UInt64(list.reduce(0) { $0 + varintOctets(UInt64($1)) }))
        for item in list { varint(UInt64(item)) }
    }

    mutating func field(_ number: UInt8, list: [String]) {
        if list.isEmpty { return }
        tag(number, WireType.run)
        varint(UInt64(list.reduce(0) { $0 + varintOctets(UInt64($1.utf8.count)) + $1.utf8.count }))
        for item in list { sized(item) }
    }

    /// A text with its length before it.
    mutating func sized(_ text: String) {
        varint(UInt64(text.utf8.count))
        raw(text.utf8)
    }

    mutating func contentHash(_ hash: ContentHash) {
        withUnsafeBytes(of: hash.words) { raw($0) }
    }
}

// MARK: Reading

/// Hands out the fields of one part; they must be asked for in ascending order of their numbers.
struct FieldReader {
    private var reader: ByteReader
    private let allowsPadding: Bool
    /// The field under the cursor; `.max` after the last.
    private var number: UInt64 = 0
    private var wire: UInt8 = 0
    private var value: UInt64 = 0
    private var run: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer, allowsPadding: Bool = false) throws(FormatError) {
        reader = ByteReader(bytes)
        run = bytes
        self.allowsPadding = allowsPadding
        try load()
    }

    private mutating func load() throws(FormatError) {
        if reader.isAtEnd {
            number = .max
            return
        }
        let tag = try reader.varint()
        if tag == 0, allowsPadding { return try endAtPadding() }
        guard tag >> 3 > number else { throw .invalid("fields out of order") }
        number = tag >> 3
        wire = UInt8(tag & 7)
        switch wire {
        case WireType.varint: value = try reader.varint()
        case WireType.fixed64: value = try reader.le(UInt64.self)
        case WireType.fixed32: value = UInt64(try reader.le(UInt32.self))
        case WireType.run: run = try reader.slice(Int(clamping: try reader.varint()))
        default: throw .invalid("wire type \(wire)")
        }
    }

    private mutating func endAtPadding() throws(FormatError) {
        guard reader.buffer[reader.position...].allSatisfy({ $0 == 0 }) else { throw .invalid("padding") }
        reader.position = reader.buffer.count
        number = .max
    }

    /// Moves to field `wanted`; false when the part has none.
    private mutating func seek(_ wanted: UInt8, _ wire: UInt8) throws(FormatError) -> Bool {
        while number < UInt64(wanted) { try load() }
        guard number == UInt64(wanted) else { return false }
        guard self.wire == wire else { throw .invalid("wire type of field \(wanted)") }
        return true
    }

    /// Checks what is left, which only a later version understands.
    mutating func finish() throws(FormatError) {
        while number != .max { try load() }
    }

    mutating func number<T: FixedWidthInteger>(_ field: UInt8, as type: T.Type = T.self) throws(FormatError) -> T {
        guard try seek(field, WireType.varint) else { return 0 }
        guard let number = T(exactly: value) else { throw .invalid("range of field \(field)") }
        return number
    }

    mutating func flag(_ field: UInt8) throws(FormatError) -> Bool {
        let number: UInt8 = try number(field)
        guard number <= 1 else { throw .invalid("range of field \(field)") }
        return number == 1
    }

    mutating func choice<T: RawRepresentable>(
        _ field: UInt8, as type: T.Type = T.self
    ) throws(FormatError) -> T where T.RawValue == UInt8 {
        guard let choice = T(rawValue: try number(field)) else { throw .invalid("value of field \(field)") }
        return choice
    }

    mutating func signed(_ field: UInt8) throws(FormatError) -> Int64 {
        guard try seek(field, WireType.varint) else { return 0 }
        return unzigzag(value)
    }

    mutating func time(_ field: UInt8) throws(FormatError) -> Timestamp {
        try checkedTime(try signed(field))
    }

    mutating func optionalTime(_ field: UInt8) throws(FormatError) -> Timestamp? {
        guard try seek(field, WireType.varint) else { return nil }
        return try checkedTime(unzigzag(value))
    }

    mutating func optionalText(_ field: UInt8) throws(FormatError) -> String? {
        guard try seek(field, WireType.run) else { return nil }
        var text = ByteReader(run)
        return try text.text(run.count)
    }

    mutating func text(_ field: UInt8) throws(FormatError) -> String { try optionalText(field) ?? "" }

    mutating func bytes(_ field: UInt8, count: Int) throws(FormatError) -> UnsafeRawBufferPointer {
        guard try seek(field, WireType.run), run.count == count else { throw .invalid("length of field \(field)") }
        return run
    }

    mutating func contentHash(_ field: UInt8) throws(FormatError) -> ContentHash {
        ContentHash(bytes: try bytes(field, count: 32))
    }

    mutating func uids(_ field: UInt8) throws(FormatError) -> UIDSet {
        guard try seek(field, WireType.run) else { return UIDSet() }
        var inner = ByteReader(run)
        let uids = try inner.uidSet()
        guard inner.isAtEnd else { throw .invalid("bytes after the set of field \(field)") }
        return uids
    }

    mutating func list(_ field: UInt8) throws(FormatError) -> [UInt16] {
        guard try seek(field, WireType.run) else { return [] }
        var inner = ByteReader(run)
        var list: [UInt16] = []
        list.reserveCapacity(run.count)
        while !inner.isAtEnd { list.append(try inner.varint(as: UInt16.self)) }
        return list
    }

    mutating func texts(_ field: UInt8) throws(FormatError) -> [String] {
        guard try seek(field, WireType.run) else { return [] }
        var inner = ByteReader(run)
        var list: [String] = []
        while !inner.isAtEnd { list.append(try inner.sizedText()) }
        return list
    }
}

func checkedTime(_ milliseconds: Int64) throws(FormatError) -> Timestamp {
    let limit = FormatLimits.timeMillisecondsMax
    guard (-limit...limit).contains(milliseconds) else { throw .invalid("time out of range") }
    return Timestamp(milliseconds: milliseconds)
}

extension ByteReader {
    mutating func sizedText() throws(FormatError) -> String {
        try text(Int(clamping: try varint()))
    }

    mutating func zeros(_ count: Int) throws(FormatError) {
        guard try slice(count).allSatisfy({ $0 == 0 }) else { throw .invalid("reserved bytes in use") }
    }

    mutating func version(_ expected: UInt8 = 1) throws(FormatError) {
        guard try u8() == expected else { throw .invalid("version") }
    }

    mutating func end() throws(FormatError) {
        guard isAtEnd else { throw .invalid("bytes left over") }
    }

    mutating func time() throws(FormatError) -> Timestamp { try checkedTime(try le(Int64.self)) }

    /// All that is left, as text.
    mutating func rest() throws(FormatError) -> String { try text(remaining) }
}
