// Packets of a filter, taken apart. Whatever is in them gives a response or a fault, and nothing more than one packet is held.

/// Why a filter is of no use any more on this connection.
package enum MilterFault: Error, Hashable, Sendable {
    /// A packet over `MilterLimits.packetOctetsMax`.
    case packetTooLong
    /// A packet that cannot be read, or of a kind that is not known.
    case malformed
    /// One that is not to come at this moment, or asks for what was not agreed on.
    case unexpected
    /// It wants another protocol than ours.
    case noAgreement
    /// More changes, or more octets of them, than a message may have.
    case tooManyChanges
    /// It says that it is at work, and says it without end.
    case endlessProgress
    /// A new body that is larger than a message may be.
    case bodyTooLarge
    /// No answer within the time.
    case timeout
    /// No connection, or not any more.
    case notThere
}

/// What a filter wants done to a message.
package enum MilterChange: Hashable, Sendable {
    case addField(name: [UInt8], value: [UInt8])
    /// Behind so many fields.
    case insertField(at: Int, name: [UInt8], value: [UInt8])
    /// The field of that name, counted from 1; an empty value takes it out.
    case changeField(index: Int, name: [UInt8], value: [UInt8])
    /// As a path of SMTP, without looking at it.
    case changeSender([UInt8])
    /// The parameters as they stand in RCPT, without looking at them either.
    case addRecipient([UInt8], parameters: [String] = [])
    case removeRecipient([UInt8])
    /// The next octets of a new body.
    case body([UInt8])
    case quarantine(reason: String)

    /// What the filter needs for it.
    var needs: MilterActions {
        switch self {
        case .addField, .insertField: .addField
        case .changeField: .changeField
        case .changeSender: .changeSender
        case .addRecipient: [.addRecipient, .addRecipientWithParameters]
        case .removeRecipient: .removeRecipient
        case .body: .replaceBody
        case .quarantine: .quarantine
        }
    }

    /// What it counts against `MilterLimits.changeOctetsMax`; a body has a limit of its own.
    var octets: Int {
        switch self {
        case .addField(let name, let value), .insertField(_, let name, let value), .changeField(_, let name, let value):
            name.count + value.count
        case .addRecipient(let path, let parameters): path.count + parameters.reduce(0) { $0 + $1.utf8.count }
        case .changeSender(let path), .removeRecipient(let path): path.count
        case .quarantine(let reason): reason.utf8.count
        case .body: 0
        }
    }
}

/// What becomes of the command, or of the message, as a filter sees it.
package enum MilterVerdict: Hashable, Sendable {
    case `continue`
    /// Nothing more is to be asked of this filter.
    case accept
    /// The client hears that all went well, and nobody gets the message.
    case discard
    case refuse(MilterReply)
    /// Enough of the body was seen.
    case skip
}

/// One packet of a filter.
enum MilterResponse: Hashable {
    case agreement(MilterAgreement)
    case verdict(MilterVerdict)
    case change(MilterChange)
    case progress

    init(command: UInt8, _ data: ArraySlice<UInt8>) throws(MilterFault) {
        switch Unicode.Scalar(command) {
        case "O": self = .agreement(try Self.agreement(data))
        case "c": self = .verdict(.continue)
        case "a": self = .verdict(.accept)
        case "d": self = .verdict(.discard)
        case "s": self = .verdict(.skip)
        case "r": self = .verdict(.refuse(.reject))
        case "t": self = .verdict(.refuse(.tryLater))
        // A connection that is to fail, and one that is to end, are both told why.
        case "4", "f": self = .verdict(.refuse(.shutdown))
        case "y":
            guard let reply = MilterReply(data) else { throw .malformed }
            self = .verdict(.refuse(reply))
        case "p": self = .progress
        case "h":
            let (name, value) = try Self.field(data)
            self = .change(.addField(name: name, value: value))
        case "i":
            let (name, value) = try Self.field(data.dropFirst(4))
            self = .change(.insertField(at: try Self.number(data), name: name, value: value))
        case "m":
            let (name, value) = try Self.field(data.dropFirst(4))
            self = .change(.changeField(index: try Self.number(data), name: name, value: value))
        case "e": self = .change(.changeSender(try Self.firstText(data)))
        case "+": self = .change(.addRecipient(try Self.firstText(data)))
        case "2":
            let path = try Self.firstText(data)
            let rest = data.dropFirst(path.count + 1)
            guard rest.count <= MilterLimits.recipientParameterOctetsMax else { throw .malformed }
            let parameters = rest.split { $0 == 0 || $0 == 32 || $0 == 9 }.map { String(decoding: $0, as: UTF8.self) }
            self = .change(.addRecipient(path, parameters: parameters))
        case "-": self = .change(.removeRecipient(try Self.firstText(data)))
        case "q":
            let reason = data.prefix(MilterLimits.reasonOctetsMax).prefix { $0 != 0 }.map {
                (0x20...0x7E).contains($0) ? $0 : 0x3F
            }
            self = .change(.quarantine(reason: String(decoding: reason, as: UTF8.self)))
        default: throw .malformed
        }
    }

    private static func number(_ data: ArraySlice<UInt8>) throws(MilterFault) -> Int {
        guard data.count >= 4 else { throw .malformed }
        return data.prefix(4).reduce(0) { $0 << 8 | Int($1) }
    }

    /// A name and a value, each ended by a NUL. Other filters will be told of it, with a tab and a space more where it has folds.
    private static func field(_ data: ArraySlice<UInt8>) throws(MilterFault) -> (name: [UInt8], value: [UInt8]) {
        let parts = data.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
        // RFC 5322 section 3.6.8: printable ASCII but the colon.
        guard parts.count == 3, parts[2].isEmpty,
            (1...MilterLimits.fieldNameOctetsMax).contains(parts[0].count),
            parts[0].allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") })
        else { throw .malformed }
        let folds = parts[1].count { $0 == 10 }
        guard parts[0].count + 1 + parts[1].count + folds <= MilterLimits.fieldOctetsMax else { throw .tooManyChanges }
        return (Array(parts[0]), Array(parts[1]))
    }

    /// What is in front of the first NUL.
    private static func firstText(_ data: ArraySlice<UInt8>) throws(MilterFault) -> [UInt8] {
        guard let end = data.firstIndex(of: 0) else { throw .malformed }
        return Array(data[..<end])
    }

    private static func agreement(_ data: ArraySlice<UInt8>) throws(MilterFault) -> MilterAgreement {
        guard data.count >= 12 else { throw .malformed }
        var agreement = MilterAgreement(
            version: UInt32(try number(data)), actions: MilterActions(rawValue: UInt32(try number(data.dropFirst(4)))),
            steps: MilterSteps(rawValue: UInt32(try number(data.dropFirst(8)))))
        var rest = data.dropFirst(12)
        while !rest.isEmpty {
            guard rest.count >= 5, let end = rest.dropFirst(4).firstIndex(of: 0) else { throw .malformed }
            let names = rest[rest.startIndex + 4..<end].split { $0 == 32 || $0 == 9 || $0 == 44 }
            if let stage = MilterStage(rawValue: UInt32(try number(rest))) {
                agreement.macros[stage] = names.prefix(MilterLimits.macrosMax).map {
                    String(decoding: $0, as: UTF8.self)
                }
            }
            rest = rest[(end + 1)...]
        }
        return agreement
    }
}

/// Cuts what a filter sends into packets. A piece of a new body is handed on as it arrives, since some filters send a whole
/// body as one packet.
struct MilterPacketReader: Sendable {
    private var held: [UInt8] = []
    private var start = 0
    /// Octets of a body's packet that are still to come.
    private var bodyOctetsLeft = 0

    /// Takes octets in; `next` gives what has become whole.
    mutating func take(_ bytes: UnsafeRawBufferPointer) {
        // What was handed out goes, so that no more than a packet and a piece is held.
        held.removeSubrange(..<start)
        start = 0
        held.append(contentsOf: bytes)
    }

    mutating func next() throws(MilterFault) -> MilterResponse? {
        if bodyOctetsLeft > 0 { return bodyPiece() }
        guard held.count - start >= 4 else { return nil }
        let length = held[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
        guard length > 0 else { throw .malformed }
        guard held.count - start > 4 else { return nil }
        let command = held[start + 4]
        if command == UInt8(ascii: "b") {
            start += 5
            bodyOctetsLeft = length - 1
            return length == 1 ? .change(.body([])) : bodyPiece()
        }
        guard length <= MilterLimits.packetOctetsMax else { throw .packetTooLong }
        guard held.count - start >= 4 + length else { return nil }
        let data = held[start + 5..<start + 4 + length]
        start += 4 + length
        return try MilterResponse(command: command, data)
    }

    private mutating func bodyPiece() -> MilterResponse? {
        let count = min(bodyOctetsLeft, held.count - start)
        guard count > 0 else { return nil }
        defer {
            start += count
            bodyOctetsLeft -= count
        }
        return .change(.body(Array(held[start..<start + count])))
    }
}
