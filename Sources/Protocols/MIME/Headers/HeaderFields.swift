/// One field of a header, in the buffer it was read from.
package struct HeaderField {
    /// Empty when the line is no field: it has no colon, or a space within what stands before it.
    package var name: UnsafeRawBufferPointer
    /// What follows the colon, with its folds and without the last line end.
    package var body: UnsafeRawBufferPointer
    /// The whole field with its line end.
    package var lines: UnsafeRawBufferPointer
}

/// The fields of a header, in order, up to the empty line or the end.
///
/// A line that is no field is handed out with an empty name; it ends nothing, since mail has such lines in the middle of
/// headers that are sound otherwise.
package struct HeaderFields {
    private let header: UnsafeRawBufferPointer
    private var position = 0

    package init(_ header: UnsafeRawBufferPointer) { self.header = header }

    package mutating func next() -> HeaderField? {
        let start = position
        guard start < header.count, header[start] != 10 else { return nil }
        if header[start] == 13, start + 1 == header.count || header[start + 1] == 10 { return nil }
        var lineEnd = header.position(of: 10, from: start) ?? header.count
        let firstEnd = lineEnd
        while lineEnd + 1 < header.count, header[lineEnd + 1].isBlank {
            lineEnd = header.position(of: 10, from: lineEnd + 1) ?? header.count
        }
        position = Swift.min(lineEnd + 1, header.count)
        var end = lineEnd
        if end > start, header[end - 1] == 13 { end -= 1 }
        let whole = header.slice(start, position)
        guard let colon = header.position(of: 58, from: start), colon < firstEnd else {
            return HeaderField(name: header.slice(start, start), body: header.slice(start, end), lines: whole)
        }
        var nameEnd = colon
        while nameEnd > start, header[nameEnd - 1].isBlank { nameEnd -= 1 }
        for index in start..<nameEnd where header[index] <= 32 {
            return HeaderField(name: header.slice(start, start), body: header.slice(start, end), lines: whole)
        }
        return HeaderField(
            name: header.slice(start, nameEnd), body: header.slice(colon + 1, Swift.max(colon + 1, end)), lines: whole)
    }
}
