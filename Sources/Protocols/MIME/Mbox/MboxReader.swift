// Reads an mbox file as a stream: chunks of any size go in, messages come out in pieces with CRLF line ends, so that a
// message of 50 MB is never held.
//
// A line `From sender date` begins a message when its date can be read; whether an empty line stands before it does not
// matter, since programs differ on that. The empty line that ends a message belongs to the file.
//
// A `Content-Length` is believed only where another message begins behind so many octets, or the file ends: files that were
// edited since have wrong ones. Then no line within them begins a message, and none was protected (mboxcl2: mutt writes
// text as it is).
//
// Memory is bounded by `MIMELimits.lineOctetsMax` and the output piece, whatever the input.
import MailTypes

/// How lines that begin with `From ` were protected when the file was written.
package enum MboxQuoting: Sendable {
    /// Nothing is taken away.
    case none
    /// mboxo: `>From ` was `From `.
    case mboxo
    /// mboxrd: every `>From `, `>>From `, ... has one `>` too many. Right for mboxo files but for a `>>From ` in them.
    case mboxrd
    /// mboxrd, and nothing in messages whose `Content-Length` holds.
    case automatic
}

package enum MboxEvent {
    /// A message begins.
    case began(MboxFromLine)
    /// Octets of the message; the pointer is good for the length of the call.
    case bytes(UnsafeRawBufferPointer)
    /// The message is complete; what its header says about it.
    case ended(MboxStatus)
}

package struct MboxReader: Sendable {
    private enum Place {
        /// Before the first `From ` line.
        case preamble
        case header
        case body
    }

    /// What a line that is longer than the limit goes on as.
    private enum LongLine {
        case none
        case passed
        case dropped
    }

    private let quoting: MboxQuoting
    private let dropsStatusFields: Bool
    private var place = Place.preamble
    private var line: [UInt8] = []
    private var longLine = LongLine.none
    /// Whether a text that begins at an offset of the file can have so many octets.
    private let isEnd: (@Sendable (_ body: Int, _ length: Int) -> Bool)?
    /// Octets of the file before this line, and through its end.
    private var lineStart = 0
    private var lineEnd = 0
    private var consumed = 0
    /// Where the message ends whose length is known; lines before it begin none.
    private var countedEnd: Int?
    /// An empty line that may end the message.
    private var heldBlank = false
    private var status = MboxStatus()
    private var fieldName = ""
    private var fieldBody: [UInt8] = []
    /// The field being read is dropped, with its further lines.
    private var isDropping = false
    private var headerOctets = 0
    private var out: [UInt8] = []
    /// Octets before the first `From ` line that are no line ends: above 0 when the file is no mbox, or has lost its
    /// beginning.
    package private(set) var strayOctets = 0
    /// Messages begun.
    package private(set) var messages = 0

    /// - Parameter dropsStatusFields: leave `Status`, `X-Status`, `X-Keywords`, `X-UID`, `X-IMAP`, `X-IMAPbase` and
    ///   `Content-Length` out of the messages; they are told by `ended` in any case.
    /// - Parameter isEnd: whether a text that begins at offset `body` of the file can have `length` octets: another message
    ///   begins there, or the file ends. Without it no `Content-Length` is believed.
    package init(
        quoting: MboxQuoting = .mboxrd, dropsStatusFields: Bool = false,
        isEnd: (@Sendable (_ body: Int, _ length: Int) -> Bool)? = nil
    ) {
        self.quoting = quoting
        self.dropsStatusFields = dropsStatusFields
        self.isEnd = isEnd
    }

    /// Takes the next octets of the file.
    package mutating func consume(
        _ chunk: UnsafeRawBufferPointer, _ sink: (MboxEvent) throws -> Void
    ) rethrows {
        var rest = chunk[...]
        while let end = rest.firstIndex(of: 10) {
            try take(rest[..<end], sink)
            lineEnd = consumed + end + 1
            try endLine(sink)
            lineStart = lineEnd
            rest = rest[(end + 1)...]
        }
        try take(rest, sink)
        consumed += chunk.count
    }

    /// The file is at its end.
    package mutating func finish(_ sink: (MboxEvent) throws -> Void) rethrows {
        if !line.isEmpty || longLine != .none { try endLine(sink) }
        try endMessage(sink)
        place = .preamble
    }

    // MARK: Lines

    /// Octets of a line, without its end.
    private mutating func take(_ run: Slice<UnsafeRawBufferPointer>, _ sink: (MboxEvent) throws -> Void) rethrows {
        guard !run.isEmpty else { return }
        line.append(contentsOf: run)
        // The last octet stays back: it may be the CR of the line's end.
        guard line.count > MIMELimits.lineOctetsMax else { return }
        if longLine == .none { longLine = try beginLongLine(sink) }
        let kept = line.removeLast()
        if longLine == .passed {
            try put(line, sink)
        } else if place == .preamble {
            strayOctets += line.count
        }
        line.removeAll(keepingCapacity: true)
        line.append(kept)
    }

    private mutating func beginLongLine(_ sink: (MboxEvent) throws -> Void) rethrows -> LongLine {
        if place == .preamble { return .dropped }
        if place == .header {
            let isContinuation = line[0] == 32 || line[0] == 9
            if isContinuation, isDropping { return .dropped }
            endField()
        }
        try putHeldBlank(sink)
        return .passed
    }

    private mutating func endLine(_ sink: (MboxEvent) throws -> Void) rethrows {
        if line.last == 13 { line.removeLast() }
        switch longLine {
        case .none: try whole(sink)
        case .dropped: if place == .preamble { strayOctets += line.count }
        case .passed: try put(line + [13, 10], sink)
        }
        longLine = .none
        line.removeAll(keepingCapacity: true)
    }

    private mutating func whole(_ sink: (MboxEvent) throws -> Void) rethrows {
        if line.first == 70, lineStart >= countedEnd ?? 0, let from = MboxFromLine(parsing: line) {
            try endMessage(sink)
            try sink(.began(from))
            begin()
            return
        }
        guard place != .preamble else {
            strayOctets += line.count
            return
        }
        unquote()
        if place == .header {
            try headerLine(sink)
        } else if line.isEmpty {
            try putHeldBlank(sink)
            heldBlank = true
        } else {
            try putHeldBlank(sink)
            try put(line + [13, 10], sink)
        }
    }

    private mutating func unquote() {
        guard quoting != .none, line.first == 62, quoting != .automatic || countedEnd == nil else { return }
        let marks = line.prefix { $0 == 62 }.count
        guard quoting != .mboxo || marks == 1, line.dropFirst(marks).starts(with: "From ".utf8) else { return }
        line.removeFirst()
    }

    // MARK: Header

    private mutating func headerLine(_ sink: (MboxEvent) throws -> Void) rethrows {
        headerOctets += line.count
        guard let first = line.first else {
            endField()
            place = .body
            if let length = status.contentLength, length >= 0, let isEnd, isEnd(lineEnd, length) {
                countedEnd = lineEnd + length
            }
            // A message without a body ends here, and this line is the one that the file adds.
            heldBlank = true
            return
        }
        if first == 32 || first == 9 {
            if !fieldName.isEmpty, fieldBody.count + line.count <= MIMELimits.lineOctetsMax { fieldBody += line }
        } else {
            endField()
            beginField()
        }
        if !isDropping { try put(line + [13, 10], sink) }
    }

    private mutating func beginField() {
        guard headerOctets <= MIMELimits.headerOctetsMax, let colon = line.firstIndex(of: 58), colon <= 16 else {
            return
        }
        let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
        // mutt writes `Lines` behind `Content-Length`; without that it is the author's.
        let isStatus = MboxStatus.fields.contains(name) || name == "lines" && status.contentLength != nil
        guard name == "date" || isStatus else { return }
        fieldName = name
        fieldBody = Array(line[(colon + 1)...])
        isDropping = dropsStatusFields && isStatus
    }

    private mutating func endField() {
        if !fieldName.isEmpty { status.take(fieldName, fieldBody) }
        fieldName = ""
        fieldBody = []
        isDropping = false
    }

    // MARK: Messages

    private mutating func begin() {
        place = .header
        messages += 1
        status = MboxStatus()
        headerOctets = 0
        countedEnd = nil
        heldBlank = false
    }

    private mutating func endMessage(_ sink: (MboxEvent) throws -> Void) rethrows {
        guard place != .preamble else { return }
        if place == .header {
            endField()
        } else if isBodyEmpty {
            // The empty line after the header is the message's own when it has no other.
            try putHeldBlank(sink)
        }
        heldBlank = false
        try flush(sink)
        try sink(.ended(status))
        isBodyEmpty = true
    }

    /// Nothing has come after the header's end.
    private var isBodyEmpty = true

    private mutating func putHeldBlank(_ sink: (MboxEvent) throws -> Void) rethrows {
        guard heldBlank else { return }
        heldBlank = false
        isBodyEmpty = false
        try put([13, 10], sink)
    }

    private mutating func put(_ octets: [UInt8], _ sink: (MboxEvent) throws -> Void) rethrows {
        out.append(contentsOf: octets)
        if out.count >= MIMELimits.outputOctets { try flush(sink) }
    }

    private mutating func flush(_ sink: (MboxEvent) throws -> Void) rethrows {
        guard !out.isEmpty else { return }
        try out.withUnsafeBytes { try sink(.bytes($0)) }
        out.removeAll(keepingCapacity: true)
    }
}
